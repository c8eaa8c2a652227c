from __future__ import annotations

import pytest

from simulator.api.core import Event, Pod
from simulator.api.kinds import KINDS
from simulator.api.meta import Key
from simulator.eventlog import Log, read_log
from simulator.report.columns import COLUMNS
from simulator.report.kubectl import Query, get
from simulator.report.state import replay, state_at
from simulator.units import HOUR, SECOND
from tests.report.clusters import MOMENT, columns_story, watch_story
from tests.report.story import Story

WEB = Key("Pod", "default", "web-0")


def from_file(log: Log) -> Log:
    return read_log(list(log.lines()), "run.jsonl")


def test_a_log_read_from_a_file_gives_the_same_objects_at_every_moment() -> None:
    for story, moments in ((columns_story(), (0, MOMENT, None)), (watch_story(), range(0, 200 * SECOND, SECOND // 2))):
        read = from_file(story.log)
        for moment in moments:
            memory, file = state_at(story.log, moment), state_at(read, moment)
            assert memory.kinds() == file.kinds()
            for kind in memory.kinds():
                assert memory.keys(kind) == file.keys(kind)
                assert [memory.plain(key) for key in memory.keys(kind)] == [file.plain(key) for key in file.keys(kind)]
                assert memory.list(KINDS[kind]) == file.list(KINDS[kind])


def test_a_moment_has_what_happened_up_to_and_at_it() -> None:
    log = watch_story().log
    assert state_at(log, 2_499_999).find(WEB) is None
    found = state_at(log, 2_500_000).get(Pod, "web-0", "default")
    assert found is not None
    assert not found.spec.node_name
    assert state_at(log, 2_500_000).time == 2_500_000
    assert state_at(log).find(Key("Pod", "default", "old-0")) is None


def test_times_stay_simulated_microseconds() -> None:
    plain = state_at(watch_story().log).plain(WEB)
    assert plain is not None
    assert (plain["apiVersion"], plain["kind"]) == ("v1", "Pod")
    assert plain["metadata"]["creationTimestamp"] == 2_500_000


def test_a_state_answers_by_index_and_forgets_when_it_moves() -> None:
    story = watch_story()
    seen = [len(state.by("pods-by-node", "a-node-with-a-long-name")) for _, state in replay(story.log)]
    assert seen[0] == 0
    assert seen[-1] == 1


@pytest.mark.rule("WL-170")
def test_the_same_event_again_counts_up_and_another_one_is_a_row_of_its_own() -> None:
    story = Story()
    story.event("Pod", "web-0", "Warning", "FailedMount", "no path", "kubelet")
    story.at(3 * SECOND).event("Pod", "web-0", "Warning", "FailedMount", "no path", "kubelet")
    story.event("Pod", "web-0", "Warning", "FailedMount", "another", "kubelet")
    first, second = state_at(story.log).list(Event)
    assert (first.count, first.first_timestamp, first.last_timestamp) == (2, 0, 3 * SECOND)
    assert (second.count, second.message) == (1, "another")


@pytest.mark.rule("WL-184")
def test_events_are_named_after_their_object_and_the_time_in_hex() -> None:
    story = Story().at(SECOND)
    for message in "ab":
        story.event("Node", "node1", "Normal", "Starting", message, "kubelet")
    names = [event.name for event in state_at(story.log).list(Event)]
    stamp = 1_767_225_601 * 10**9
    assert names == [f"node1.{stamp:x}", f"node1.{stamp + 1:x}"]
    assert all(event.namespace == "default" for event in state_at(story.log).list(Event))


@pytest.mark.rule("WL-170")
def test_events_are_forgotten_after_an_hour() -> None:
    story = Story()
    story.event("Pod", "web-0", "Normal", "Started", "Container started", "kubelet")
    assert len(state_at(story.log, HOUR - 1).list(Event)) == 1
    assert not state_at(story.log, HOUR).list(Event)
    assert get(state_at(story.log, HOUR), Query(("events",))).err == ("No resources found in default namespace.",)


@pytest.mark.rule("WL-109")
def test_the_events_of_a_namespace_go_with_it() -> None:
    story = Story()
    story.put("Namespace", "default")
    story.event("Pod", "web-0", "Normal", "Started", "Container started", "kubelet")
    story.gone("Namespace", "default")
    assert not state_at(story.log).list(Event)


def test_every_simulated_kind_has_a_table() -> None:
    assert COLUMNS.keys() == KINDS.keys()
