from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.manifests import EPOCH, format_time, parse_time
from simulator.units import HOUR, SECOND


def test_the_epoch_is_zero_and_what_lies_before_is_negative() -> None:
    assert parse_time(EPOCH) == 0
    assert parse_time("2025-12-31T23:00:00Z") == -HOUR
    assert parse_time("2026-01-01T00:00:00.000001Z") == 1


def test_time_zones_and_fractions_count() -> None:
    assert parse_time("2026-01-01T02:00:00+02:00") == 0
    assert parse_time("2025-12-31t19:30:00-04:30") == 0
    assert parse_time("2026-01-01T00:00:01.123456789Z") == 1_123_456


def test_another_epoch_can_be_chosen() -> None:
    assert parse_time("2030-05-05T00:00:10Z", "2030-05-05T00:00:00Z") == 10 * SECOND
    assert format_time(10 * SECOND, "2030-05-05T00:00:00Z") == "2030-05-05T00:00:10Z"


@given(st.integers(-(10**9), 10**9))
def test_what_is_printed_is_read_back(second: int) -> None:
    assert parse_time(format_time(second * SECOND)) == second * SECOND


@pytest.mark.parametrize(
    "text",
    ["yesterday", "", "2026-01-01", "2026-01-01T00:00:00", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z",
     "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z", "0000-01-01T00:00:00Z", "２026-01-01T00:00:00Z"],
)  # fmt: skip
def test_what_is_no_point_in_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a point in time"):
        parse_time(text)
