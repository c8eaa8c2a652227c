from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from toy_world import A, B, C, Run, Toy, idle, labelled

from simulator.api.core import Node
from simulator.api.meta import Key
from simulator.choices import Scripted
from simulator.cluster.component import Change, Periodic, View
from simulator.errors import InvariantViolated
from simulator.flows import (
    DONE,
    TIMED_OUT,
    Choose,
    Create,
    Delete,
    Done,
    Emit,
    Enqueue,
    Flow,
    Get,
    ListLive,
    Note,
    Patch,
    Poll,
    Refused,
    Remember,
    Retry,
    Sleep,
    Spawn,
    Tell,
    Update,
)
from simulator.testing.builders import make_node
from simulator.units import MILLISECOND, SECOND

NODE = Key("Node", "", "node1")


def start(run: Run, *keys: Key, queue: str = "main") -> Run:
    for key in keys:
        run.world.tell("toy", Enqueue(queue, key))
    return run


# --- queues ---------------------------------------------------------------------------------------------------------


def test_keys_are_synced_in_order_of_arrival_and_each_once() -> None:
    run = start(Run(Toy(idle)), B, A, B, C).to_the_end()
    assert run.said() == ["b", "a", "c"]


def test_no_more_keys_of_a_queue_are_synced_at_once_than_it_has_workers() -> None:
    def flow(queue: str, key: Key, view: View) -> Flow:
        yield Tell(Remember(f"{key.name} begins"))
        yield Sleep("nap")
        yield Tell(Remember(f"{key.name} ends"))
        return DONE

    run = start(Run(Toy(flow, queues={"main": 2})), A, B, C).to_the_end()
    assert run.said() == ["a begins", "b begins", "a ends", "b ends", "c begins", "c ends"]
    assert [time for time, _ in run.diary()] == [0, 0, 7_000, 7_000, 7_000, 14_000]


def test_a_key_that_changes_while_it_is_synced_is_synced_once_more_and_never_twice_at_a_time() -> None:
    def flow(queue: str, key: Key, view: View) -> Flow:
        yield Tell(Remember("begins"))
        if len(view.memory) == 1:
            yield Tell(Enqueue("main", A))
            yield Tell(Enqueue("main", A))
        yield Sleep("nap")
        yield Tell(Remember("ends"))
        return DONE

    run = start(Run(Toy(flow, queues={"main": 5})), A).to_the_end()
    assert run.said() == ["begins", "ends", "begins", "ends"]


def test_a_delayed_key_is_synced_when_it_is_due_and_the_earliest_delay_counts() -> None:
    run = Run(Toy(idle))
    run.world.tell("toy", Enqueue("main", A, after=3 * SECOND))
    run.world.tell("toy", Enqueue("main", A, after=1 * SECOND))
    run.world.tell("toy", Enqueue("main", A, after=2 * SECOND))
    assert run.to_the_end().diary() == [(1 * SECOND, "a")]


@pytest.mark.rule("VB-26")
def test_a_failed_sync_comes_back_after_a_back_off_that_doubles_and_success_resets_it() -> None:
    def flow(queue: str, key: Key, view: View) -> Flow:
        yield Tell(Remember("try"))
        tries = len(view.memory)
        if tries == 4:
            return Done(requeue_after=SECOND)
        return Retry("not yet") if tries < 6 else DONE

    times = [time for time, _ in start(Run(Toy(flow)), A).to_the_end().diary()]
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert waits == [5_000, 10_000, 20_000, SECOND, 5_000]


def test_queues_of_one_component_do_not_wait_for_each_other() -> None:
    def flow(queue: str, key: Key, view: View) -> Flow:
        yield Sleep("nap")
        yield Tell(Remember(queue))
        return DONE

    run = Run(Toy(flow, queues={"first": 1, "second": 1}))
    start(start(run, A, queue="first"), A, queue="second").to_the_end()
    assert run.diary() == [(7_000, "first"), (7_000, "second")]


# --- answers --------------------------------------------------------------------------------------------------------


def answers_of(*intents: Any, check: Any = None, before: Any = None, **options: Any) -> list[Any]:
    """What a flow is answered to some intents."""
    got: list[Any] = []

    def flow(queue: str, key: Key, view: View) -> Flow:
        for intent in intents:
            got.append((yield intent))
        return DONE

    run = Run(Toy(flow, check=check or (lambda poll, view: None)), **options)
    if before is not None:
        before(run.world)
    start(run, A).to_the_end()
    assert run.world.in_flight == 0
    return got


def test_a_write_is_answered_with_the_object_as_stored_and_a_refusal_with_kubernetes_words() -> None:
    stored, again, gone = answers_of(Create(make_node("node1")), Create(make_node("node1")), Delete(NODE))
    assert stored.metadata.uid and stored.metadata.resource_version == 1
    assert isinstance(again, Refused) and (again.reason, again.code) == ("AlreadyExists", 409)
    assert gone is None


@pytest.mark.rule("VB-20")
def test_a_write_on_a_stale_base_is_refused_and_a_patch_is_not() -> None:
    got: list[Any] = []

    def flow(queue: str, key: Key, view: View) -> Flow:
        first = yield Create(make_node("node1"))
        yield Patch(NODE, labelled, ("a", "1"))
        got.append((yield Update(labelled(first, "b", "2"))))
        got.append((yield Patch(NODE, labelled, ("c", "3"))))
        return DONE

    start(Run(Toy(flow)), A).to_the_end()
    stale, patched = got
    assert isinstance(stale, Refused) and stale.reason == "Conflict"
    labels = patched.metadata.labels
    assert "b" not in labels and (labels["a"], labels["c"]) == ("1", "3")


def test_live_reads_see_the_store_and_not_the_cache() -> None:
    missing, _, found, listed, none = answers_of(
        Get(NODE), Create(make_node("node1")), Get(NODE), ListLive("Node"), ListLive("Pod", "default")
    )
    assert missing is None
    assert found.name == "node1" and [node.name for node in listed] == ["node1"] and none == ()


def test_the_chooser_answers_a_choice_at_once_and_the_log_keeps_what_it_was_among() -> None:
    run = Run(Toy(lambda queue, key, view: choosing()), chooser=Scripted([1], points=["pick"]))

    def choosing() -> Flow:
        yield Tell(Remember((yield Choose("pick", A, (B, C)))))
        yield Tell(Remember((yield Choose("pick", A, (B,)))))
        return DONE

    start(run, A).to_the_end()
    assert run.diary() == [(0, C), (0, B)]
    (entry,) = [entry for entry in run.world.log.entries if entry.verb == "choose"]
    assert entry.detail == {"point": "pick", "chosen": "Toy/c", "among": ["Toy/b", "Toy/c"]}


@pytest.mark.rule("VB-147")
def test_a_poll_looks_for_the_first_time_after_one_period_and_goes_on_as_soon_as_it_finds_something() -> None:
    asked: list[int] = []

    def check(poll: Poll, view: View) -> Any:
        asked.append(view.now)
        return "found" if view.now >= 3 * SECOND else None

    assert answers_of(Poll("there", A, SECOND, 600 * SECOND), check=check) == ["found"]
    assert asked == [SECOND, 2 * SECOND, 3 * SECOND]


def test_a_poll_ends_at_its_deadline_after_a_last_look() -> None:
    asked: list[int] = []

    def check(poll: Poll, view: View) -> Any:
        asked.append(view.now)

    assert answers_of(Poll("there", A, SECOND, 2_500 * MILLISECOND), check=check) == [TIMED_OUT]
    assert asked == [SECOND, 2 * SECOND, 2_500 * MILLISECOND]


def test_a_sleep_takes_its_latency_by_name_or_its_own_duration() -> None:
    def flow(queue: str, key: Key, view: View) -> Flow:
        yield Sleep("nap")
        yield Tell(Remember("latency"))
        yield Sleep("nap", 5 * SECOND)
        yield Tell(Remember("duration"))
        return DONE

    assert start(Run(Toy(flow)), A).to_the_end().diary() == [(7_000, "latency"), (5 * SECOND + 7_000, "duration")]


def test_a_spawned_flow_runs_beside_the_queue_and_gets_its_argument() -> None:
    def flow(queue: str, key: Key, view: View) -> Flow:
        if view.argument is not None:
            yield Sleep("nap")
            yield Tell(Remember(view.argument))
            return Retry("nobody asks")
        yield Tell(Spawn("beside", B, "child"))
        yield Tell(Remember("parent"))
        return DONE

    run = start(Run(Toy(flow)), A).to_the_end()
    assert run.diary() == [(0, "parent"), (7_000, "child")]
    assert run.world.in_flight == 0


def test_what_is_told_and_is_nothing_known_is_a_defect() -> None:
    with pytest.raises(InvariantViolated, match="toy told"):
        Run(Toy(idle)).world.tell("toy", "nonsense")  # type: ignore[arg-type]


# --- watches and caches ---------------------------------------------------------------------------------------------


def watcher(name: str = "toy") -> Toy:
    def observe(change: Change, view: View) -> list[Remember]:
        seen = view.get(change.key)
        return [Remember((change.new and change.new.metadata.resource_version, seen == change.new))]

    return Toy(idle, name=name, watches=["Node"], observe=observe)


def test_a_change_reaches_every_watcher_after_the_latency_of_the_watch_and_the_cache_shows_it_then() -> None:
    run = Run(watcher(), watcher("other"), Toy(idle, name="blind"))
    run.world.api.handle(Create(make_node("node1")), 0)
    view = run.world.runtimes["toy"].view
    assert view.list(Node) == [] and run.world.in_flight == 1
    run.to_the_end()
    assert run.diary() == run.diary("other") == [(1_000, (1, True))]
    assert run.diary("blind") == [] and run.world.in_flight == 0


def test_a_component_that_watches_a_kind_not_sees_the_store_as_it_is() -> None:
    run = Run(Toy(idle, name="blind"), watcher())
    run.world.load([make_node("node1")])
    assert [node.name for node in run.world.runtimes["blind"].view.list(Node)] == ["node1"]


def test_initial_objects_are_seen_from_the_start_and_nothing_of_them_is_under_way() -> None:
    run = Run(watcher(), Toy(idle, name="blind"))
    assert run.world.load([make_node("node1")]) == []
    assert run.world.in_flight == 0 and not run.world.enabled
    run.world.begin()
    assert run.diary() == [(0, (1, True))] and run.diary("blind") == []


def test_what_the_api_server_refuses_of_the_initial_objects_is_given_back() -> None:
    (refusal,) = Run(Toy(idle)).world.load([make_node("node1"), make_node("node1")])
    assert refusal.reason == "AlreadyExists"


def test_changes_delivered_out_of_order_are_a_defect() -> None:
    run = Run(watcher())
    run.world.api.handle(Create(make_node("node1")), 0)
    run.world.api.handle(Patch(NODE, labelled, ("a", "1")), 0)
    _, second = run.world.enabled
    with pytest.raises(InvariantViolated, match="before an earlier one"):
        run.world.take(second.step)


def test_watchers_of_the_world_hear_of_each_change_at_once() -> None:
    run = Run(watcher())
    heard: list[Change] = []
    run.world.watchers.append(heard.append)
    run.world.load([make_node("node1")])
    assert [change.key for change in heard] == [NODE]


# --- periodic timers, restarts, events ------------------------------------------------------------------------------


def test_a_periodic_timer_fires_first_and_then_every_so_often_and_is_nothing_under_way() -> None:
    run = Run(Toy(idle, periodics=[Periodic("resync", 10 * SECOND, 3 * SECOND, "main", A)]))
    run.world.begin()
    run.to_the_end(25 * SECOND)
    assert [time for time, _ in run.diary()] == [3 * SECOND, 13 * SECOND, 23 * SECOND]
    assert run.world.in_flight == 0 and run.world.now == 25 * SECOND


@pytest.mark.rule("VB/ND-31")
def test_a_restarted_component_forgets_all_and_what_it_was_about_to_do_is_not_done() -> None:
    def flow(queue: str, key: Key, view: View) -> Flow:
        yield Tell(Remember(f"{key.name} begins"))
        yield Sleep("nap")
        yield Create(make_node(key.name))
        return DONE

    run = start(Run(Toy(flow)), A, B)
    run.world.tell("toy", Enqueue("main", C, after=SECOND))
    run.driver.run(5_000, lambda: False)
    run.world.restart("toy")
    assert run.said() == []
    start(run, C).to_the_end()
    assert run.said() == ["c begins"]
    assert [node.name for node in run.world.store.list(Node)] == ["c"]
    assert run.world.in_flight == 0


@pytest.mark.rule("VB/ND-31")
def test_a_restarted_component_lists_what_is_stored_now_and_hears_of_nothing_twice() -> None:
    run = Run(watcher())
    run.world.load([make_node("node1"), make_node("node2")])
    run.world.api.handle(Delete(Key("Node", "", "node2")), 0)
    run.world.restart("toy")
    assert run.said() == [(1, True)]
    assert [node.name for node in run.world.runtimes["toy"].view.list(Node)] == ["node1"]
    run.to_the_end()
    assert run.said() == [(1, True)]
    run.world.api.handle(Patch(NODE, labelled, ("a", "1")), run.world.now)
    run.to_the_end(2 * run.world.now)
    assert run.said() == [(1, True), (4, True)]
    assert run.world.in_flight == 0


def test_what_a_component_wants_to_keep_survives_its_restart() -> None:
    class Keeper(Toy):
        def restarted(self, memory: Any) -> Any:
            return memory.copy()

    run = start(Run(Keeper(idle)), A).to_the_end()
    run.world.restart("toy")
    assert run.said() == ["a"]


@pytest.mark.rule("WL-170")
def test_the_same_event_again_only_raises_its_count() -> None:
    run = Run(Toy(idle))
    for message in ("no room", "no room", "no volume"):
        run.world.tell("toy", Emit(A, "Warning", "FailedScheduling", message))
    run.world.tell("toy", Emit(A, "Warning", "FailedScheduling", "no room", source="elsewhere"))
    events = [entry for entry in run.world.log.entries if entry.verb == "event"]
    assert [(e.actor, e.detail["message"], e.detail["count"]) for e in events if e.detail] == [
        ("toy", "no room", 1), ("toy", "no room", 2), ("toy", "no volume", 1), ("elsewhere", "no room", 1)]


def test_the_log_says_who_did_what_by_which_rule_and_what_was_refused() -> None:
    def flow(queue: str, key: Key, view: View) -> Flow:
        yield Create(make_node("node1"), "VB-1")
        yield Create(make_node("node1"), "VB-2")
        yield Delete(NODE)
        yield Tell(Note("look", A, {"found": 1}, "VB-3"))
        return DONE

    run = start(Run(Toy(flow)), A).to_the_end()
    entries = [(e.time, e.actor, e.verb, str(e.key), e.version, e.rule) for e in run.world.log.entries]
    assert entries == [
        (2_000, "toy", "create", "Node/node1", 1, "VB-1"),
        (4_000, "toy", "refused", "Node/node1", 0, "VB-2"),
        (6_000, "toy", "remove", "Node/node1", 2, ""),
        (6_000, "toy", "look", "Toy/a", 0, "VB-3"),
    ]
    assert run.world.last_change == 6_000
