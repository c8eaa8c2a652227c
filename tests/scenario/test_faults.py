from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scenario_files import POD, actions, load, play

from simulator.simulation import run

WITH_DISK = {**POD, "spec": {**POD["spec"], "volumes": [{"name": "data", "emptyDir": {}}]}}
WRITE = {"when": "Pod/web-0 is ready", "write": {"pod": "web-0", "volume": "data", "name": "answer", "value": "42"}}


def read(expect: Any) -> dict[str, Any]:
    return {"read": {"pod": "web-0", "volume": "data", "name": "answer", "expect": expect}}


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    result = play(tmp_path, {"apply": WITH_DISK}, WRITE, read("42"))
    assert result.failures == ()
    assert [words for words, _, _ in actions(result)] == ["apply", "write answer", "read answer"]


def test_a_read_that_finds_something_else_is_a_failure(tmp_path: Path) -> None:
    assert play(tmp_path, {"apply": WITH_DISK}, WRITE, read("43")).failures == (
        'timeline entry 3: web-0 reads "42" from data/answer, not "43"',)
    assert "reads nothing" in play(tmp_path, {"apply": WITH_DISK}, read("42")).failures[0]
    assert play(tmp_path, {"apply": WITH_DISK}, read(None)).failures == ()


def test_reads_and_writes_come_out_the_same_in_a_run_without_a_log(tmp_path: Path) -> None:
    timeline = [{"apply": WITH_DISK}, WRITE, read("42"), read("43")]
    scenario = load(tmp_path, {"nodes": {"count": 1}, "timeline": timeline})
    assert run(scenario, keep_log=False).failures == run(scenario).failures != ()


def test_a_pod_that_never_gets_ready_keeps_the_cluster_from_its_goal(tmp_path: Path) -> None:
    result = play(tmp_path, {"neverReady": ["web-0"]}, {"apply": POD})
    assert result.verdict == "stuck" and [str(key) for key in result.waiting] == ["Pod/default/web-0"]


def test_a_machine_that_does_not_exist_cannot_fail(tmp_path: Path) -> None:
    assert play(tmp_path, {"fail": "Node/nowhere"}).failures == ('timeline entry 1: nodes "nowhere" not found',)


def test_a_machine_that_fails_and_comes_back_starts_its_pods_again(tmp_path: Path) -> None:
    result = play(tmp_path, {"apply": POD}, {"when": "Pod/web-0 is ready", "fail": "node1"},
                  {"when": "Node/node1 is not ready", "recover": "node1"}, nodes=1)
    assert result.verdict == "converged" and result.failures == ()


@pytest.mark.parametrize("component", ["scheduler", "statefulset", "kubelet", "persistentvolume-binder"])
def test_a_component_that_restarts_takes_up_its_work_again(tmp_path: Path, component: str) -> None:
    result = play(tmp_path, {"apply": POD}, {"restart": component})
    assert result.verdict == "converged" and ("restart", f"Component/{component}", None) in actions(result)
