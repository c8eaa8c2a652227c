from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from scenario_files import load, write

from simulator.errors import ManifestError, ScenarioError, SimulatorError
from simulator.scenario.load import load_scenario
from simulator.simulation import run
from simulator.units import SECOND

NODES = "nodes: {count: 2}\n"
POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: web-0}\nspec: {containers: [{name: main, image: i}]}\n"


def test_a_folder_means_the_scenario_in_it(tmp_path: Path) -> None:
    write(tmp_path, NODES)
    assert load_scenario([str(tmp_path)]).name == "test"


def test_bare_manifests_are_a_scenario_too_and_nodes_can_be_added(tmp_path: Path) -> None:
    (tmp_path / "pod.yaml").write_text(POD)
    scenario = load_scenario([str(tmp_path / "pod.yaml")], nodes=2)
    names = [item.obj.name for item in scenario.initial.objects if item.obj.KIND != "Namespace"]
    assert names == ["node1", "node2", "web-0"]
    piped = load_scenario(["-"], stdin=StringIO(POD))
    assert [item.obj.name for item in piped.initial.objects if item.obj.KIND == "Pod"] == ["web-0"]


def test_settings_replace_the_defaults_of_parameters(tmp_path: Path) -> None:
    spec = 'parameters: {size: 1}\nnodes: {count: "${size}"}\n'
    assert len(load(tmp_path, spec).initial.open_nodes) == 1
    changed = load(tmp_path, spec, size="3")
    assert len(changed.initial.open_nodes) == 3 and changed.parameters == {"size": 3}


def test_volumes_without_nodes_are_made_on_every_node_that_nothing_closes(tmp_path: Path) -> None:
    spec = "nodes: [{count: 1}, {count: 1, first: 2, taints: ['a:NoSchedule']}]\nvolumes: {perNode: 1}\n"
    volumes = [item.obj.name for item in load(tmp_path, spec).initial.objects if item.obj.KIND == "PersistentVolume"]
    assert volumes == ["pv-node1-1"]


@pytest.mark.parametrize(("spec", "line", "words"), [
    ("nodes: 5", 5, 'spec.nodes: Expected a mapping or a list or null'),
    (f"{NODES}nodse: 5", 6, 'spec has no field "nodse". Did you mean nodes?'),
    ("nodes:\n  cuont: 3", 6, 'spec.nodes has no field "cuont". Did you mean count?'),
    ("nodes: {count: 1, name: 'n{j}'}", 5, "spec.nodes: \"n{j}\" cannot be filled in"),
    ("nodes: {count: 1, taints: [a]}", 5, 'spec.nodes: "a" is not a taint; write key=value:NoSchedule'),
    ("nodes: {count: 1, cpu: lots}", 5, '"lots" is not a quantity'),
    ("nodes: {count: 2, name: same}", 5, 'Node "same" is given twice'),
    (f"{NODES}volumes: {{perNode: 1, capacity: []}}", 6, "spec.volumes: capacity is an empty list; give one size"),
    (f"{NODES}volumes: {{perNode: 1, capacity: big}}", 6, '"big" is not a quantity'),
    (f"{NODES}manifests:\n  - nowhere.yaml", 7, '"nowhere.yaml" does not exist beside the scenario. Correct the name.'),
    (f"{NODES}manifests:\n  - 5", 7, "5 is neither a file name nor an object"),
    (f"{NODES}manifests:\n  - {{kind: Pod}}", 7, "apiVersion is missing"),
    (f"{NODES}until: later", 6, 'spec.until: "later" is not a duration; write a number with a unit'),
    (f"{NODES}latency:\n  apy: 1s", 7, 'nothing takes a latency called "apy". Did you mean "api"?'),
    (f"{NODES}latency:\n  api: soon", 7, 'spec.latency.api: "soon" is not a duration'),
    (f"{NODES}latency:\n  api: {{'0': 1s, inf: 2s}}", 7, "'inf' is not a share; write a number from \"0\" to \"1\""),
    ("title: ${x}\nnodes: {count: 1}", 5, '"${x}" is not a parameter of this scenario'),
    (f"{NODES}ties: best", 6, "spec.ties: Invalid enum value 'best'"),
    (f"{NODES}expect: {{run: {{ties: best}}}}", 6, "spec.expect.run.ties: Invalid enum value 'best'"),
])
def test_what_is_wrong_is_said_with_its_line_and_how_to_mend_it(
    tmp_path: Path, spec: str, line: int, words: str
) -> None:
    with pytest.raises(SimulatorError) as problem:
        load(tmp_path, spec)
    first = str(problem.value).splitlines()[0]
    assert first.startswith(f"{tmp_path / 'scenario.yaml'}:{line}: ") and words in str(problem.value)


def test_a_scenario_with_nothing_in_it_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="no objects and no timeline"):
        load(tmp_path, "title: nothing")


def test_an_unknown_setting_is_an_error_with_a_guess(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r'"cuont" is not a parameter of this scenario\. Did you mean "count"'):
        load(tmp_path, f"parameters: {{count: 1}}\n{NODES}", cuont="3")


def test_only_a_scenario_file_has_parameters(tmp_path: Path) -> None:
    (tmp_path / "pod.yaml").write_text(POD)
    with pytest.raises(ScenarioError, match="only a scenario file has parameters"):
        load_scenario([str(tmp_path / "pod.yaml")], {"a": "1"})


def test_a_scenario_file_stands_alone_wherever_it_is_named(tmp_path: Path) -> None:
    scenario = write(tmp_path, NODES)
    (tmp_path / "pod.yaml").write_text(POD)
    for order in ([scenario, tmp_path / "pod.yaml"], [tmp_path / "pod.yaml", scenario]):
        with pytest.raises(ScenarioError, match=r"names its manifests itself\. Give it alone"):
            load_scenario([str(path) for path in order])


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises((ScenarioError, ManifestError), match=r"nowhere\.yaml"):
        load_scenario([str(tmp_path / "nowhere.yaml")])


@pytest.mark.parametrize(("latency", "ready"), [({}, 0), ({"pod-start": "30s"}, 30), ({"image-pull": "30s"}, 30)])
def test_the_start_of_a_pod_can_be_set_as_a_whole_or_by_its_parts(
    tmp_path: Path, latency: dict[str, str], ready: int
) -> None:
    wanted = {"containers": [{"name": "c", "image": "i"}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": wanted}
    spec = {"nodes": {"count": 1}, "manifests": [pod], "latency": latency}
    raw = {"apiVersion": "bindsim/v1", "kind": "Scenario", "metadata": {"name": "s"}, "spec": spec}
    (tmp_path / "scenario.yaml").write_text(json.dumps(raw))
    result = run(load_scenario(tmp_path))
    assert result.verdict == "converged" and ready <= result.world.last_change // SECOND < ready + 3


def test_a_whole_and_its_part_are_not_both_set(tmp_path: Path) -> None:
    spec = {"nodes": {"count": 1}, "latency": {"pod-start": "1s", "sandbox": "1s"}}
    raw = {"apiVersion": "bindsim/v1", "kind": "Scenario", "metadata": {"name": "s"}, "spec": spec}
    (tmp_path / "scenario.yaml").write_text(json.dumps(raw))
    with pytest.raises(ScenarioError, match="pod-start and sandbox, which is a part of it, cannot both be set"):
        load_scenario(tmp_path)
