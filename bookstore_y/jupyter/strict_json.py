"""JSON as RFC 8259 has it: what Python's parser takes beyond that no other program reads back."""

from __future__ import annotations

import json
import math
from typing import Any


class NotJSON(ValueError):
    """The message is the end of a sentence that begins with what is not JSON."""


def parse(data: bytes) -> Any:
    """The value that `data` holds. Raises `NotJSON`, also for NaN and infinities, for halves of
    surrogate pairs, and for values that are nested too deeply to be worked with."""
    try:
        value = json.loads(data.decode(), parse_constant=_refuse, parse_float=_finite)
        # A lone \ud800 is a string to the parser, and cannot be encoded.
        json.dumps(value, ensure_ascii=False).encode()
    except NotJSON:
        raise
    except RecursionError:
        raise NotJSON("is nested too deeply") from None
    except UnicodeError:
        raise NotJSON("holds text that is not Unicode") from None
    except ValueError as error:
        raise NotJSON(f"is not JSON ({error})") from None
    return value


def _refuse(constant: str) -> Any:
    raise NotJSON(f"holds {constant}, which is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise NotJSON(f"holds a number that is too large ({digits[:20]})")
    return number
