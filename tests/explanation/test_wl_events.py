"""Kubernetes events as ``kubectl get events`` would show them: counted, combined, thinned, forgotten."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.api.core import Event, Namespace, NamespaceStatus
from simulator.api.meta import Key, evolve, with_meta
from simulator.eventlog import Log
from simulator.explanation.state import State, state_at
from simulator.testing.builders import make_claim, make_pod
from simulator.units import HOUR, MINUTE, SECOND

CLAIM = Key("PersistentVolumeClaim", "default", "data")


class Story:
    """A log made of events."""

    def __init__(self) -> None:
        self.log = Log()
        self.counts: dict[Any, int] = {}
        claim = with_meta(make_claim("data"), uid="u1")
        self.log.append(0, "kubectl", "create", CLAIM, 1, "", None, None, claim)

    def say(self, time: int, message: str, reason: str = "R", source: str = "s", about: Key = CLAIM,
            kind: str = "Normal") -> None:
        same = (source, about, kind, reason, message)
        self.counts[same] = self.counts.get(same, 0) + 1
        self.log.append(time, source, "event", about, detail={
            "type": kind, "reason": reason, "message": message, "count": self.counts[same]})

    def rows(self, at: int | None = None) -> list[tuple[str, int]]:
        """(message, count) of the rows there are."""
        state: State = state_at(self.log, at)
        return [(event.message, event.count) for event in state.list(Event)]


@pytest.mark.rule("WL-170")
def test_an_identical_event_counts_up_and_any_difference_makes_another_row() -> None:
    story = Story()
    story.say(0, "m")
    story.say(SECOND, "m")
    story.say(SECOND, "m", reason="other")
    story.say(SECOND, "m", source="other")
    story.say(SECOND, "m", kind="Warning")
    assert story.rows() == [("m", 2), ("m", 1), ("m", 1), ("m", 1)]


@pytest.mark.rule("WL-170")
def test_from_the_tenth_on_events_that_differ_in_their_message_are_combined() -> None:
    story = Story()
    for number in range(12):
        story.say(number * MINUTE, f"m{number}")
    rows = story.rows()
    assert rows[:9] == [(f"m{number}", 1) for number in range(9)]
    assert rows[9:] == [("(combined from similar events): m11", 3)]


@pytest.mark.rule("WL-170")
def test_ten_minutes_of_silence_end_a_group() -> None:
    story = Story()
    for number in range(9):
        story.say(number * SECOND, f"m{number}")
    story.say(8 * SECOND + 601 * SECOND, "m9")
    assert story.rows()[-1] == ("m9", 1)


@pytest.mark.rule("WL-170")
def test_a_source_says_25_things_about_an_object_and_then_one_in_five_minutes() -> None:
    story = Story()
    for number in range(25):
        story.say(number, "m")
    story.say(SECOND, "m")
    story.say(SECOND, "m", about=Key("Pod", "default", "p"))
    story.say(SECOND, "m", source="other")
    assert [count for _, count in story.rows()] == [25, 1, 1]
    story.say(301 * SECOND, "m")
    assert story.rows()[0] == ("m", 27), "what was dropped has been counted all the same"
    story.say(302 * SECOND, "m")
    assert story.rows()[0] == ("m", 27)


@pytest.mark.rule("WL-170")
def test_an_event_is_forgotten_an_hour_after_it_was_last_seen() -> None:
    story = Story()
    story.say(0, "m")
    story.say(30 * MINUTE, "m")
    assert story.rows(HOUR + 29 * MINUTE) == [("m", 2)] and story.rows(HOUR + 30 * MINUTE) == []


@pytest.mark.rule("WL-170")
def test_events_of_a_taint_eviction_carry_no_uid() -> None:
    story = Story()
    pod = with_meta(make_pod("web-0"), uid="u2")
    story.log.append(0, "kubectl", "create", pod.key, 2, "", None, None, pod)
    story.say(SECOND, "m", source="taint-eviction-controller", about=pod.key)
    story.say(SECOND, "m", source="kubelet", about=pod.key)
    assert [event.involved_object.uid for event in state_at(story.log).list(Event)] == ["", "u2"]


@pytest.mark.rule("WL-108")
@pytest.mark.rule("WL-111")
def test_a_terminating_namespace_takes_no_new_events() -> None:
    story = Story()
    shop = with_meta(Namespace(status=NamespaceStatus(phase="Active")), name="shop", uid="u3")
    story.log.append(0, "kubectl", "create", shop.key, 2, "", None, None, shop)
    about = Key("StatefulSet", "shop", "web")
    story.say(SECOND, "before", about=about)
    going = with_meta(evolve(shop, status=NamespaceStatus(phase="Terminating")), deletion_timestamp=2 * SECOND)
    story.log.append(2 * SECOND, "kubectl", "update", shop.key, 3, "", None, shop, going)
    story.say(3 * SECOND, "after", about=about)
    story.say(3 * SECOND, "before", about=about)
    assert story.rows() == [("before", 2)]
