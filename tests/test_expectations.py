from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from simulator.errors import ScenarioError
from simulator.expectations import verify
from simulator.scenario.load import load_scenario

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web-0"},
       "spec": {"containers": [{"name": "main", "image": "i"}]}}
BIG = {**POD, "metadata": {"name": "big"},
       "spec": {"containers": [{"name": "main", "image": "i", "resources": {"requests": {"cpu": "99"}}}]}}
CLAIM = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"},
         "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "",
                  "resources": {"requests": {"storage": "1Gi"}}}}


def problems(tmp_path: Path, expected: dict[str, Any], *more: dict[str, Any]) -> dict[str, str]:
    """What differs when two pods and a claim are applied: one pod fits, the other does not."""
    spec = {"nodes": {"count": 1}, "volumes": {"perNode": 1}, "timeline": [{"apply": [POD, BIG, CLAIM]}, *more],
            "expect": {"run": expected}}
    path = tmp_path / "scenario.yaml"
    path.write_text(yaml.safe_dump(
        {"apiVersion": "bindsim/v1", "kind": "Scenario", "metadata": {"name": "t"}, "spec": spec}))
    return {one.what: one.problem for one in verify(load_scenario([str(path)])) if one.problem is not None}


@pytest.mark.parametrize("expected", [
    {},
    {"verdict": "stuck"},
    {"waiting": ["Pod/big"]},
    {"placements": {"web-0": "node1", "default/big": None}},
    {"bindings": {"data": "pv-node1-1"}},
    {"phases": {"Pod/web-0": "Running", "Pod/nobody": "absent", "PersistentVolume/pv-node1-1": "Bound"}},
    {"events": ["Scheduled", "FailedScheduling: Insufficient cpu"]},
    {"order": ["Pod/web-0 is scheduled", "Pod/web-0 is ready"]},
    {"because": ["big asks for 99 cpu"]},
])
def test_what_holds_is_no_problem(tmp_path: Path, expected: dict[str, Any]) -> None:
    assert problems(tmp_path, expected) == {}


@pytest.mark.parametrize(("expected", "what", "problem"), [
    ({"verdict": "converged"}, "verdict converged", "stuck: nothing has changed since"),
    ({"waiting": []}, "waiting nothing", "waiting: Pod/default/big"),
    ({"waiting": ["Pod/web-0"]}, "waiting Pod/web-0", "waiting: Pod/default/big"),
    ({"placements": {"web-0": "node2"}}, "web-0 on node2", "is on node1"),
    ({"placements": {"nobody": "node2"}}, "nobody on node2", "is on no such pod"),
    ({"bindings": {"data": None}}, "data bound to None", "is bound to pv-node1-1"),
    ({"phases": {"Pod/big": "Running"}}, "Pod/big Running", "is Pending"),
    ({"events": ["Evicted"]}, "event Evicted", "of that reason: none"),
    ({"refused": ["nothing"]}, "refusals", "refused: []"),
    ({"order": ["Pod/web-0 is ready", "Pod/web-0 is scheduled"]}, "order", "came true in this order:"),
    ({"order": ["Pod/big is ready"]}, "order", "came true in this order: []"),
])
def test_what_does_not_hold_is_named_with_what_was_instead(
    tmp_path: Path, expected: dict[str, Any], what: str, problem: str
) -> None:
    (found,) = problems(tmp_path, expected).items()
    assert found[0] == what and problem in found[1]


def test_a_timeline_that_went_wrong_is_a_problem_of_its_own(tmp_path: Path) -> None:
    found = problems(tmp_path, {}, {"delete": "Pod/nobody"})
    assert found == {"timeline": 'timeline entry 2: pods "nobody" not found'}


def test_refusals_are_expected_in_order_and_all_of_them(tmp_path: Path) -> None:
    twice = ({"delete": "Pod/nobody", "mayFail": True}, {"create": POD, "mayFail": True})
    assert problems(tmp_path, {"refused": ["not found", "already exists"]}, *twice) == {}
    assert "refusals" in problems(tmp_path, {"refused": ["not found"]}, *twice)


@pytest.mark.parametrize(("expected", "words"), [
    ({"order": ["web is up"]}, "expect.run.order"),
    ({"order": ["the cluster is ready"]}, "is not about an object"),
    ({"waiting": ["web-0"]}, '"web-0" does not name an object; write KIND/NAME'),
    ({"phases": {"Wombat/x": "Running"}}, '"Wombat/x" does not name an object'),
])
def test_an_expectation_that_cannot_be_understood_is_an_error(
    tmp_path: Path, expected: dict[str, Any], words: str
) -> None:
    with pytest.raises(ScenarioError) as problem:
        problems(tmp_path, expected)
    assert str(tmp_path / "scenario.yaml") in str(problem.value) and words in str(problem.value)
