"""The retries of a controller's queue."""

from __future__ import annotations

import pytest

from simulator.api.meta import Key
from simulator.units import MILLISECOND, SECOND
from simulator.workqueue import WorkQueue


def key(number: int) -> Key:
    return Key("StatefulSet", "default", f"web{number}")


@pytest.mark.rule("WL-31")
def test_each_set_waits_twice_as_long_after_each_failure_and_success_resets_it() -> None:
    queue = WorkQueue(5)
    waits = [queue.back_off(key(1)) for _ in range(20)]
    assert waits[:4] == [5_000, 10_000, 20_000, 40_000] and waits[-2:] == [1000 * SECOND] * 2
    assert queue.back_off(key(2)) == 5_000
    queue.forget(key(1))
    assert queue.back_off(key(1)) == 5_000


@pytest.mark.rule("WL-31")
def test_all_sets_together_are_retried_a_hundred_times_at_once_and_then_ten_times_a_second() -> None:
    queue = WorkQueue(5)
    waits = [queue.back_off(key(number), 60 * SECOND) for number in range(120)]
    assert set(waits[:100]) == {5 * MILLISECOND}
    assert waits[100:] == [100 * MILLISECOND * number for number in range(1, 21)]
    assert queue.back_off(key(200), 63 * SECOND) == 5 * MILLISECOND, "it has filled up a little"
