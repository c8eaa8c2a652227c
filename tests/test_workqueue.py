from __future__ import annotations

from simulator.api.meta import Key
from simulator.workqueue import WorkQueue

WEB, DB = Key("StatefulSet", "default", "web"), Key("StatefulSet", "default", "db")


def test_a_key_is_there_at_most_once_and_first_come_is_first_served() -> None:
    queue = WorkQueue(1)
    assert queue.add(WEB) and queue.add(DB) and not queue.add(WEB)
    assert queue.get() == WEB and queue.get() == DB


def test_a_key_added_while_it_is_worked_on_comes_round_once_more() -> None:
    queue = WorkQueue(5)
    queue.add(WEB)
    queue.get()
    assert not queue.add(WEB) and not queue.add(WEB)
    assert not queue.ready
    assert queue.done(WEB)
    assert list(queue.ready) == [WEB]
    queue.get()
    assert not queue.done(WEB)


def test_failures_double_the_delay_up_to_a_thousand_seconds_and_success_resets_it() -> None:
    queue = WorkQueue(1)
    assert [queue.back_off(WEB) for _ in range(4)] == [5_000, 10_000, 20_000, 40_000]
    for _ in range(40):
        longest = queue.back_off(WEB)
    assert longest == 1_000_000_000
    queue.forget(WEB)
    assert queue.back_off(WEB) == 5_000


def test_of_several_delays_the_earliest_counts() -> None:
    queue = WorkQueue(1)
    assert queue.add_after(WEB, 100)
    assert not queue.add_after(WEB, 200)
    assert queue.add_after(WEB, 50)
    assert not queue.expire(WEB, 49) and queue.expire(WEB, 50) and not queue.expire(WEB, 100)
