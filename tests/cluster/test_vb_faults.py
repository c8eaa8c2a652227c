"""API calls that go wrong: which ones, how often, and what the caller is told."""

from __future__ import annotations

import pytest

from simulator.api.core import PersistentVolumeClaim
from simulator.api.meta import Key
from simulator.choices import Replay, Seeded
from simulator.cluster.faults import FAILED, LOST, NONE, POINT, Calls, Faults
from simulator.flows import Choose
from simulator.testing.builders import make_claim, make_volume
from tests.whole.small_worlds import CLASSES, apply, nodes, play

VOLUME = Key("PersistentVolume", "", "v")


def never(choice: Choose) -> Key:
    raise AssertionError(f"nobody should ask {choice}")


@pytest.mark.parametrize(("calls", "included"), [
    (Calls(), True),
    (Calls("scheduler"), True),
    (Calls("scheduler", "update", "PersistentVolume", name="v"), True),
    (Calls("kubelet"), False),
    (Calls(verb="create"), False),
    (Calls(kind="Pod"), False),
    (Calls(name="w"), False),
    (Calls(namespace="default"), False),
])
def test_a_field_that_is_left_out_stands_for_all(calls: Calls, included: bool) -> None:
    assert calls.include("scheduler", "update", VOLUME) == included


def test_so_many_calls_go_wrong_and_no_more() -> None:
    faults = Faults()
    faults.calls += [Calls(kind="PersistentVolume", times=2), Calls("scheduler", fate=LOST)]
    fates = [faults.fate_of("scheduler", "update", VOLUME, never) for _ in range(4)]
    assert fates == [FAILED, FAILED, LOST, NONE]


def test_the_chooser_is_asked_until_enough_has_gone_wrong() -> None:
    answers, asked = [NONE, LOST], []

    def ask(choice: Choose) -> Key:
        asked.append(choice)
        return answers.pop(0)

    faults = Faults()
    faults.calls.append(Calls(fate=NONE))
    assert [faults.fate_of("kubelet", "patch", VOLUME, ask) for _ in range(3)] == [NONE, LOST, NONE]
    assert asked == [Choose(POINT, VOLUME, (NONE, FAILED, LOST))] * 2


@pytest.mark.rule("VB/ND-16", "VB-70")
@pytest.mark.parametrize("fate", [FAILED, LOST])
def test_a_call_that_fails_changes_nothing_and_one_whose_answer_is_lost_does(fate: Key) -> None:
    binder = "persistentvolume-binder"
    played = play(
        [*CLASSES, *nodes(1), make_volume("v", node="n1", storage_class="now")],
        [apply(make_claim("c", storage_class="now"), at="1s")],
        faults=[Calls(binder, "update", "PersistentVolumeClaim", name="c", fate=fate)],
    )
    place = next(number for number, entry in enumerate(played.entries) if entry.verb == "refused")
    refused, before = played.entries[place], played.entries[place - 1]
    assert refused.actor == binder and refused.detail is not None
    assert (refused.detail["reason"], refused.detail["message"]) == ("Fault", "etcdserver: request timed out")
    assert (isinstance(before.new, PersistentVolumeClaim) and before.time == refused.time) == (fate == LOST)
    assert played.run.verdict == "converged" and played.phase("PersistentVolumeClaim", "c") == "Bound"


def test_a_chosen_fault_is_in_the_log_and_a_run_can_be_replayed_with_it() -> None:
    objects = [*CLASSES, *nodes(1), make_volume("v", node="n1", storage_class="now")]
    timeline = [apply(make_claim("c", storage_class="now"), at="1s")]
    asked = Calls("persistentvolume-binder", fate=NONE, times=3)
    played = play(objects, timeline, faults=[asked], seed=3)
    by_name = {str(fate): fate for fate in (NONE, FAILED, LOST)}
    chosen = [(entry.detail["point"], entry.key, by_name[entry.detail["chosen"]])
              for entry in played.entries if entry.verb == "choose" and entry.detail is not None]
    assert len(chosen) >= 4 and {point for point, *_ in chosen} == {POINT}
    again = play(objects, timeline, faults=[asked], chooser=Replay(chosen, Seeded(3)))
    assert list(again.run.log.lines())[1:] == list(played.run.log.lines())[1:]
