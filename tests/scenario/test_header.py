from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from scenario_files import load

from simulator.scenario.header import header_of
from simulator.version import __version__

SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: None, ports: [{port: 80}]}
---
apiVersion: example.com/v1
kind: Wombat
metadata: {name: w}
---
apiVersion: v1
kind: Pod
metadata: {name: web-0}
spec: {containers: [{name: main, image: i}]}
"""


def test_the_header_says_what_was_run_and_with_what(tmp_path: Path) -> None:
    scenario = load(tmp_path, 'title: A title\nparameters: {size: 1}\nnodes: {count: "${size}"}\n')
    header = header_of(scenario, 7, "first")
    assert [header[name] for name in ("bindsim", "scenario", "title", "parameters", "seed", "ties")] == [
        __version__, "test", "A title", {"size": 1}, 7, "first"]
    path = tmp_path / "scenario.yaml"
    assert header["inputs"] == [{"file": str(path), "sha256": sha256(path.read_bytes()).hexdigest()}]
    assert header["origins"]["Node/node1"] == f"{path}:7"


def test_what_has_no_effect_is_told_whether_it_is_there_from_the_start_or_applied_later(tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text(SERVICE)
    for spec in ("nodes: {count: 1}\nmanifests: [web.yaml]\n", "nodes: {count: 1}\ntimeline: [{apply: web.yaml}]\n"):
        header = header_of(load(tmp_path, spec), 0, "uniform")
        where = tmp_path / "web.yaml"
        assert f"Wombat/w ({where}:6)" in header["notSimulated"]
        assert any(text.startswith("Service spec.ports (1x, first at") for text in header["withoutEffect"])
        assert header["origins"]["Pod/default/web-0"] == f"{where}:10"
        assert [item["file"] for item in header["inputs"]] == [str(tmp_path / "scenario.yaml"), str(where)]


def test_a_volume_tied_to_a_machine_that_nobody_defines_is_a_warning(tmp_path: Path) -> None:
    spec = "nodes: {count: 1}\nvolumes: {perNode: 1, nodes: [node1, node9]}\n"
    (warning,) = header_of(load(tmp_path, spec), 0, "uniform")["warnings"]
    assert 'PersistentVolume "pv-node9-1" is tied to node "node9", which no manifest defines. Add that node' in warning


def test_pods_of_controllers_that_are_not_simulated_are_counted(tmp_path: Path) -> None:
    owner = "{apiVersion: apps/v1, kind: DaemonSet, name: d, uid: u, controller: true}"
    pods = "".join(
        f"---\napiVersion: v1\nkind: Pod\nmetadata: {{name: d-{i}, ownerReferences: [{owner}]}}\n"
        "spec: {containers: [{name: main, image: i}]}\n" for i in range(2))
    (tmp_path / "pods.yaml").write_text(pods)
    header = header_of(load(tmp_path, "nodes: {count: 1}\nmanifests: [pods.yaml]\n"), 0, "uniform")
    assert header["held"] == ["2 pods of kind DaemonSet: kept where they are, and not made again"]
