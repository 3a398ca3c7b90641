"""What the demo prints: where everything is, and commands to paste."""

from __future__ import annotations

import shlex
import sys
import sysconfig
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote

from ..keys import Document, snapshot_key
from ..local.embedded_s3 import ACCESS_KEY_ID, SECRET_ACCESS_KEY
from ._lab import Lab, LabAddress

if TYPE_CHECKING:
    from ..settings import BookstoreSettings


def instructions(
    lab: Lab,
    address: LabAddress,
    settings: BookstoreSettings,
    notebook: str | None,
    environment: Mapping[str, str],
    embedded: bool,
) -> str:
    """The text. `notebook` is None when there is no sample; secrets are shown of ours only.

    `environment` has the commands find all this.
    """
    path = notebook or "YOUR.ipynb"
    key = snapshot_key(settings.workspace_prefix, Document(path, "notebook"))
    python = shlex.quote(sys.executable)
    endpoint = settings.endpoint
    moto = "  (moto: all of it is in memory, and gone when this stops)" if embedded else ""
    credentials = "" if embedded else " (which finds credentials its own way)"
    authorization = f"-H 'Authorization: token {address.token}'"
    bookstore = f"{address.base_url}/api/bookstore"
    return f"""
  JupyterLab  {address.page(notebook)}
  S3          {endpoint}{moto}
  Bucket      {settings.s3_bucket}
  Snapshots   {key}
  Log         {lab.log}

Open the URL in two windows and type in both. The clock in the right side bar (Alt+Shift+H) has the
versions: look at one, compare, restore. Then try, from another terminal:

# the versions of the notebook, newest first; the exports lead the commands here{credentials}
{_export(environment)}
jupyter bookstore versions {shlex.quote(path)}

# one of them again, in all windows: put in its id, or how it begins
jupyter bookstore restore {shlex.quote(path)} VERSION

# both over HTTP
curl -s {authorization} \\
  {bookstore}/versions/{quote(path)} | {python} -m json.tool
curl -s {authorization} \\
  {bookstore}/restore/{quote(path)} -d '{{"version_id": "VERSION_ID"}}'

# the versions in the bucket, and how the cells of the newest begin, with plain boto3{credentials}
{python} - <<'END'
{_boto3_script(settings, key, embedded)}
END

# kill JupyterLab while you type: it is started again, and what you typed is back
kill -9 {lab.pid}

Ctrl-C stops everything."""


def _export(environment: Mapping[str, str]) -> str:
    """The shell's command, by which `jupyter bookstore` is found as well."""
    scripts = f'PATH={shlex.quote(sysconfig.get_path("scripts"))}:"$PATH"'
    others = [f"{name}={shlex.quote(value)}" for name, value in environment.items()]
    return " \\\n  ".join(["export", scripts, *others])


def _boto3_script(settings: BookstoreSettings, key: str, embedded: bool) -> str:
    where = {"endpoint_url": settings.s3_endpoint_url, "region_name": settings.s3_region_name}
    if embedded:
        where |= {"aws_access_key_id": ACCESS_KEY_ID, "aws_secret_access_key": SECRET_ACCESS_KEY}
    client = "".join(f",\n    {name}={value!r}" for name, value in where.items() if value)
    return f"""\
import boto3, pycrdt, zstandard
s3 = boto3.client("s3"{client})
where = {{"Bucket": {settings.s3_bucket!r}}}
for version in s3.list_object_versions(Prefix={key!r}, **where).get("Versions", []):
    print(version["VersionId"], version["LastModified"], version["Size"], "bytes")
body = s3.get_object(Key={key!r}, **where)["Body"].read()
document = pycrdt.Doc()
document.apply_update(zstandard.decompress(body))
for cell in document.get("cells", type=pycrdt.Array):
    print("---", *str(cell["source"]).splitlines()[:4], sep="\\n")"""
