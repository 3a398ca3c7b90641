"""Which versions a retention policy keeps."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookstore_y.s3.objects import ObjectVersion
from bookstore_y.tools.retention import (
    FOREVER,
    Policy,
    duration,
    superfluous,
)

NOW = datetime(2026, 3, 15, 12, tzinfo=timezone.utc)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def listing(*ages: timedelta, markers: tuple[int, ...] = ()) -> list[ObjectVersion]:
    """The entries of one key, newest first; those at the indices `markers` are deletions."""
    return [
        ObjectVersion("k", f"v{index}", "", NOW - age, 1, index == 0, index in markers)
        for index, age in enumerate(ages)
    ]


def going(entries: list[ObjectVersion], policy: Policy, *protected: str) -> list[str]:
    return sorted(entry.version_id for entry in superfluous(entries, policy, NOW, protected))


NOTHING = Policy(*[timedelta(0)] * 5)
"""Keeps what has to be kept."""


def test_all_versions_are_kept_for_a_while() -> None:
    entries = listing(HOUR, 2 * HOUR, 6 * DAY, 8 * DAY)
    assert going(entries, replace(NOTHING, keep_all=7 * DAY)) == ["v3"]


def test_then_the_last_of_each_hour_day_and_month() -> None:
    midnight = timedelta(hours=12)  # NOW is at noon
    entries = listing(
        timedelta(0),
        # one day: 23:50, 23:10, 22:30
        midnight + timedelta(minutes=10),
        midnight + timedelta(minutes=50),
        midnight + timedelta(minutes=90),
        # another, a month before
        40 * DAY,
        40 * DAY + HOUR,
        41 * DAY,
    )
    assert going(entries, replace(NOTHING, hourly=2 * DAY)) == ["v2", "v4", "v5", "v6"]
    assert going(entries, replace(NOTHING, daily=FOREVER)) == ["v2", "v3", "v5"]
    assert going(entries, replace(NOTHING, monthly=FOREVER)) == ["v1", "v2", "v3", "v5", "v6"]


def test_the_current_and_the_protected_stay_however_old() -> None:
    entries = listing(9999 * DAY, 10_000 * DAY, 10_001 * DAY)
    assert going(entries, NOTHING, "v2") == ["v1"]


def test_a_deleted_file_keeps_its_last_version_and_its_marker() -> None:
    entries = listing(100 * DAY, 200 * DAY, 300 * DAY, markers=(0,))
    assert going(entries, replace(NOTHING, deleted=FOREVER)) == ["v2"]


def test_a_file_that_was_deleted_long_enough_goes_with_its_marker_last() -> None:
    entries = listing(100 * DAY, 200 * DAY, 300 * DAY, markers=(0,))
    policy = Policy(deleted=90 * DAY)
    order = [entry.version_id for entry in superfluous(entries, policy, NOW)]
    assert order == ["v2", "v1", "v0"]
    assert going(entries, replace(policy, deleted=101 * DAY), "v2") == []


def test_a_label_keeps_the_marker_that_hides_it() -> None:
    entries = listing(100 * DAY, 200 * DAY, 300 * DAY, markers=(0,))
    assert going(entries, NOTHING, "v2") == ["v1"]


def test_markers_between_versions_stay_while_they_part_them() -> None:
    entries = listing(HOUR, 10 * DAY, 20 * DAY, 30 * DAY, markers=(1, 2))
    assert going(entries, NOTHING, "v3") == ["v1"]  # one marker is enough
    assert going(entries, NOTHING) == ["v1", "v2", "v3"]
    assert going(entries, replace(NOTHING, keep_all=15 * DAY)) == ["v2", "v3"]


def test_nothing_is_superfluous_of_nothing() -> None:
    assert superfluous([], NOTHING, NOW) == []


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("0", timedelta(0)),
        ("90min", timedelta(minutes=90)),
        ("12h", 12 * HOUR),
        (" 7 D ", 7 * DAY),
        ("2w", 14 * DAY),
        ("3mo", 93 * DAY),
        ("1y", 366 * DAY),
        ("forever", FOREVER),
        ("999999999y", FOREVER),
    ],
)
def test_durations(text: str, means: timedelta) -> None:
    assert duration(text) == means


@pytest.mark.parametrize("text", ["", "7", "d", "-1d", "7m", "1.5d", "always", "7 days ago"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        duration(text)


# -- whatever the versions and the policy --------------------------------------------------------

lengths = st.one_of(
    st.just(FOREVER), st.integers(0, 24 * 400).map(lambda hours: timedelta(hours=hours))
)
policies = st.builds(Policy, lengths, lengths, lengths, lengths, lengths)
moments = st.lists(
    st.tuples(st.integers(-100, 24 * 60 * 500), st.booleans()), min_size=1, max_size=40
)


@st.composite
def histories(draw: st.DrawFn) -> list[ObjectVersion]:
    drawn = sorted(draw(moments), key=lambda moment: moment[0])
    markers = tuple(index for index, (_, is_marker) in enumerate(drawn) if is_marker)
    return listing(*(timedelta(minutes=age) for age, _ in drawn), markers=markers)


def left(
    entries: list[ObjectVersion], policy: Policy, protected: set[str] | None = None
) -> list[ObjectVersion]:
    gone = superfluous(entries, policy, NOW, protected or ())
    return [entry for entry in entries if entry not in gone]


protections = st.sets(st.integers(0, 39).map(lambda index: f"v{index}"), max_size=5)


@given(histories(), policies, protections)
def test_what_is_current_or_protected_stays(
    entries: list[ObjectVersion], policy: Policy, protected: set[str]
) -> None:
    stays = left(entries, policy, protected)
    versions = [entry for entry in entries if not entry.is_delete_marker]
    if versions and entries[0] is versions[0]:
        assert stays[0] is entries[0]
    assert {e.version_id for e in versions} & protected <= {e.version_id for e in stays}


@given(histories(), policies, protections)
def test_pruning_again_removes_nothing_more(
    entries: list[ObjectVersion], policy: Policy, protected: set[str]
) -> None:
    once = left(entries, policy, protected)
    assert left(once, policy, protected) == once


@given(histories(), policies, policies)
def test_a_policy_that_keeps_longer_keeps_no_less(
    entries: list[ObjectVersion], one: Policy, other: Policy
) -> None:
    longer = Policy(*map(max, vars(one).values(), vars(other).values()))
    kept = {entry.version_id for entry in left(entries, longer) if not entry.is_delete_marker}
    less = {entry.version_id for entry in left(entries, one) if not entry.is_delete_marker}
    assert less <= kept


@given(histories(), policies)
def test_each_period_within_its_horizon_keeps_a_version(
    entries: list[ObjectVersion], policy: Policy
) -> None:
    if entries[0].is_delete_marker:
        policy = replace(policy, deleted=FOREVER)
    stays = left(entries, policy)
    for form, horizon in (
        ("%Y-%m-%d %H", policy.hourly),
        ("%Y-%m-%d", policy.daily),
        ("%Y-%m", policy.monthly),
    ):

        def periods(among: list[ObjectVersion], form: str, horizon: timedelta) -> set[str]:
            return {
                entry.last_modified.strftime(form)
                for entry in among
                if not entry.is_delete_marker
                and (horizon == FOREVER or NOW - entry.last_modified <= horizon)
            }

        assert periods(stays, form, horizon) == periods(entries, form, horizon)


@given(histories(), policies, protections)
def test_what_was_deleted_stays_deleted(
    entries: list[ObjectVersion], policy: Policy, protected: set[str]
) -> None:
    """At every step of the removal, and for every version that stays."""
    remaining = list(entries)
    for entry in superfluous(entries, policy, NOW, protected):
        remaining.remove(entry)
        if entries[0].is_delete_marker:
            assert not remaining or remaining[0].is_delete_marker


@given(histories(), st.integers(0, 24 * 400))
def test_as_time_goes_by_what_is_left_would_have_been_left(
    entries: list[ObjectVersion], hours: int
) -> None:
    """Pruning often comes to what pruning once would have come to."""
    policy = Policy()
    often = left(entries, policy)
    later = NOW + timedelta(hours=hours)

    def keeps(among: list[ObjectVersion]) -> list[ObjectVersion]:
        gone = superfluous(among, policy, later)
        return [entry for entry in among if entry not in gone and not entry.is_delete_marker]

    assert keeps(often) == keeps(entries)
