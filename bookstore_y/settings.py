"""BookstoreSettings: where the bucket is and how to reach it."""

from __future__ import annotations

import os
from functools import cache
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from traitlets import Bool, CaselessStrEnum, Float, Int, List, Unicode, default, validate
from traitlets.config import LoggingConfigurable

from .errors import ConfigurationError
from .keys import normalize_prefix
from .near import did_you_mean
from .secret import SecretUnicode


class BookstoreSettings(LoggingConfigurable):
    """The bucket, its prefixes and the limits on using it.

    Names and environment variables are those of nteract's bookstore where it has one. What is
    left empty falls to the ordinary AWS chain (environment, shared files, container and
    instance roles), so that credentials are renewed without a restart.
    """

    s3_bucket = Unicode(help="Name of the versioned bucket. Falls back to $JPYNB_S3_BUCKET.").tag(
        config=True
    )
    s3_endpoint_url = Unicode(
        help="URL of an S3 server other than AWS. Falls back to $JPYNB_S3_ENDPOINT_URL, then to "
        "the AWS chain."
    ).tag(config=True)
    s3_region_name = Unicode(
        help="Region of the bucket. Falls back to $JPYNB_S3_REGION_NAME, then to the AWS chain."
    ).tag(config=True)
    s3_access_key_id = Unicode(
        help="Access key id. Falls back to $JPYNB_S3_ACCESS_KEY_ID, then to the AWS chain."
    ).tag(config=True)
    s3_secret_access_key = SecretUnicode(
        help="Secret access key. Falls back to $JPYNB_S3_SECRET_ACCESS_KEY, then to the AWS chain."
    ).tag(config=True)
    s3_session_token = SecretUnicode(
        help="Session token for temporary credentials that are set as a key pair above."
    ).tag(config=True)

    workspace_prefix = Unicode(
        "workspace/", help="Key prefix of the workspace: everything people work on."
    ).tag(config=True)
    published_prefix = Unicode("published/", help="Key prefix of everything published.").tag(
        config=True
    )

    create_bucket = Bool(
        False, help="Create the bucket, with versioning enabled, if it does not exist."
    ).tag(config=True)
    allow_unversioned = Bool(
        False,
        help="Allow a bucket without versioning. Every checkpoint then overwrites the previous "
        "one.",
    ).tag(config=True)
    conditional_writes = Bool(
        None,
        allow_none=True,
        help="Whether the bucket honors If-Match and If-None-Match on PUT. None: probe it once.",
    ).tag(config=True)
    on_unavailable = CaselessStrEnum(
        ["refuse", "detached"],
        default_value="refuse",
        help="What opening a document does while the bucket is unreachable and the buffer does "
        "not have the document. 'refuse': the document does not open, and the error says "
        "why. 'detached': it opens from its file with a new lineage.",
    ).tag(config=True)

    restore_workspace = CaselessStrEnum(
        ["missing", "never"],
        default_value="missing",
        help="What a starting server does about files that the archive holds and its disk does "
        "not. 'missing': the file browser lists them, and the server writes them to the "
        "disk in the background, newest first. 'never': a file is written when it is "
        "opened by its path.",
    ).tag(config=True)
    restore_max_bytes = Int(
        1024**3,
        min=0,
        help="Maximum number of bytes that a starting server reads from the bucket in the "
        "background. The other files are written when they are opened.",
    ).tag(config=True)
    restore_max_seconds = Float(
        600.0,
        min=0.0,
        help="Maximum number of seconds that a starting server writes files in the background.",
    ).tag(config=True)

    enable_s3_cloning = Bool(True, help="Allow cloning objects from S3.").tag(config=True)
    clone_buckets = List(
        Unicode(),
        help="Names of other buckets that may be cloned from. The server's credentials may "
        "reach further than its users should. ['*'] allows any bucket.",
    ).tag(config=True)
    fs_cloning_basedir = Unicode(
        help="Absolute path of the directory from which files on this machine may be cloned. "
        "Empty: no cloning from this machine."
    ).tag(config=True)

    max_threads = Int(64, min=1, help="Maximum number of concurrent S3 requests.").tag(config=True)
    connect_timeout = Float(5.0, help="Seconds to wait for a connection to the endpoint.").tag(
        config=True
    )
    read_timeout = Float(30.0, help="Seconds to wait for data from the endpoint.").tag(config=True)
    max_attempts = Int(
        3, min=1, help="Attempts for each S3 request, in botocore's 'standard' retry mode."
    ).tag(config=True)
    compression_level = Int(
        3, help="zstd level of snapshots, from 1 (fastest) to 22 (smallest)."
    ).tag(config=True)
    max_document_size = Int(
        900_000_000,
        help="Largest snapshot that is read and largest file that is archived, in bytes after "
        "decompression. Rooms cannot open documents over 900,000,000 bytes regardless of "
        "this setting, because SQLite stores at most 1,000,000,000 bytes in one value.",
    ).tag(config=True)

    shutdown_timeout = Float(
        25.0,
        help="Maximum number of seconds that a stopping server takes to archive what is pending.",
    ).tag(config=True)

    def __init__(self, **options: Any) -> None:
        """`options` are the options above, and `config` or `parent`. Raises `ConfigurationError`
        for any other, of which traitlets would only warn."""
        unknown = sorted(set(options) - set(self.trait_names()))
        if unknown:
            raise ConfigurationError(
                "BookstoreSettings has no option "
                f"{unknown[0]!r}{did_you_mean(unknown[0], _names())}; docs/configuration.md "
                "lists all options."
            )
        super().__init__(**options)

    @default("s3_bucket")
    def _default_bucket(self) -> str:
        return os.environ.get("JPYNB_S3_BUCKET", "")

    @default("s3_endpoint_url")
    def _default_endpoint_url(self) -> str:
        return os.environ.get("JPYNB_S3_ENDPOINT_URL", "")

    @default("s3_region_name")
    def _default_region_name(self) -> str:
        return os.environ.get("JPYNB_S3_REGION_NAME", "")

    @default("s3_access_key_id")
    def _default_access_key_id(self) -> str:
        return os.environ.get("JPYNB_S3_ACCESS_KEY_ID", "")

    @default("s3_secret_access_key")
    def _default_secret_access_key(self) -> str:
        return os.environ.get("JPYNB_S3_SECRET_ACCESS_KEY", "")

    @validate("workspace_prefix", "published_prefix")
    def _normalized_prefix(self, proposal: dict[str, Any]) -> str:
        return normalize_prefix(proposal["value"])

    def require_bucket(self) -> str:
        """The bucket's name. Raises `ConfigurationError` when none is set."""
        if not self.s3_bucket:
            raise ConfigurationError(
                "No bucket is set, so nothing is archived; set c.BookstoreSettings.s3_bucket or "
                "the environment variable JPYNB_S3_BUCKET."
            )
        if "@" in urlsplit(self.s3_endpoint_url).netloc:
            raise ConfigurationError(
                "The endpoint URL contains a user name or password; set s3_access_key_id and "
                "s3_secret_access_key of BookstoreSettings instead."
            )
        if bool(self.s3_access_key_id) != bool(self.s3_secret_access_key):
            raise ConfigurationError(
                "Only half of the S3 key pair is set; set both s3_access_key_id and "
                "s3_secret_access_key of BookstoreSettings, or neither."
            )
        return self.s3_bucket

    @property
    def effective_endpoint_url(self) -> str:
        """The URL that requests go to, of the settings or of the AWS chain's environment (AWS SDKs
        and Tools Reference Guide, "Service-specific endpoints"); empty means AWS itself."""
        found = [os.environ.get(name) for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")]
        return next((url for url in [self.s3_endpoint_url, *found] if url), "")

    @property
    def endpoint(self) -> str:
        """The endpoint as it may be shown: `AWS`, or the URL without anything secret in it."""
        url = urlsplit(self.effective_endpoint_url)
        shown = url._replace(netloc=url.netloc.rpartition("@")[2], query="", fragment="")
        return urlunsplit(shown) or "AWS"

    def identity(self) -> tuple[Any, ...]:
        """A hashable value that is equal for settings that mean the same bucket and limits.

        It holds the credentials, so it must never be shown.
        """
        values = (getattr(self, name) for name in _names())
        return tuple(tuple(value) if isinstance(value, list) else value for value in values)

    def for_bucket(self, name: str) -> BookstoreSettings:
        """The same for another bucket."""
        traits = {trait: getattr(self, trait) for trait in _names()}
        return BookstoreSettings(**{**traits, "s3_bucket": name})

    def may_clone_from(self, bucket: str) -> bool:
        """Whether objects of that bucket may be cloned."""
        return bucket == self.s3_bucket or bucket in self.clone_buckets or "*" in self.clone_buckets

    def __repr__(self) -> str:
        return f"<BookstoreSettings bucket={self.s3_bucket!r} at {self.endpoint}>"


@cache
def _names() -> tuple[str, ...]:
    """Of all options. Each save asks for the identity, and traitlets looks for them anew."""
    return tuple(sorted(BookstoreSettings.class_trait_names(config=True)))
