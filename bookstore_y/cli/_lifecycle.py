"""Our lifecycle rules, next to those of the bucket."""

from __future__ import annotations

import json
from collections.abc import Iterable
from difflib import ndiff
from typing import Any

OWN = "bookstore_y-"
"""How the ids of our rules begin; a rule of the same id is replaced, all others stay."""


def abort_uploads(prefix: str, days: int) -> dict[str, Any]:
    """A rule that removes the parts of uploads that were never completed."""
    return {
        "ID": f"{OWN}abort-incomplete-uploads",
        "Status": "Enabled",
        "Filter": {"Prefix": prefix},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": days},
    }


def expire_noncurrent(prefix: str, days: int, keep: int) -> dict[str, Any]:
    """A rule that removes versions so many days after they were replaced, but for the `keep`
    newest of each document, and delete markers that nothing is left under."""
    expiration = {"NoncurrentDays": days}
    if keep:
        expiration["NewerNoncurrentVersions"] = keep
    return {
        "ID": f"{OWN}expire-noncurrent",
        "Status": "Enabled",
        "Filter": {"Prefix": prefix},
        "NoncurrentVersionExpiration": expiration,
        "Expiration": {"ExpiredObjectDeleteMarker": True},
    }


def merged(
    rules: Iterable[dict[str, Any]], wanted: Iterable[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The bucket's rules with ours in the place of those with our ids."""
    ours = {rule["ID"]: rule for rule in wanted}
    kept = [_in_today_s_form(rule) for rule in rules if rule.get("ID") not in ours]
    return [*kept, *ours.values()]


def same(before: Iterable[dict[str, Any]], after: Iterable[dict[str, Any]]) -> bool:
    """Whether both say the same, in whatever order."""
    return sorted(map(_text, map(_in_today_s_form, before))) == sorted(map(_text, after))


def difference(before: Iterable[dict[str, Any]], after: Iterable[dict[str, Any]]) -> list[str]:
    """Lines that begin with `+`, `-` or a space: what changes, with all that does not."""
    old = [line for rule in before for line in _text(_in_today_s_form(rule)).splitlines()]
    new = [line for rule in after for line in _text(rule).splitlines()]
    return [line for line in ndiff(old, new) if not line.startswith("?")]


def _in_today_s_form(rule: dict[str, Any]) -> dict[str, Any]:
    # S3 refuses a configuration that mixes rules with a Prefix of their own and a Filter.
    if "Prefix" not in rule:
        return rule
    rest = {name: value for name, value in rule.items() if name != "Prefix"}
    return {"Filter": {"Prefix": rule["Prefix"]}, **rest}


def _text(rule: dict[str, Any]) -> str:
    return json.dumps(rule, indent=2, sort_keys=True, default=str)
