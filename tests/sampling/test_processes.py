from __future__ import annotations

import os
import signal
import time
from itertools import count, islice

import pytest

from simulator.errors import ManifestError, SimulatorError
from simulator.sampling.processes import in_order


def slow_at_first(shared: str, item: int) -> str:
    """The first items take longest."""
    time.sleep(0.05 if item < 2 else 0.0)
    return f"{shared}{item}"


def refuse(shared: int, item: int) -> int:
    if item == shared:
        raise ManifestError(f"{item} is wrong")
    return item


def die(shared: None, item: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def process_of(shared: None, item: int) -> int:
    time.sleep(0.02)
    return os.getpid()


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_results_come_in_the_order_of_the_work(workers: int) -> None:
    assert list(in_order(slow_at_first, "x", range(9), workers)) == [f"x{number}" for number in range(9)]
    assert list(in_order(slow_at_first, "x", [], workers)) == []


def test_several_processes_take_part_and_one_is_this_one() -> None:
    assert set(in_order(process_of, None, range(4), 1)) == {os.getpid()}
    others = set(in_order(process_of, None, range(40), 2))
    assert len(others) == 2 and os.getpid() not in others


@pytest.mark.parametrize("workers", [1, 2])
def test_work_without_end_is_done_as_far_as_it_is_asked_for(workers: int) -> None:
    results = in_order(slow_at_first, "", count(), workers)
    assert list(islice(results, 5)) == ["0", "1", "2", "3", "4"]
    results.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_arrives_as_itself_after_the_results_before_it(workers: int) -> None:
    results = in_order(refuse, 2, range(5), workers)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ManifestError, match="2 is wrong"):
        next(results)


@pytest.mark.parametrize("workers", [1, 2])
def test_whoever_asks_to_stop_gets_what_there_is(workers: int) -> None:
    got: list[str] = []
    for result in in_order(slow_at_first, "", count(), workers, lambda: len(got) == 3):
        got.append(result)
    assert got == ["0", "1", "2"]


def test_a_process_that_dies_is_named() -> None:
    with pytest.raises(SimulatorError, match="there may be too little memory for so many"):
        list(in_order(die, None, range(3), 2))
