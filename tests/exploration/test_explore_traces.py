"""The shortest run into an end: it ends there, no run is shorter, and the point of no return is where it says.

And what explorations are for: races that people have met, found without being told where to look.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import networkx as nx  # type: ignore[import-untyped]
import pytest
import yaml

from simulator.api.core import PersistentVolumeClaim, Pod
from simulator.api.meta import Key, Object
from simulator.eventlog import Log
from simulator.exploration.ends import End
from simulator.exploration.explore import Exploration, explore
from simulator.scenario.load import Scenario, load_scenario
from simulator.testing.builders import make_claim, make_pod, make_set, make_volume
from tests.exploration.scenes import WAITING, Cluster, Workload, even, parallel
from tests.whole.small_worlds import CLASSES, apply, nodes, small_scenario

Changed = dict[Key, Object]


def last_state(log: Log) -> Changed:
    """The objects that a log leaves behind."""
    state: Changed = {}
    for entry in log.entries:
        if entry.new is not None:
            state[entry.key] = entry.new
        elif entry.old is not None:
            state.pop(entry.key, None)
    return state


def check_ends(found: Exploration) -> None:
    """Of each end: the path is the shortest, and the trace replays to it."""
    graph = nx.DiGraph()
    graph.add_nodes_from(found.graph.states)
    graph.add_edges_from((found.graph.source(edge), found.graph.target(edge)) for edge in found.graph.edges)
    distance = nx.single_source_shortest_path_length(graph, 0)
    hopeful = set(found.good).union(*(nx.ancestors(graph, state) for state in found.good))
    for end in found.ends:
        steps = found.path(end)
        assert len(steps) == min(distance[state] for state in end.states)
        fatal = [place for place, step in enumerate(steps) if step.is_fatal]
        if end.verdict == "converged":
            assert not fatal
        elif 0 in hopeful:
            assert len(fatal) == 1
            check_point_of_no_return(found, end, fatal[0], hopeful)
        else:
            assert not fatal
        check_trace(found, end)


def check_point_of_no_return(found: Exploration, end: End, fatal: int, hopeful: set[int]) -> None:
    """Before the step there was hope, after it there is none: along some way of these words into the end."""
    texts = [step.text for step in found.path(end)]
    ways: list[list[int]] = [[0]]
    for text in texts:
        ways = [
            [*way, found.graph.target(edge)] for way in ways for edge in found.graph.out(way[-1])
            if str(found.graph.label(edge)) == text
        ]
    ways = [way for way in ways if way[-1] in end.states]
    assert ways
    assert any(
        all(state in hopeful for state in way[:fatal + 1]) and not any(state in hopeful for state in way[fatal + 1:])
        for way in ways
    )


def check_trace(found: Exploration, end: End) -> None:
    log = found.trace(end)
    final = log.entries[-1]
    assert final.verb == "verdict" and final.detail is not None and final.detail["verdict"] == end.verdict
    assert final.detail["short"] == end.waiting
    state = last_state(log)
    placed = {str(key): obj.spec.node_name for key, obj in state.items() if isinstance(obj, Pod) and obj.spec.node_name}
    bound = {
        str(key): obj.spec.volume_name for key, obj in state.items()
        if isinstance(obj, PersistentVolumeClaim) and obj.spec.volume_name
    }
    assert (placed, bound) == (end.placements, end.bindings)
    assert [entry.seq for entry in log.entries] == sorted(entry.seq for entry in log.entries)


@pytest.mark.parametrize("interleavings", ["ties", "syncs", "writes"])
@pytest.mark.parametrize("cluster", [
    even(2, 2, Workload(2)), even(2, 1, Workload(2), mode=WAITING), even(1, 1, Workload(2)), even(1, 0, Workload(1)),
    Cluster((("10Gi",), ("20Gi",)), (Workload(1), Workload(1, request="15Gi"))),
], ids=str)
def test_traces_lead_where_they_say(cluster: Cluster, interleavings: str) -> None:
    check_ends(explore(cluster.scenario(), interleavings=interleavings))


@pytest.mark.parametrize("interleavings", ["ties", "syncs"])
@pytest.mark.parametrize("cluster", [
    even(3, 3), even(3, 2, parallel(Workload(3))), even(2, 2, parallel(Workload(2)), mode=WAITING),
], ids=str)
def test_traces_of_larger_clusters_lead_where_they_say(cluster: Cluster, interleavings: str) -> None:
    check_ends(explore(cluster.scenario(), interleavings=interleavings))


@pytest.mark.parametrize("ties", ["go-map", "first", "last"])
def test_traces_under_other_tie_policies_lead_where_they_say(ties: str) -> None:
    check_ends(explore(even(3, 2).scenario(), ties=ties))


def test_the_devil_cannot_be_saved_once_two_claims_are_on_one_node() -> None:
    """Four ends, one of them good; a bad one is decided by the claim that takes a second volume of a node."""
    found = explore(even(3, 3).scenario())
    for end in found.ends:
        fatal = [step.text for step in found.path(end) if step.is_fatal]
        if end.verdict == "stuck":
            number = len(end.bindings) - 1
            assert len(fatal) == 1 and f"t0-a-{number}" in fatal[0]


# --- competing sets -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("interleavings", ["ties", "syncs"])
def test_two_sets_take_each_others_volumes_although_there_are_enough(interleavings: str) -> None:
    """The small set goes on the large volume's node, and the smallest that fits there is the large one (VB-135)."""
    cluster = Cluster((("10Gi",), ("20Gi",)), (Workload(1), Workload(1, request="15Gi")), WAITING)
    found = explore(cluster.scenario(), interleavings=interleavings)
    assert found.is_complete and found.verdict == "may get stuck"
    stuck, = (end for end in found.ends if end.verdict == "stuck")
    assert stuck.bindings == {"PersistentVolumeClaim/default/t0-a-0": "v2-0"}
    assert set(stuck.waiting) == {
        "StatefulSet/default/b", "Pod/default/b-0", "PersistentVolumeClaim/default/t0-b-0"}
    good = [end for end in found.ends if end.verdict == "converged"]
    assert {tuple(sorted(end.bindings.values())) for end in good} == {("v1-0", "v2-0")}
    fatal, = (step.text for step in found.path(stuck) if step.is_fatal)
    assert "a-0" in fatal and "n2" in fatal
    if interleavings == "ties":
        assert found.stuck == next(end.chance for end in found.ends if end is stuck)
    check_ends(found)


# --- races ----------------------------------------------------------------------------------------------------------


def local(name: str, node: str) -> Object:
    return make_volume(name, node=node, storage_class="wait")


def claim(name: str) -> Object:
    return make_claim(name, storage_class="wait")


def two_pods() -> Scenario:
    """kubernetes#73263: three volumes, and two pods, one of them with two claims."""
    return small_scenario(
        [*CLASSES, *nodes(2), local("v1", "n1"), local("v2", "n1"), local("v3", "n2")],
        [apply(claim("a"), claim("b"), claim("d"), make_pod("p", claims=("a", "b")), at="1s"),
         apply(make_pod("q", claims=("d",)), at="1.2s")],
    )


def half_bound(end: End) -> bool:
    """One claim of p is bound on n1, where q has the other volume (VB-154)."""
    mine = [claim for claim in ("a", "b") if f"PersistentVolumeClaim/default/{claim}" in end.bindings]
    return (
        end.verdict == "stuck" and len(mine) == 1 and end.placements == {"Pod/default/q": "n1"}
        and {"Pod/default/p"} | {f"PersistentVolumeClaim/default/{claim}" for claim in {"a", "b"} - set(mine)}
        == set(end.waiting)
    )


@pytest.mark.parametrize("interleavings", ["ties", "syncs"])
@pytest.mark.rule("VB-146", "VB-154", "VB/ND-16")
def test_73263_the_second_claim_is_lost_if_one_call_fails(interleavings: str) -> None:
    found = explore(two_pods(), interleavings=interleavings, faults=1)
    assert found.is_complete and found.verdict == "may get stuck"
    ends = [end for end in found.ends if half_bound(end)]
    assert ends
    for end in ends:
        check_trace(found, end)
        assert sum(step.is_fatal for step in found.path(end)) == 1


@pytest.mark.parametrize("interleavings", ["ties", "syncs"])
def test_73263_does_not_happen_while_all_calls_succeed(interleavings: str) -> None:
    found = explore(two_pods(), interleavings=interleavings)
    assert found.is_complete and found.verdict == "always converges"


def grows() -> Scenario:
    """kubernetes#108560: a set of one on two nodes, made two."""
    return small_scenario(
        [*CLASSES, *nodes(2), *(local(f"v{number}{letter}", f"n{number}") for number in (1, 2) for letter in "ab")],
        [apply(make_set("web", replicas=1, storage_class="wait", podManagementPolicy="Parallel"), at="1s"),
         {"at": "2.5s", "scale": "StatefulSet/web", "replicas": 2}],
    )


def shares_a_node(end: End, pods: tuple[str, str]) -> bool:
    """Both claims are on one node, and only one pod runs there."""
    volumes = [end.bindings.get(f"PersistentVolumeClaim/default/data-{pod}", "") for pod in pods]
    return (
        end.verdict == "stuck" and len(set(end.placements)) == 1 and all(volumes)
        and len({volume[:2] if not volume.startswith("pv-") else volume[:8] for volume in volumes}) == 1
    )


@pytest.mark.rule("VB-153", "VB-154", "SC-105")
def test_108560_a_sibling_takes_the_place_if_one_call_fails() -> None:
    calm, shaken = explore(grows()), explore(grows(), faults=1)
    assert calm.verdict == "always converges"
    assert shaken.is_complete and shaken.verdict == "may get stuck"
    end, = (end for end in shaken.ends if shares_a_node(end, ("web-0", "web-1")))
    check_trace(shaken, end)


def without_its_fault(name: str, tmp_path: Path) -> Scenario:
    """A scenario of scenarios/races that is not told which call fails."""
    folder = Path("scenarios/races").resolve() / name
    raw: dict[str, Any] = yaml.safe_load((folder / "scenario.yaml").read_text())
    spec = raw["spec"]
    faults = [entry for entry in spec["timeline"] if "failCall" in entry]
    assert len(faults) == 1
    spec["timeline"] = [entry for entry in spec["timeline"] if "failCall" not in entry]
    spec["manifests"] = [str((folder / path).resolve()) for path in spec["manifests"]]
    for entry in spec["timeline"]:
        if isinstance(entry.get("apply"), str):
            entry["apply"] = str(folder / entry["apply"])
    del spec["expect"]
    (tmp_path / "scenario.yaml").write_text(yaml.safe_dump(raw))
    return load_scenario(tmp_path)


def test_the_races_that_are_shipped_are_found_without_being_told(tmp_path: Path) -> None:
    for name, is_found in (
        ("second-claim-lost", lambda end: end.verdict == "stuck" and set(end.waiting) == {
            "Pod/default/p", "PersistentVolumeClaim/default/b"} and end.bindings == {
            "PersistentVolumeClaim/default/a": "v1", "PersistentVolumeClaim/default/d": "v2"}),
        ("bind-fails-sibling-takes-the-place", lambda end: shares_a_node(end, ("db-0", "db-1"))),
    ):
        folder = tmp_path / name
        folder.mkdir()
        scenario = without_its_fault(name, folder)
        assert explore(scenario).verdict == "always converges"
        found = explore(scenario, faults=1)
        assert found.is_complete and any(map(is_found, found.ends)), name
