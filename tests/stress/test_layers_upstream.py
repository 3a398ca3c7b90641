"""The faults that docs/upstream.md describes, by its programs. One that is gone leaves the page."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parents[2] / "docs" / "upstream"
PAGE = PROGRAMS.with_suffix(".md")

SHOWN = {
    "changed_while_opening": r"in the file: new; in the room: newnew",
    "clock": r"150 of 180 edits",
    "disorder": r"bad of cbad\ncbad after synchronizing",
    "fresh_database": r"(?s).*table yupdates already exists",
    "full_stream": r"6553\d of 70000 updates",
    "locked": r"a of abc",
    "nagle": r"plain: \d+ ms\nnodelay: \d+ ms",
    "odd_numbers": r"NaN: ValueError\nInfinity: OverflowError\n9223372036854775807: "
    r"9223372036854775808\n9223372036854775808: PanicException\n1e300: 301 digits",
    "silent_error": r"served to the end: nothing raised, nothing logged",
    "squash": r"plain: 150 of 150\nsquashed: 99 of 150\ncompressed: 99 of 150",
    "stale_file": r"typed: old and new words typed; in the file: old\nafter the crash: old",
    "stopped_room": r"\d{1,3} of 1000 edits",
}


def test_every_program_is_run_and_on_the_page() -> None:
    programs = {path.stem for path in PROGRAMS.glob("*.py")}
    assert programs == SHOWN.keys()
    assert programs == set(re.findall(r"\(upstream/(\w+)\.py\)", PAGE.read_text()))


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(
            name,
            marks=[pytest.mark.slow] if name in ("full_stream", "locked") else [],
        )
        for name in SHOWN
    ],
)
def test_the_program_shows_the_fault(program: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, PROGRAMS / f"{program}.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert re.fullmatch(SHOWN[program], done.stdout.strip())
