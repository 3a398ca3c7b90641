"""A request's arguments: the fields of its JSON object, and its query."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

from tornado.web import HTTPError, RequestHandler

PAGE = 50
MOST = 1000
"""Items on a page, by default and at most."""

SMALL = 1024**2
"""Bytes that the body of a call takes at most which carries no document."""

_SPACE_FOR_PLUS = re.compile(r" (?=\d\d:?\d\d$)")

_FLAGS = {"1": True, "true": True, "0": False, "false": False}


class Fields:
    """The fields of a JSON object. One that is null or an empty string was not given.

    Every method raises `HTTPError` 400 for a value of the wrong type.
    """

    def __init__(self, body: bytes, *, limit: int = SMALL) -> None:
        """Raises `HTTPError`: 413 over `limit` bytes, 400 for what is not a JSON object."""
        if len(body) > limit:
            raise HTTPError(413, f"The body has {len(body)} bytes; the maximum is {limit}.")
        try:
            value = _parse(body)
        except _NotJSON as error:
            raise HTTPError(400, f"The body {error}; send a JSON object.") from None
        if not isinstance(value, dict):
            raise HTTPError(400, "The body is JSON, but not an object; send a JSON object.")
        self._fields: dict[str, Any] = value

    def __contains__(self, name: str) -> bool:
        return self._fields.get(name) not in (None, "")

    def text(self, name: str) -> str | None:
        """A string, or None."""
        if name not in self:
            return None
        value = self._fields[name]
        if not isinstance(value, str):
            raise HTTPError(400, f'"{name}" must be a string.')
        return value

    def required(self, name: str) -> str:
        """A string that must be given."""
        value = self.text(name)
        if value is None:
            raise HTTPError(400, f'Send a JSON object with a non-empty string "{name}".')
        return value

    def flag(self, name: str) -> bool:
        """A boolean; False when not given."""
        value = self._fields.get(name)
        if not isinstance(value, (bool, type(None))):
            raise HTTPError(400, f'"{name}" must be true or false.')
        return bool(value)

    def value(self, name: str) -> Any:
        """Whatever it is; None when not given."""
        return self._fields.get(name)


class Query:
    """The arguments of a query. Every method raises `HTTPError` 400 for what it cannot take."""

    def __init__(self, handler: RequestHandler) -> None:
        self._handler = handler

    def text(self, name: str) -> str | None:
        """The last value of the name; None when there is none, or an empty one."""
        return self._given(name) or None

    def _given(self, name: str) -> str | None:
        return self._handler.get_query_argument(name, None, strip=False)

    def required(self, name: str) -> str:
        """A value that must be given."""
        value = self.text(name)
        if value is None:
            raise HTTPError(400, f"Give a non-empty {name} in the query.")
        return value

    def limit(self) -> int:
        """How many items a page is to have: a whole number from 1 to `MOST`."""
        text = self._given("limit")
        if text is None:
            return PAGE
        if not (text.isascii() and text.isdecimal() and len(text) < 10 and 1 <= int(text) <= MOST):
            raise HTTPError(400, f"limit must be a whole number from 1 to {MOST}.")
        return int(text)

    def flag(self, name: str, default: bool = False) -> bool:
        """1, true, 0 or false."""
        text = self._given(name)
        if text is None:
            return default
        if text not in _FLAGS:
            raise HTTPError(400, f"{name} must be 1, true, 0 or false.")
        return _FLAGS[text]

    def time(self, name: str) -> datetime | None:
        """A moment in ISO 8601; in UTC where it names no offset."""
        text = self._given(name)
        if text is None:
            return None
        # A + that was not percent-encoded arrives as a space, and Python 3.10 knows no Z.
        text = _SPACE_FOR_PLUS.sub("+", text)
        if text.endswith(("Z", "z")):
            text = f"{text[:-1]}+00:00"
        try:
            moment = datetime.fromisoformat(text)
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=timezone.utc)
            return moment.astimezone(timezone.utc)
        except (ValueError, OverflowError):
            raise HTTPError(
                400, f"{name} must be a time in ISO 8601, such as 2026-11-21T16:30:00Z."
            ) from None

    def choices(self, name: str, known: Sequence[str], default: tuple[str, ...]) -> tuple[str, ...]:
        """The known values of a name that may be repeated."""
        given = self._handler.get_query_arguments(name, strip=False)
        for value in given:
            if value not in known:
                raise HTTPError(400, f"{name} must be one of {', '.join(known)}.")
        return tuple(dict.fromkeys(given)) or default

    def choice(self, name: str, known: Sequence[str]) -> str:
        """One of the known values; the first when there is none."""
        text = self._given(name)
        if text is not None and text not in known:
            raise HTTPError(400, f"{name} must be one of {', '.join(known)}.")
        return known[0] if text is None else text


def path_of(path: str | None) -> str:
    """A document's path from the URL; which paths there can be is for `keys` to say."""
    return (path or "").strip("/")


class _NotJSON(ValueError):
    """The message is the end of a sentence that begins with what is not JSON."""


def _parse(data: bytes) -> Any:
    """The value that `data` holds.

    Raises `_NotJSON` for what is not JSON (RFC 8259), also for what Python's parser accepts and
    other programs cannot read back: NaN, infinities, and halves of surrogate pairs; and for values
    that are nested too deeply to be worked with.
    """
    try:
        value = json.loads(data.decode(), parse_constant=_refuse, parse_float=_finite)
        # A lone \ud800 is a string to the parser, and cannot be encoded.
        json.dumps(value, ensure_ascii=False).encode()
    except _NotJSON:
        raise
    except RecursionError:
        raise _NotJSON("is nested too deeply") from None
    except UnicodeError:
        raise _NotJSON("holds text that is not Unicode") from None
    except ValueError as error:
        raise _NotJSON(f"is not JSON ({error})") from None
    return value


def _refuse(constant: str) -> Any:
    raise _NotJSON(f"holds {constant}, which is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise _NotJSON(f"holds a number that is too large ({digits[:20]})")
    return number
