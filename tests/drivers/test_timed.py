from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_world import A, B, Run, Toy, idle, labelled

from simulator.api.meta import Key
from simulator.choices import Seeded
from simulator.cluster.component import Change, View
from simulator.flows import DONE, Choose, Create, Emit, Enqueue, Flow, Note, Patch, Remember, Sleep, Spawn, Tell, Told
from simulator.latency import uniform
from simulator.testing.builders import make_class, make_node
from simulator.units import HOUR, MILLISECOND, SECOND


def seen(change: Change, view: View) -> Iterable[Told]:
    return [Remember((change.key.kind, change.new.metadata.resource_version if change.new is not None else 0))]


def writer(queue: str, key: Key, view: View) -> Flow:
    """Changes objects of two kinds in turn, in quick succession."""
    yield Create(make_node("node1"))
    yield Create(make_class("local"))
    for turn in range(10):
        yield Patch(Key("Node", "", "node1"), labelled, ("turn", str(turn)))
        yield Patch(Key("StorageClass", "", "local"), labelled, ("turn", str(turn)))
    return DONE


@pytest.mark.rule("CP-1")
@given(seed=st.integers(0, 10_000))
def test_a_watch_keeps_its_order_whatever_it_costs(seed: int) -> None:
    slow = uniform(0, 50 * MILLISECOND)
    watchers = [Toy(idle, name=name, watches=["Node", "StorageClass"], observe=seen) for name in ("first", "second")]
    run = Run(Toy(writer), *watchers, latencies={"watch": slow}, chooser=Seeded(seed))
    run.world.tell("toy", Enqueue("main", A))
    run.to_the_end()
    for name in ("first", "second"):
        for kind in ("Node", "StorageClass"):
            versions = [version for of, version in run.said(name) if of == kind]
            assert versions == sorted(versions) and len(versions) == 11
    assert run.world.in_flight == 0


def test_two_components_may_see_the_same_change_at_different_times() -> None:
    watchers = [Toy(idle, name=name, watches=["Node"], observe=seen) for name in ("first", "second")]
    run = Run(*watchers, latencies={"watch": uniform(0, SECOND)})
    run.world.api.handle(Create(make_node("node1")), 0)
    run.to_the_end()
    assert run.diary("first") != run.diary("second")


def test_no_time_passes_for_what_touches_only_memory() -> None:
    def flow(queue: str, key: Key, view: View) -> Flow:
        if key == B:
            yield Tell(Remember(view.argument))
        else:
            yield Tell(Emit(A, "Normal", "Started", "here"))
            yield Tell(Note("look", A, {}))
            yield Choose("pick", A, (A, B))
            yield Tell(Spawn("main", B, "child"))
            yield Tell(Enqueue("main", B))
        return DONE

    run = Run(Toy(flow))
    run.world.tell("toy", Enqueue("main", A))
    assert run.to_the_end(SECOND).diary() == [(0, "child"), (0, None)]


def test_a_run_ends_between_two_moments_as_soon_as_it_is_told_to() -> None:
    run = Run(Toy(idle))
    run.world.tell("toy", Enqueue("main", A, after=SECOND))
    run.world.tell("toy", Enqueue("main", B, after=2 * SECOND))
    assert run.driver.run(HOUR, lambda: bool(run.said()))
    assert run.diary() == [(SECOND, "a")] and run.world.now == SECOND


def test_what_is_due_at_the_horizon_is_done_and_what_is_due_later_is_not() -> None:
    run = Run(Toy(idle))
    run.world.tell("toy", Enqueue("main", A, after=SECOND))
    run.world.tell("toy", Enqueue("main", B, after=SECOND + 1))
    assert not run.driver.run(SECOND, lambda: False)
    assert run.said() == ["a"] and run.world.now == SECOND


def test_a_run_that_was_ended_goes_on_where_it_stood() -> None:
    run = Run(Toy(idle))
    run.world.tell("toy", Enqueue("main", A, after=SECOND))
    run.world.tell("toy", Enqueue("main", B, after=2 * SECOND))
    run.to_the_end(SECOND + 5)
    assert run.to_the_end(HOUR).diary() == [(SECOND, "a"), (2 * SECOND, "b")]


def test_whether_it_is_over_is_asked_at_a_moment_that_was_named() -> None:
    run = Run(Toy(idle))
    run.driver.wake(5 * SECOND)
    asked: list[int] = []
    run.driver.run(HOUR, lambda: asked.append(run.world.now) is not None)
    assert asked == [0, 5 * SECOND]


def test_a_latency_that_is_not_given_has_kubernetes_own_and_a_point_falls_back_on_the_part_before_the_slash() -> None:
    run = Run(Toy(idle, name="slow"), Toy(idle, name="scheduler"), latencies={"work/slow": uniform(SECOND, SECOND)})
    run.world.tell("slow", Enqueue("main", A))
    run.world.tell("scheduler", Enqueue("main", A))
    run.to_the_end()
    assert run.diary("slow") == [(SECOND, "a")]
    assert run.diary("scheduler") == [(0, "a")]  # `work` is given, and stands before the default of `work/scheduler`


def test_the_same_seed_gives_the_same_run_and_another_seed_another() -> None:
    def history(seed: int) -> bytes:
        def flow(queue: str, key: Key, view: View) -> Flow:
            yield Sleep("nap")
            chosen = yield Choose("pick", key, (A, B))
            yield Tell(Note("picked", chosen, {}))
            yield Create(make_node(key.name))
            return DONE

        run = Run(Toy(flow, queues={"main": 3}), chooser=Seeded(seed),
                  latencies={"nap": uniform(0, SECOND), "api": uniform(0, SECOND)})
        for number in range(20):
            run.world.tell("toy", Enqueue("main", Key("Toy", "", str(number))))
        return b"".join(run.to_the_end().world.log.lines())

    assert history(1) == history(1) != history(2)
