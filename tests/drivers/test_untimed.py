from __future__ import annotations

from fractions import Fraction

import pytest
from toy_world import A, B, Toy

from simulator.api.meta import Key
from simulator.choices import Scripted
from simulator.cluster.component import View
from simulator.cluster.world import World
from simulator.drivers.untimed import Untimed, every_run, odds
from simulator.flows import DONE, Choose, Create, Enqueue, Flow, Poll, Remember, Sleep, Tell
from simulator.testing.builders import make_node
from simulator.units import HOUR, SECOND

VOLUMES = tuple(Key("PersistentVolume", "", f"pv-{i}") for i in range(6))


def drawing(weights: tuple[int, ...] | None = None, draws: int = 2) -> Toy:
    """Draws volumes one after another, without putting them back."""

    def flow(queue: str, key: Key, view: View) -> Flow:
        left = list(VOLUMES[:3])
        for _ in range(draws):
            shares = weights if len(left) == 3 else None
            chosen = yield Choose("volume", key, tuple(left), shares)
            left.remove(chosen)
            yield Tell(Remember(chosen.name))
        return DONE

    return Toy(flow)


def end_of(toy: Toy, chooser: Scripted, until: int = HOUR) -> str:
    world = World([toy], chooser)
    world.tell("toy", Enqueue("main", A))
    Untimed(world).run(until, lambda: False)
    return " ".join(what for _, what in world.runtimes["toy"].memory)


def test_every_order_is_found_once_with_its_exact_odds() -> None:
    found = odds(lambda chooser: end_of(drawing(), chooser))
    assert len(found) == 6 and set(found.values()) == {Fraction(1, 6)}
    assert next(iter(found)) == "pv-0 pv-1"


def test_runs_that_end_alike_are_added_up() -> None:
    found = odds(lambda chooser: " ".join(sorted(end_of(drawing(), chooser).split())))
    assert found == {"pv-0 pv-1": Fraction(1, 3), "pv-0 pv-2": Fraction(1, 3), "pv-1 pv-2": Fraction(1, 3)}


def test_kubernetes_own_weights_count_under_go_map_and_not_under_uniform() -> None:
    def first(chooser: Scripted) -> str:
        return end_of(drawing((6, 1, 1), draws=1), chooser)

    assert odds(first, "go-map") == {"pv-0": Fraction(3, 4), "pv-1": Fraction(1, 8), "pv-2": Fraction(1, 8)}
    assert set(odds(first).values()) == {Fraction(1, 3)}


@pytest.mark.parametrize(("ties", "end"), [("first", "pv-0 pv-1"), ("last", "pv-2 pv-1")])
def test_under_first_and_last_only_one_run_can_happen(ties: str, end: str) -> None:
    assert list(every_run(lambda chooser: end_of(drawing(), chooser), ties)) == [(end, 1)]


def test_the_chances_of_all_runs_sum_to_one_even_where_later_choices_depend_on_earlier_ones() -> None:
    def flow(queue: str, key: Key, view: View) -> Flow:
        chosen = yield Choose("volume", key, VOLUMES[:2])
        if chosen == VOLUMES[0]:
            chosen = yield Choose("volume", key, VOLUMES[2:5])
        yield Tell(Remember(chosen.name))
        return DONE

    found = odds(lambda chooser: end_of(Toy(flow), chooser))
    assert found == {"pv-2": Fraction(1, 6), "pv-3": Fraction(1, 6), "pv-4": Fraction(1, 6), "pv-1": Fraction(1, 2)}


def test_elsewhere_than_at_its_points_a_search_does_not_branch() -> None:
    def flow(queue: str, key: Key, view: View) -> Flow:
        yield Tell(Remember((yield Choose("batch-order", key, VOLUMES)).name))
        return DONE

    assert odds(lambda chooser: end_of(Toy(flow), chooser)) == {"pv-0": Fraction(1)}


def test_what_needs_no_waiting_goes_before_any_timer_and_timers_go_by_their_times() -> None:
    def flow(queue: str, key: Key, view: View) -> Flow:
        yield Tell(Enqueue("late", A, after=2 * SECOND))
        yield Tell(Enqueue("soon", A, after=1 * SECOND))
        for name in ("node1", "node2"):
            yield Create(make_node(name))
            yield Tell(Remember(name))
        return DONE

    def any_flow(queue: str, key: Key, view: View) -> Flow:
        if queue == "main":
            return (yield from flow(queue, key, view))
        yield Tell(Remember(queue))
        return DONE

    world = World([Toy(any_flow, queues={"main": 1, "soon": 1, "late": 1})], Scripted())
    world.tell("toy", Enqueue("main", A))
    Untimed(world).run(HOUR, lambda: False)
    assert world.runtimes["toy"].memory == [(0, "node1"), (0, "node2"), (SECOND, "soon"), (2 * SECOND, "late")]


def test_polls_and_sleeps_of_a_fixed_length_are_timers_too() -> None:
    def flow(queue: str, key: Key, view: View) -> Flow:
        yield Sleep("wait", 3 * SECOND)
        yield Tell(Remember("slept"))
        yield Poll("never", A, SECOND, 2 * SECOND)
        yield Tell(Remember("polled"))
        return DONE

    world = World([Toy(flow)], Scripted())
    world.tell("toy", Enqueue("main", A))
    Untimed(world).run(HOUR, lambda: False)
    assert world.runtimes["toy"].memory == [(3 * SECOND, "slept"), (5 * SECOND, "polled")]
    assert world.in_flight == 0


def test_a_run_ends_at_its_horizon() -> None:
    world = World([Toy(drawing()._flow)], Scripted())
    world.tell("toy", Enqueue("main", B, after=2 * HOUR))
    assert not Untimed(world).run(HOUR, lambda: False)
    assert world.runtimes["toy"].memory == [] and world.now == HOUR
