"""Repairs: what they cost, in which order they come, and that people can carry them out."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simulator import explain, load_scenario, run
from simulator.diagnosis.data import Diagnosis, Repair
from simulator.diagnosis.repairs import used_claims
from simulator.eventlog import read_log
from simulator.manifests.load import load
from simulator.testing.builders import make_pod, make_set
from tests.diagnosis.stuck_cases import CASES, claim, local
from tests.whole.small_worlds import CLASSES, apply, nodes, small_scenario


def repair_of(found: Diagnosis, part: str) -> Repair:
    return next(repair for repair in found.repairs if part in repair.title)


def test_a_claim_that_no_pod_has_used_is_given_up_without_loss() -> None:
    found = explain(load_scenario(["scenarios/devil"]), seed=0)
    anew = repair_of(found, "make data-consul-2 and consul-2 anew")
    assert anew.data == "kept" and "no pod has ever used data-consul-2: no data are lost" in anew.notes


def test_a_class_that_binds_at_once_leaves_it_to_luck_and_that_is_said() -> None:
    found = explain(load_scenario(["scenarios/devil"]), seed=0)
    luck, = [repair for repair in found.repairs if not repair.is_certain]
    assert (luck.converged, luck.runs, luck.is_every_run) == (3, 6, True) and luck is found.repairs[-1]


def pinned(policy: str) -> Diagnosis:
    """A pod has run, and its node is cordoned; there is a volume elsewhere."""
    volumes = [local("v1", "n1", persistentVolumeReclaimPolicy=policy), local("v2", "n2", capacity="20Gi")]
    return explain(small_scenario([*CLASSES, *nodes(2), *volumes], [
        apply(make_set("web", replicas=1, storage_class="wait"), at="1s"),
        {"when": "StatefulSet/web is ready", "cordon": "Node/n1"}, {"delete": "Pod/web-0"},
    ], ties="first"), seed=0)


def test_data_that_stay_on_a_volume_without_a_claim_are_set_aside() -> None:
    found = pinned("Retain")
    anew = repair_of(found, "make data-web-0 and web-0 anew")
    assert anew.data == "set aside" and "stay on v1" in " ".join(anew.notes)
    assert found.repairs[0].title == "uncordon n1" and found.repairs[0].data == "kept"


def test_data_on_a_volume_that_is_deleted_with_its_claim_are_lost() -> None:
    scenario = small_scenario([*CLASSES, *nodes(2)], [
        apply(make_set("web", replicas=1, storage_class="made"), at="1s"),
        {"when": "StatefulSet/web is ready", "cordon": "Node/n1"}, {"delete": "Pod/web-0"},
    ], ties="first", provisioners=[{"name": "csi.example.com", "topology": "kubernetes.io/hostname"}])
    found = explain(scenario, seed=0)
    anew = repair_of(found, "make data-web-0 and web-0 anew")
    assert anew.data == "lost" and "the data of data-web-0 are lost" in anew.notes
    assert found.repairs[0].title == "uncordon n1" and found.repairs[0].data == "kept"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_repairs_that_lose_data_come_last_and_those_that_keep_them_first(case: Any) -> None:
    order = [("kept", "set aside", "lost").index(repair.data) for repair in explain(case.scenario(), seed=0).repairs]
    assert order == sorted(order)


def test_what_a_pod_has_used_is_read_from_a_run_and_from_its_log_alike() -> None:
    log = run(load_scenario(["scenarios/devil"]), seed=0).log
    names = {key.name for key in used_claims(log)}
    assert names == {"data-consul-0", "data-consul-1"}
    assert {key.name for key in used_claims(read_log(list(log.lines()), "log"))} == names


def test_a_claim_that_was_made_again_is_a_new_one() -> None:
    played = run(small_scenario([*CLASSES, *nodes(1), local("v1", "n1"), local("v2", "n1")], [
        apply(claim(), make_pod("p", claims=("c",)), at="1s"),
        {"when": "Pod/p is ready", "delete": ["Pod/p", "PersistentVolumeClaim/c"]},
        apply(claim(), when="PersistentVolumeClaim/c is gone"),
    ]))
    assert not used_claims(played.log)


# --- kubectl --------------------------------------------------------------------------------------------------------


def every_repair() -> Iterator[Repair]:
    for case in CASES:
        yield from explain(case.scenario(), seed=0).repairs
    for path in sorted(Path("scenarios").rglob("scenario.yaml")):
        yield from explain(load_scenario([str(path)])).repairs


@pytest.fixture(scope="module")
def repairs() -> list[Repair]:
    return list(every_repair())


def test_manifests_are_what_kubernetes_takes(repairs: list[Repair], tmp_path: Path) -> None:
    texts = {step.manifest for repair in repairs for step in repair.steps if step.manifest}
    assert len(texts) > 20
    for number, text in enumerate(sorted(texts)):
        path = tmp_path / f"{number}.yaml"
        path.write_text(text)
        assert load([str(path)]).objects


def test_nothing_that_the_control_plane_fills_in_is_written(repairs: list[Repair]) -> None:
    for repair in repairs:
        for step in repair.steps:
            assert not re.search(r"uid|resourceVersion|creationTimestamp|status:|nodeName|bindsim", step.manifest)
            assert "bindsim" not in step.command


def test_each_step_is_a_command_or_says_what_is_to_be_done(repairs: list[Repair]) -> None:
    for repair in repairs:
        assert repair.steps
        for step in repair.steps:
            assert step.command.startswith("kubectl ") or step.words


def test_kubectl_understands_the_commands(repairs: list[Repair]) -> None:
    """There is no server: a command that gets as far as asking for one has been understood."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not here")
    shapes: dict[str, tuple[str, str]] = {}
    for repair in repairs:
        for step in repair.steps:
            if step.command:
                words = shlex.split(step.command)
                plain = [word for word in words if not word.startswith("{")]
                shape = " ".join(word.partition("=")[0].partition("/")[0] for word in plain)
                shapes.setdefault(shape, (step.command, step.manifest))
    assert len(shapes) > 10
    for command, manifest in shapes.values():
        words = [kubectl, *shlex.split(command)[1:], "--server=http://127.0.0.1:1", "--request-timeout=1s"]
        said = subprocess.run(words, input=manifest, capture_output=True, text=True, timeout=60, check=False).stderr
        assert "refused" in said, (command, said)
        complaint = r"unknown|error: (?:there is|you must|resource|cannot|invalid)|Usage"
        assert not re.search(complaint, said), (command, said)
