"""Lifecycle rules with effects that users may not expect."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from .findings import Finding


def hazards(rules: Iterable[dict[str, Any]], prefixes: Sequence[str]) -> Iterator[Finding]:
    """What lifecycle rules do to objects under `prefixes` that a user may not expect."""
    for rule in rules:
        applies = rule.get("Filter", {})
        every = applies.get("And", applies)
        prefix = rule.get("Prefix") or every.get("Prefix", "")
        touched = [own for own in prefixes if own.startswith(prefix) or prefix.startswith(own)]
        if rule.get("Status") != "Enabled" or not touched:
            continue
        name = f"The lifecycle rule {rule.get('ID', '')!r}"
        if every.get("Tags") or every.get("Tag"):
            name += " (on objects with certain tags)"
        expiration = rule.get("Expiration", {})
        if "Days" in expiration or "Date" in expiration:
            when = f"{expiration['Days']} days" if "Days" in expiration else "a date"
            yield Finding(
                "lifecycle",
                "failed",
                f"{name} expires current versions after {when}: documents that nobody edits "
                "disappear.",
                "Remove its Expiration; expire only noncurrent versions.",
            )
        noncurrent = rule.get("NoncurrentVersionExpiration", {})
        if "NoncurrentDays" in noncurrent:
            keeps = noncurrent.get("NewerNoncurrentVersions")
            spared = f", except the {keeps} newest" if keeps else ""
            yield Finding(
                "lifecycle",
                "warning",
                f"{name} removes versions {noncurrent['NoncurrentDays']} days after they were "
                f"replaced{spared}.",
                "Nothing, if that is intended: removed versions can't be restored.",
            )
        cold = {"GLACIER", "DEEP_ARCHIVE"}
        moves = [*rule.get("Transitions", []), *rule.get("NoncurrentVersionTransitions", [])]
        if any(move.get("StorageClass") in cold for move in moves):
            yield Finding(
                "lifecycle",
                "warning",
                f"{name} moves versions to a storage class that cannot be read at once.",
                "Choose a class with instant retrieval (GLACIER_IR, STANDARD_IA).",
            )
