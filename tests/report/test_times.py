from __future__ import annotations

import pytest

from simulator.report.times import age, clock, duration, rfc3339, rfc3339_micro
from simulator.units import SECOND

MINUTE, HOUR, DAY, YEAR = 60, 3600, 24 * 3600, 365 * 24 * 3600


@pytest.mark.rule("WL-172")
@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-2, "<invalid>"),
        (-1, "0s"),
        (-0.5, "0s"),
        (0, "0s"),
        (0.9, "0s"),
        (119, "119s"),
        (120, "2m"),
        (121, "2m1s"),
        (10 * MINUTE - 1, "9m59s"),
        (10 * MINUTE, "10m"),
        (10 * MINUTE + 59, "10m"),
        (3 * HOUR - 1, "179m"),
        (3 * HOUR, "3h"),
        (3 * HOUR + MINUTE, "3h1m"),
        (8 * HOUR - 1, "7h59m"),
        (8 * HOUR, "8h"),
        (48 * HOUR - 1, "47h"),
        (2 * DAY, "2d"),
        (2 * DAY + HOUR, "2d1h"),
        (8 * DAY - 1, "7d23h"),
        (8 * DAY, "8d"),
        (2 * YEAR - 1, "729d"),
        (2 * YEAR, "2y"),
        (2 * YEAR + DAY, "2y1d"),
        (8 * YEAR - 1, "7y364d"),
        (8 * YEAR, "8y"),
        (9 * YEAR + DAY, "9y"),
    ],
)
def test_ages_are_cut_as_kubectl_cuts_them(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.mark.rule("CP-19")
def test_an_age_counts_from_the_whole_second_that_the_api_stamps() -> None:
    assert age(1_999_999, 2_000_000) == "1s"
    assert age(None, SECOND) == "<unknown>"


def test_a_run_starts_with_the_year_2026() -> None:
    assert rfc3339(0) == "2026-01-01T00:00:00Z"
    assert rfc3339(90_061_900_000) == "2026-01-02T01:01:01Z"
    assert rfc3339_micro(5_250_000) == "2026-01-01T00:00:05.250000Z"


@pytest.mark.parametrize(
    ("time", "shown"),
    [
        (0, "0s"),
        (250, "0.25ms"),
        (12_345, "12.35ms"),
        (999_900, "999.9ms"),
        (1_000_000, "1.00s"),
        (12_340_000, "12.3s"),
        (59_960_000, "60s"),
        (60_000_000, "1m00.0s"),
        (3_725_000_000, "1h02m05s"),
    ],
)
def test_the_clock_of_a_timeline_is_short(time: int, shown: str) -> None:
    assert clock(time) == shown
