from __future__ import annotations

from toy_world import A, B, Run, Toy, idle

from simulator.api.meta import Key
from simulator.cluster.component import Periodic, View
from simulator.drivers.rest import QUIET
from simulator.flows import DONE, TIMED_OUT, Create, Done, Enqueue, Flow, Poll, Remember, Sleep, Tell
from simulator.testing.builders import make_node
from simulator.units import HOUR, MINUTE, SECOND

RESYNC = Periodic("resync", 15 * SECOND, 15 * SECOND, "resync", Key("Toy", "", "resync"))


def rests_at(*toys: Toy, until: int = 4 * HOUR, begin: tuple[Enqueue, ...] = ()) -> int | None:
    """When a run comes to rest for good; None if it does not."""
    run = Run(*toys)
    for told in begin:
        run.world.tell("toy", told)
    run.world.begin()
    return run.world.now if run.driver.run(until, run.driver.rest.is_reached) else None


def quiet(queue: str, key: Key, view: View) -> Flow:
    yield from ()
    return DONE


def test_it_is_at_rest_once_every_periodic_timer_has_fired_in_vain() -> None:
    at = rests_at(Toy(quiet, queues={"resync": 1}, periodics=[RESYNC]))
    assert at is not None and QUIET <= at < QUIET + 15 * SECOND


def test_a_longer_period_is_waited_for() -> None:
    slow = Periodic("slow", 20 * MINUTE, 20 * MINUTE, "resync", A)
    assert rests_at(Toy(quiet, queues={"resync": 1}, periodics=[slow])) == 20 * MINUTE


def test_a_change_of_an_object_begins_the_wait_anew() -> None:
    def flow(queue: str, key: Key, view: View) -> Flow:
        if view.now == 5 * MINUTE:
            yield Create(make_node("node1"))
        return DONE

    at = rests_at(Toy(flow, queues={"resync": 1}, periodics=[RESYNC]))
    assert at is not None and 5 * MINUTE + QUIET < at < 5 * MINUTE + QUIET + 20 * SECOND


def test_a_one_shot_timer_that_is_still_to_come_means_that_it_is_not_at_rest() -> None:
    def flow(queue: str, key: Key, view: View) -> Flow:
        if queue == "main":
            yield Create(make_node("node1"))
        return DONE

    toy = Toy(flow, queues={"resync": 1, "main": 1}, periodics=[RESYNC])
    at = rests_at(toy, begin=(Enqueue("main", A, after=HOUR),))
    assert at is not None and at > HOUR + QUIET


def test_a_timer_set_again_and_again_that_changes_nothing_counts_as_periodic() -> None:
    def flow(queue: str, key: Key, view: View) -> Flow:
        yield from ()
        return Done(requeue_after=5 * MINUTE) if queue == "main" else DONE

    toy = Toy(flow, queues={"resync": 1, "main": 1}, periodics=[RESYNC])
    at = rests_at(toy, begin=(Enqueue("main", A),))
    assert at is not None and QUIET <= at < QUIET + 15 * SECOND


def test_a_timer_that_fired_before_the_last_change_of_the_same_moment_has_not_fired_in_vain() -> None:
    def flow(queue: str, key: Key, view: View) -> Flow:
        if queue == "main" and key == A and view.now == MINUTE:
            yield Tell(Enqueue("main", A, after=HOUR))
            yield Tell(Enqueue("main", B))
        elif queue == "main":
            yield Create(make_node(f"node-{key.name}"))
        return DONE

    toy = Toy(flow, queues={"resync": 1, "main": 2}, periodics=[RESYNC])
    run = Run(toy, latencies={})
    run.driver = type(run.driver)(run.world, {**run.driver._latencies, "api": run.driver._latencies["work"]})
    run.world.tell("toy", Enqueue("main", A, after=MINUTE))
    run.world.begin()
    assert run.driver.run(4 * HOUR, run.driver.rest.is_reached)
    assert run.world.now > HOUR and len(run.world.store.of_kind("Node")) == 2


def test_who_polls_or_sleeps_is_under_way() -> None:
    def flow(queue: str, key: Key, view: View) -> Flow:
        if queue == "main":
            assert (yield Poll("never", A, SECOND, 10 * MINUTE)) == TIMED_OUT
            yield Sleep("nap", 10 * MINUTE)
            yield Tell(Remember("done"))
        return DONE

    toy = Toy(flow, queues={"resync": 1, "main": 1}, periodics=[RESYNC])
    at = rests_at(toy, begin=(Enqueue("main", A),))
    assert at is not None and at >= 20 * MINUTE


def test_it_is_calm_as_soon_as_nothing_is_under_way_and_no_one_shot_timer_is_left() -> None:
    run = Run(Toy(idle, queues={"resync": 1, "main": 1}, periodics=[RESYNC]))
    run.world.begin()
    assert run.driver.run(HOUR, run.driver.rest.is_calm) and run.world.now == 0
    run.world.tell("toy", Enqueue("main", A, after=MINUTE))
    assert run.driver.run(HOUR, run.driver.rest.is_calm) and run.world.now == MINUTE


def test_a_world_in_which_objects_change_for_ever_never_comes_to_rest() -> None:
    def flow(queue: str, key: Key, view: View) -> Flow:
        yield Create(make_node(f"node-{view.now}"))
        return DONE

    assert rests_at(Toy(flow, queues={"resync": 1}, periodics=[RESYNC]), until=HOUR) is None
