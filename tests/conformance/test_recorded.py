"""The comparison of recorded runs itself: what differs is found, and what is not understood fails."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.cases import gather
from tests.conformance.recorded_case import Unknown, check, load
from tests.conformance.recorded_choices import wishes_of_outcome
from tests.conformance.recorded_compare import Revisions
from tests.conformance.recorded_frequencies import BETWEEN, UNIFORM, canonical, multinomial, probabilities
from tests.conformance.recorded_repeated import plain, unreached
from tests.conformance.recorded_single import differences

RECORDED = Path(__file__).parent / "recorded"
Case = dict[str, Any]


def a_case(name: str = "04d-sizes-wffc-1") -> Case:
    return load(RECORDED / f"{name}.json")


def first_of(case: Case, stage: int = 0) -> dict[str, Any]:
    first: dict[str, Any] = case["stages"][stage]["observed"]["firstRun"]
    return first


def strange_field(case: Case) -> None:
    case["surprise"] = 1


def strange_stage(case: Case) -> None:
    case["stages"][0]["mood"] = "good"


def strange_action(case: Case) -> None:
    case["stages"][0]["actions"].append({"dance": {}})


def strange_argument(case: Case) -> None:
    case["stages"][0]["actions"].append({"scale": {"name": "web", "replicas": 1, "slowly": True}})


def strange_flag(case: Case) -> None:
    case["controlPlaneFlags"] = {"controller-manager": ["--concurrent-statefulset-syncs=1"]}


@pytest.mark.parametrize("change", [strange_field, strange_stage, strange_action, strange_argument, strange_flag])
def test_a_recording_that_is_not_understood_fails_loudly(change: Callable[[Case], None]) -> None:
    case = a_case()
    change(case)
    with pytest.raises(Unknown):
        check(case)


def other_node(first: dict[str, Any]) -> None:
    first["state"]["Pod"]["web-1"]["node"] = "node9"


def other_message(first: dict[str, Any]) -> None:
    first["state"]["Pod"]["web-1"]["unscheduled"] = "Unschedulable: 0/3 nodes are available."


def other_phase(first: dict[str, Any]) -> None:
    first["state"]["PVC"]["data-web-1"]["phase"] = "Pending"


def other_status(first: dict[str, Any]) -> None:
    first["state"]["STS"]["web"]["status"] = "replicas=3 ready=3 available=3 current=3 updated=0"


def other_revision(first: dict[str, Any]) -> None:
    first["state"]["Pod"]["web-2"]["revision"] = "web-84d99f657"


def other_taints(first: dict[str, Any]) -> None:
    first["state"]["Node"]["node2"]["taints"] = ["a:NoSchedule"]


def one_more_object(first: dict[str, Any]) -> None:
    first["state"]["PVC"]["data-web-3"] = {"phase": "Pending"}


def one_more_event(first: dict[str, Any]) -> None:
    first["events"].append(["FailedBinding", "Normal", "PVC/data-web-0", "no", 1, "persistentvolume-controller"])


def one_event_less(first: dict[str, Any]) -> None:
    first["events"] = [event for event in first["events"] if event[0] != "WaitForFirstConsumer"]


def one_answer(first: dict[str, Any]) -> None:
    first["answers"] = ["apply: 409 already there"]


def one_more_change(first: dict[str, Any]) -> None:
    first["log"].append([4.1, "PVC", "data-web-0", {"deleting": True}])


def other_order(first: dict[str, Any]) -> None:
    pod = next(entry for entry in first["log"] if entry[1:3] == ["Pod", "web-1"] and "added" in entry[3])
    first["log"].remove(pod)
    first["log"].insert(0, [0.0, *pod[1:]])


def no_poll(first: dict[str, Any]) -> None:
    """Without the 1 s that PreBind waits (VB-147)."""
    for entry in first["log"]:
        if entry[0] > 1.4:
            entry[0] -= 1.0


@pytest.mark.parametrize("change", [
    other_node, other_message, other_phase, other_status, other_revision, other_taints, one_more_object, one_more_event,
    one_event_less, one_answer, one_more_change, other_order, no_poll,
])
def test_a_run_that_went_otherwise_is_told_apart(change: Callable[[dict[str, Any]], None]) -> None:
    case = a_case()
    assert differences(case) == []
    change(first_of(case))
    assert differences(case, attempts=5)


def test_the_resync_of_15_seconds_and_the_toleration_of_300_are_compared() -> None:
    case = a_case("24-node-lost")
    log = first_of(case, 1)["log"]
    for entry in log:
        if entry[0] > 300:
            entry[0] -= 200
    assert any("wait" in difference for difference in differences(case, attempts=5))


def test_revisions_are_equal_up_to_their_hashes() -> None:
    real, seen = Revisions(), Revisions()
    for revisions, hashes in ((real, ("web-1a2b3c4d", "web-5f6a7b8c")), (seen, ("web-99999999", "web-88888888"))):
        assert [revisions.plain({"updateRevision": name})["updateRevision"] for name in (*hashes, hashes[0])] == [
            "web#1", "web#2", "web#1"]


def test_an_outcome_that_never_comes_is_reported() -> None:
    case = a_case("04a-sizes-success")
    full: dict[str, int] = case["stages"][0]["observed"]["full"]
    impossible = "web-0 ok@node4 [pv-3]; web-1 ok@node2 [pv-1]; web-2 ok@node3 [pv-2]"
    full[impossible] = 1
    assert unreached(case) == [f"StatefulSet created: {impossible}"]


def test_words_that_are_not_the_recorders_fail_loudly() -> None:
    case = a_case("04a-sizes-success")
    first_of(case)["outcome"]["full"] = "web-0 fine"
    with pytest.raises(ValueError, match="not understood"):
        unreached(case)


def test_an_outcome_says_what_to_wish_for() -> None:
    wishes = wishes_of_outcome(
        ["db-0 ok@n2 [v4,v5]; db-1 pending [unbound,none] | pod p not ready@n1 | claim c Bound=v9 deleting"],
        {"db": ["data", "wal"]})
    assert wishes.nodes == {"db-0": ["n2"], "p": ["n1"]}
    assert wishes.volumes == {"data-db-0": ["v4"], "wal-db-0": ["v5"], "c": ["v9"]}


def test_uids_do_not_count() -> None:
    mine, other = "pvc-uid(data-web-0)", "pvc-da74e5a6-d3fc-4a9b-b707-f4e1f7c9e1a1"
    assert plain(f"web-0 ok@n [{mine}]") == plain(f"web-0 ok@n [{other}]")


def test_frequencies_that_do_not_fit_are_rejected() -> None:
    case = a_case("02g-devil-2-fresh-interleaved")
    shapes: dict[str, int] = case["stages"][0]["observed"]["shape"]
    shapes["consul: A B C"], shapes["consul: A B A(pending)"] = 4, 33
    found = probabilities(case, BETWEEN)
    assert found["StatefulSet created"] < 0.001
    assert found["StatefulSet created, with names"] > 0.001, "the names were left as they are"


def test_uniform_ties_do_not_fit_a_fresh_control_plane() -> None:
    found = probabilities(a_case("02g-devil-2-fresh-interleaved"), UNIFORM)
    assert found["StatefulSet created, with names"] < 0.001


def test_the_multinomial_test_is_exact() -> None:
    fair = {"heads": Fraction(1, 2), "tails": Fraction(1, 2)}
    assert multinomial({"heads": 3}, fair) == pytest.approx(2 / 8)
    assert multinomial({"heads": 2, "tails": 1}, fair) == pytest.approx(1)
    assert multinomial({"edge": 1}, fair) == 0


@pytest.mark.parametrize(("shape", "expected"), [
    ("web: A B(pending) B", "web: A B B(pending)"),
    ("web: A A(pending) B", "web: A A(pending) B"),
    ("web: A B A(pending)", "web: A A(pending) B"),
    ("other: A B(pending) B", "other: A B(pending) B"),
])
def test_pods_that_are_created_together_are_not_told_apart(shape: str, expected: str) -> None:
    assert canonical(shape, {"web": [range(1), range(1, 3)]}) == expected


def test_cases_are_gathered_from_any_folder(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "one.json").write_text(json.dumps(a_case()))
    (tmp_path / "two.yaml").write_text("[{id: ABC-1, when: {dance: {}}}]")
    (tmp_path / "broken.json").write_text("{")
    strange = {**a_case(), "surprise": 1}
    (tmp_path / "strange.json").write_text(json.dumps(strange))
    found = gather([tmp_path])
    assert [(case.id, case.family) for case in found] == [
        ("broken", "recorded, unreadable"),
        ("04d-sizes-wffc-1", "recorded, first run"),
        ("04d-sizes-wffc-1", "recorded, outcomes"),
        ("04d-sizes-wffc-1", "recorded, frequencies"),
        ("strange", "recorded, unreadable"),
        ("ABC-1", "upstream ABC"),
    ]
    assert all(bool(case.problem) == (case.raw is None) for case in found)


def test_no_recording_is_left_out() -> None:
    found = gather([RECORDED])
    assert {Path(case.path).name for case in found} == {path.name for path in RECORDED.iterdir()}
    assert not any(case.problem for case in found)


def test_a_case_is_not_changed_by_running_it() -> None:
    case = a_case("07a-scale")
    before: Mapping[str, Any] = deepcopy(case)
    differences(case)
    assert case == before
