"""Whether the settings make sense, and where credentials come from."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from ...errors import ConfigurationError
from ...s3.client import method_of_credentials
from ...settings import BookstoreSettings
from .findings import Finding, sentence


def check_settings(settings: BookstoreSettings, unknown: Sequence[str]) -> Iterator[Finding]:
    """Whether the settings make sense; `unknown` are names that are no setting."""
    for name in unknown:
        close = difflib.get_close_matches(name, settings.trait_names(config=True), 1)
        yield Finding(
            "settings",
            "warning",
            f"BookstoreSettings.{name} is set, but there is no such setting.",
            f"Did you mean {close[0]}?"
            if close
            else "Correct its name; docs/configuration.md lists all settings.",
        )
    try:
        name = settings.require_bucket()
    except ConfigurationError as error:
        message, _, remedy = str(error).partition("; ")
        yield Finding("settings", "failed", f"{message}.", sentence(remedy))
        return
    workspace, published = settings.workspace_prefix, settings.published_prefix
    if workspace.startswith(published) or published.startswith(workspace):
        yield Finding(
            "settings",
            "warning",
            f"The workspace prefix {workspace!r} and the published prefix {published!r} "
            "overlap, so published files and work can't be told apart.",
            "Set c.BookstoreSettings.workspace_prefix and published_prefix to separate prefixes.",
        )
    url = urlsplit(settings.s3_endpoint_url)
    if url.scheme == "http" and not _is_near(url.hostname or ""):
        yield Finding(
            "settings",
            "warning",
            f"The endpoint {settings.endpoint} uses plain HTTP, so others on the network can "
            "read the traffic.",
            "Use its https:// URL.",
        )
    if settings.allow_unversioned:
        yield Finding(
            "settings",
            "warning",
            "c.BookstoreSettings.allow_unversioned is on.",
            "Turn it off to refuse a bucket without versioning.",
        )
    yield Finding(
        "settings",
        "ok",
        f"Bucket {name!r} at {settings.endpoint}; workspace prefix {workspace!r}, published "
        f"prefix {published!r}.",
    )


def check_credentials(settings: BookstoreSettings) -> Finding:
    """Where credentials come from; that they are right, the bucket has to say."""
    if settings.s3_access_key_id:
        return Finding("credentials", "ok", "A key pair from BookstoreSettings or JPYNB_S3_….")
    try:
        method = method_of_credentials()
    except ConfigurationError as error:
        return Finding(
            "credentials",
            "failed",
            str(error),
            "Correct the AWS profile (AWS_PROFILE, ~/.aws/config, ~/.aws/credentials).",
        )
    if method is None:
        return Finding(
            "credentials",
            "failed",
            "There are no credentials in BookstoreSettings or in the AWS chain.",
            "Set s3_access_key_id and s3_secret_access_key of BookstoreSettings, set "
            "AWS_PROFILE, or run with a role.",
        )
    return Finding("credentials", "ok", f"From the AWS chain ({method}).")


def _is_near(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")
