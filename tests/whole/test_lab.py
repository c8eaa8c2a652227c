"""The lab that the project replays: its two manifests as they were found, and its rows over several seeds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from simulator.api.apps import StatefulSet
from simulator.api.core import PersistentVolume, PersistentVolumeClaim, Pod
from simulator.cli import CONVERGED, STUCK, main
from simulator.report.text import reason_lines
from simulator.scenario.load import Scenario, load_scenario
from simulator.simulation import Run, run
from simulator.units import SECOND

ROOT = Path(__file__).parents[2]
LAB = Path(__file__).parent / "lab"
CONSUL, VOLUMES = str(LAB / "consul-3.yaml"), str(LAB / "volumes-for-consul.yaml")
SCENARIOS = sorted((ROOT / "scenarios").rglob("scenario.yaml"))
SEEDS = range(6)


def placements(result: Run) -> dict[str, str]:
    return {pod.name: pod.spec.node_name for pod in result.world.store.list(Pod)}


def bindings(result: Run) -> dict[str, str]:
    return {claim.name: claim.spec.volume_name for claim in result.world.store.list(PersistentVolumeClaim)}


def events(result: Run, name: str) -> list[str]:
    return [f"{entry.detail['reason']}: {entry.detail['message']}" for entry in result.log.entries
            if entry.verb == "event" and entry.detail and entry.key.name == name]


def scenario(folder: Path, **spec: Any) -> Scenario:
    """A scenario of four nodes, written to a file of its own."""
    head = {"apiVersion": "bindsim/v1", "kind": "Scenario", "metadata": {"name": "lab"}}
    path = folder / "scenario.json"
    path.write_text(json.dumps({**head, "spec": {"nodes": {"count": 4}, **spec}}))
    return load_scenario([str(path)])


# --- the manifests as they were found ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_with_a_volume_on_each_of_three_nodes_the_cluster_comes_up(seed: int) -> None:
    result = run(load_scenario([CONSUL, VOLUMES], nodes=4), seed=seed)
    assert result.verdict == "converged"
    store = result.world.store
    assert store.list(StatefulSet)[0].status.ready_replicas == 3
    assert set(placements(result).values()) == {"node2", "node3", "node4"}
    for ordinal in range(3):
        volume = bindings(result)[f"data-consul-{ordinal}"]
        assert volume == f"consul-{placements(result)[f'consul-{ordinal}']}"


def test_the_command_says_so_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", CONSUL, VOLUMES, "--nodes", "4"]) == CONVERGED
    said = capsys.readouterr().out
    assert "consul   3/3" in said and "Verdict: converged" in said
    assert "ServiceAccount/consul" in said and "RoleBinding/consul" in said, "what is not simulated is named"


def test_without_volumes_the_first_pod_waits_and_the_others_do_not_exist(capsys: pytest.CaptureFixture[str]) -> None:
    result = run(load_scenario([CONSUL], nodes=4))
    assert result.verdict == "stuck"
    assert placements(result) == {"consul-0": ""} and bindings(result) == {"data-consul-0": ""}
    assert "FailedBinding: no persistent volumes available for this claim and no storage class is set" in events(
        result, "data-consul-0")
    assert any("pod has unbound immediate PersistentVolumeClaims" in said for said in events(result, "consul-0"))
    why = " ".join(" ".join(reason_lines(result.log)).split())
    assert "data-consul-0 is not bound: there is no volume at all" in why
    assert "consul-0 waits: its claim data-consul-0 is not bound" in why
    assert "consul-1 and consul-2 do not exist yet: consul-0 is not ready" in why
    assert main(["run", CONSUL, "--nodes", "4"]) == STUCK
    assert "Pending" in capsys.readouterr().out


def test_volumes_that_are_applied_later_are_found_within_fifteen_seconds_and_it_comes_up(tmp_path: Path) -> None:
    result = run(scenario(tmp_path, manifests=[CONSUL], timeline=[{"when": "the cluster is stuck", "apply": VOLUMES}]))
    assert result.verdict == "converged" and result.failures == ()
    volumes = result.world.store.list(PersistentVolume)
    assert {volume.status.phase for volume in volumes} == {"Bound"}
    applied = min(volume.metadata.creation_timestamp or 0 for volume in volumes)
    bound = next(entry.time for entry in result.log.entries
                 if isinstance(entry.new, PersistentVolumeClaim) and entry.new.spec.volume_name)
    assert 0 < bound - applied <= 15 * SECOND + SECOND // 10


@pytest.mark.parametrize("order", [(CONSUL, VOLUMES), (VOLUMES, CONSUL)], ids=["set first", "volumes first"])
def test_the_order_of_the_manifests_does_not_matter(order: tuple[str, str]) -> None:
    assert run(load_scenario(list(order), nodes=4)).verdict == "converged"


def test_a_fourth_replica_finds_no_volume(tmp_path: Path) -> None:
    timeline = [{"when": "StatefulSet/consul is ready", "scale": "StatefulSet/consul", "replicas": 4}]
    result = run(scenario(tmp_path, manifests=[CONSUL, VOLUMES], timeline=timeline))
    assert result.verdict == "stuck"
    assert {str(key) for key in result.waiting} == {
        "Pod/default/consul-3", "PersistentVolumeClaim/default/data-consul-3", "StatefulSet/default/consul"}


# --- the rows, over several seeds -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.parent.name)
def test_what_is_said_of_every_run_holds_for_several_seeds(path: Path) -> None:
    loaded = load_scenario([str(path)])
    expect = loaded.spec.expect
    promised = expect.every_run.verdict if expect is not None and expect.every_run is not None else None
    verdicts = {run(loaded, seed=seed, keep_log=needs_log(loaded)).verdict for seed in SEEDS}
    allowed = {"always converges": {"converged"}, "always gets stuck": {"stuck"}}
    assert verdicts <= allowed.get(promised or "", {"converged", "stuck"})


def needs_log(loaded: Scenario) -> bool:
    """Whether its timeline reads and writes data."""
    return any(entry.faults for entry in loaded.timeline)


@cache
def stuck_seeds() -> list[int]:
    devil = load_scenario([str(ROOT / "scenarios" / "devil")], {"volumesPerNode": "2"})
    return [seed for seed in range(20) if run(devil, seed=seed, keep_log=False).verdict == "stuck"]


def replayed(folder: Path, seed: int, *then: Mapping[str, Any]) -> Run:
    """The devil with two volumes per node, stuck under this seed, and what is done then."""
    place = str(ROOT / "scenarios" / "lab")
    devil = scenario(
        folder, manifests=[f"{place}/immediate-class.yaml"],
        volumes={"nodes": ["node2", "node3", "node4"], "perNode": 2, "storageClassName": "local"},
        timeline=[{"at": "1s", "apply": f"{place}/consul.yaml"}, *then],
    )
    result = run(devil, seed=seed)
    assert result.failures == ()
    return result


@pytest.mark.parametrize("turn", range(5))
def test_a_stuck_set_that_is_deleted_and_made_again_is_stuck_in_the_same_way(tmp_path: Path, turn: int) -> None:
    seed = stuck_seeds()[turn]
    before = replayed(tmp_path, seed)
    gone = " and ".join(f"{pod} is gone" for pod in ("Pod/consul-0", "Pod/consul-1", "Pod/consul-2"))
    after = replayed(
        tmp_path, seed, {"when": "the cluster is stuck", "delete": "StatefulSet/consul"},
        {"when": gone, "apply": str(ROOT / "scenarios" / "lab" / "consul.yaml")},
    )
    assert before.verdict == after.verdict == "stuck"
    assert set(before.waiting) == set(after.waiting)
    assert bindings(before) == bindings(after) and placements(before) == placements(after)
    assert reason_lines(before.log) == reason_lines(after.log)


@pytest.mark.parametrize("turn", range(5))
def test_deleting_the_stuck_pods_claim_and_the_pod_lets_it_run_elsewhere(tmp_path: Path, turn: int) -> None:
    """Its volume is Released and out of the draw; what is bound next may still be another stuck pod's."""
    seed = stuck_seeds()[turn]
    before = replayed(tmp_path, seed)
    (pod,) = (key.name for key in before.waiting if key.kind == "Pod")
    volume = bindings(before)[f"data-{pod}"]
    after = replayed(tmp_path, seed, {
        "when": "the cluster is stuck", "delete": [f"PersistentVolumeClaim/data-{pod}", f"Pod/{pod}"]})
    assert bindings(after)[f"data-{pod}"] not in (volume, "")
    released = after.world.store.get(PersistentVolume, volume)
    assert released is not None and released.status.phase == "Released"
    if pod == "consul-1":  # both volumes of the node that it shared with consul-0 are taken: it must be elsewhere
        assert placements(after)[pod] not in ("", placements(before)["consul-0"])


@pytest.mark.parametrize("seed", SEEDS)
def test_the_shipped_scenario_of_a_stuck_set_that_is_mended_is_mended_under_any_seed(seed: int) -> None:
    result = run(load_scenario([str(ROOT / "scenarios" / "lab" / "18c-stuck-and-mended")]), seed=seed)
    assert result.verdict == "converged" and result.failures == ()
    assert any("didn't match pod anti-affinity rules" in said for said in events(result, "consul-1"))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_shipped_scenario_of_a_set_made_again_is_stuck_twice_under_any_seed(seed: int) -> None:
    result = run(load_scenario([str(ROOT / "scenarios" / "lab" / "18b-stuck-and-made-again")]), seed=seed)
    assert result.verdict == "stuck" and result.failures == ()
    born = [entry.time for entry in result.log.entries if entry.verb == "create" and entry.key.name == "consul-1"]
    assert len(born) == 2 and placements(result) == {"consul-0": "node2", "consul-1": ""}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_rolling_update_goes_from_the_top_down_and_no_claim_changes_its_volume(seed: int) -> None:
    result = run(load_scenario([str(ROOT / "scenarios" / "lab" / "03-rolling-update")]), seed=seed)
    deleted = [entry.key.name for entry in result.log.entries if entry.verb == "delete" and entry.key.kind == "Pod"
               and entry.actor == "statefulset"]
    assert deleted == ["consul-2", "consul-1", "consul-0"]
    pairs = {(entry.key.name, entry.new.spec.volume_name) for entry in result.log.entries
             if isinstance(entry.new, PersistentVolumeClaim) and entry.new.spec.volume_name}
    assert len(pairs) == 3 == len({name for name, _ in pairs})
