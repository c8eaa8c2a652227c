"""Rules of single plug-ins, where the vectors of the specification leave something open."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.api.core import Namespace, Pod, Service
from simulator.api.meta import Object, decode
from simulator.scheduler.events import ADD, UPDATE_POD_SCALE_DOWN
from simulator.scheduler.framework import Code, FilterPlugin, Status
from simulator.scheduler.hints import REGISTERED
from simulator.scheduler.plugins import BalancedAllocation, InterPodAffinity, NodeResourcesFit, PodTopologySpread
from simulator.testing.builders import HOSTNAME, make_node, make_pod
from tests.scheduler.snapshots import answers, on, reasons, scores, snapshot_of


def answer(plugin: FilterPlugin, pod: Pod, *objects: Object) -> Status:
    """What a plug-in says of the only node."""
    found = answers(plugin, pod, snapshot_of(*objects))
    assert isinstance(found, dict)
    status, = found.values()
    return status


# --- resources ------------------------------------------------------------------------------------------------------


@pytest.mark.rule("SC-59")
@pytest.mark.parametrize(("requests", "reasons", "code"), [
    ({"cpu": "9", "memory": "31Gi"}, ["Insufficient cpu", "Insufficient memory"], Code.UNRESOLVABLE),
    ({"cpu": "8", "memory": "31Gi"}, ["Insufficient cpu", "Insufficient memory"], Code.UNSCHEDULABLE),
    ({"hugepages-2Mi": "2Mi"}, ["Insufficient hugepages-2Mi"], Code.UNRESOLVABLE),
    ({"attachable-volumes-x": "1"}, ["Insufficient attachable-volumes-x"], Code.UNRESOLVABLE),
    ({"kubernetes.io/x": "1"}, ["Insufficient kubernetes.io/x"], Code.UNRESOLVABLE),
    ({"z.io/b": "1", "a.io/c": "1", "ephemeral-storage": "1Ti"},
     ["Insufficient ephemeral-storage", "Insufficient a.io/c", "Insufficient z.io/b"], Code.UNRESOLVABLE),
])
def test_what_a_node_is_short_of(requests: dict[str, str], reasons: list[str], code: Code) -> None:
    there = on(make_pod("there", uid="t", cpu="1", memory="2Gi"), "a")
    pod = make_pod("p", uid="p", containers=[{"name": "c", "resources": {"requests": requests}}])
    status = answer(NodeResourcesFit(), pod, make_node("a"), there)
    assert (list(status.reasons), status.code, status.plugin) == (reasons, code, "NodeResourcesFit")


@pytest.mark.rule("SC-88")
@pytest.mark.rule("SC-62")
def test_silent_pods_on_a_node_count_in_the_score_and_not_in_the_balance() -> None:
    silent = [on(make_pod(f"silent-{number}", uid=str(number)), "a") for number in range(10)]
    snapshot = snapshot_of(make_node("a", cpu="4", memory="16000Mi"), *silent)
    pod = make_pod("p", uid="p", cpu="1", memory="2000Mi")
    # cpu: (4000 - 10 · 100 - 1000) / 4000 = 50; memory: (16000 - 10 · 200 - 2000) / 16000 = 75
    assert scores(NodeResourcesFit(), pod, snapshot) == {"a": 62}
    # real requests: nobody's before; after it |0.25 - 0.125| / 2 = 0.0625, so 93 after 100
    assert scores(BalancedAllocation(), pod, snapshot) == {"a": 50 + (50 + 93 - 100) // 2}


@pytest.mark.rule("SC-90")
def test_an_overcommitted_resource_is_full_and_no_more() -> None:
    there = on(make_pod("there", uid="t", cpu="2", memory="4Gi"), "a")
    snapshot = snapshot_of(make_node("a", cpu="1", memory="16Gi"), there)
    # before: 1 and 0.25, so 62; after: 1 and 0.5, so 75
    pod = make_pod("p", uid="p", memory="4Gi")
    assert scores(BalancedAllocation(), pod, snapshot) == {"a": 50 + (50 + 75 - 62) // 2}


# --- spreading ------------------------------------------------------------------------------------------------------


def constraint(key: str, action: str = "ScheduleAnyway", **fields: Any) -> dict[str, Any]:
    return {"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": action,
            "labelSelector": {"matchLabels": {"app": "x"}}, **fields}


@pytest.mark.rule("SC-76")
def test_only_pods_of_the_namespace_on_nodes_that_count_change_the_counts() -> None:
    constraint = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule",
                  "labelSelector": {"matchLabels": {"app": "x"}}}
    pod = make_pod("p", uid="p", labels={"app": "x"}, nodeSelector={"disk": "ssd"},
                   topologySpreadConstraints=[constraint])
    nodes = {"counts": {"zone": "z", "disk": "ssd"}, "excluded": {"zone": "z"}, "bare": {"disk": "ssd"}}
    snapshot = snapshot_of(*(make_node(name, labels=labels) for name, labels in nodes.items()))
    plugin = PodTopologySpread()
    state = plugin.pre_filter(pod, snapshot).state

    def changes(node: str, **fields: Any) -> bool:
        other = make_pod("other", uid="o", **{"labels": {"app": "x"}, **fields})
        return plugin.add_pod(state, pod, other, snapshot.node(node), snapshot).counts != state.counts  # type: ignore

    assert changes("counts") and not changes("excluded") and not changes("bare")
    assert not changes("counts", namespace="elsewhere") and not changes("counts", labels={"app": "y"})


@pytest.mark.rule("SC-79")
def test_one_constraint_of_its_own_and_the_defaults_are_gone() -> None:
    service = decode({"metadata": {"name": "s", "namespace": "default"}, "spec": {"selector": {"app": "x"}}}, Service)
    labels = {"app": "x"}
    there = on(make_pod("o", uid="o", labels=labels), "a")
    snapshot = snapshot_of(make_node("a"), make_node("b"), service, there)
    # hosts: a has 1 · ln 4 + 2, rounded 3, and b has 2; 100 · (3 + 2 - 3) / 3
    assert scores(PodTopologySpread(), make_pod("p", uid="p", labels=labels), snapshot) == {"a": 66, "b": 100}
    hard = make_pod("p", uid="p", labels=labels, topologySpreadConstraints=[constraint("zone", "DoNotSchedule")])
    assert scores(PodTopologySpread(), hard, snapshot) == "skip"


@pytest.mark.rule("SC-93")
def test_nodes_that_lack_a_key_are_no_hosts_when_hosts_are_counted() -> None:
    peers = [on(make_pod(f"o{number}", uid=str(number), labels={"app": "x"}), "a") for number in range(3)]
    zoned = [make_node(name, labels={"zone": name}) for name in "ab"]
    snapshot = snapshot_of(*zoned, make_node("c"), make_node("d"), *peers)
    pod = make_pod("p", uid="p", labels={"app": "x"},
                   topologySpreadConstraints=[constraint(HOSTNAME), constraint("zone")])
    plugin = PodTopologySpread()
    state = plugin.pre_score(pod, snapshot.nodes, snapshot).state
    raw = [plugin.score(state, pod, info, snapshot) for info in snapshot.nodes]
    # two hosts and two zones: 3 · ln 4 for each; with four hosts it would be 3 · ln 6 + 3 · ln 4 = 9.5
    assert raw == [8, 0, 0, 0]
    assert plugin.normalize(state, pod, raw, snapshot.nodes) == [0, 100, 0, 0]


# --- affinity -------------------------------------------------------------------------------------------------------


@pytest.mark.rule("SC-80")
@pytest.mark.parametrize(("scope", "meets"), [
    ({}, True), ({"namespaceSelector": {}}, True), ({"namespaceSelector": {"matchLabels": {"team": "b"}}}, False),
    ({"namespaceSelector": {"matchLabels": {"team": "b"}}, "namespaces": ["default"]}, True),
    ({"namespaces": ["other"]}, False),
])
def test_a_namespace_selector_takes_the_place_of_the_own_namespace(scope: dict[str, Any], meets: bool) -> None:
    term = {"labelSelector": {"matchLabels": {"app": "x"}}, "topologyKey": HOSTNAME, **scope}
    affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    own = decode({"metadata": {"name": "default", "labels": {"team": "a"}}}, Namespace)
    there, node = on(make_pod("x", uid="x", labels={"app": "x"}), "a"), make_node("a")
    refused = {"a": ["node(s) didn't match pod anti-affinity rules"]}
    mine = make_pod("p", uid="p", affinity=affinity)
    assert reasons(InterPodAffinity(), mine, snapshot_of(own, node, there)) == (refused if meets else {"a": "ok"})
    its = on(make_pod("y", uid="y", affinity=affinity), "a")
    refused = {"a": ["node(s) didn't satisfy existing pods anti-affinity rules"]}
    pod = make_pod("p", uid="p", labels={"app": "x"})
    assert reasons(InterPodAffinity(), pod, snapshot_of(own, node, its)) == (refused if meets else "skip")


# --- hints ----------------------------------------------------------------------------------------------------------


@pytest.mark.rule("SC-26")
def test_room_that_the_pod_does_not_ask_for_and_a_node_for_no_pods_do_not_help() -> None:
    hints = {mask: hint for _, mask, hint in REGISTERED["NodeResourcesFit"]}
    scaled_down, added = hints[UPDATE_POD_SCALE_DOWN], hints[ADD]
    big, small = (on(make_pod("o", uid="o", cpu=cpu, memory="1Gi"), "a") for cpu in ("2", "1"))
    assert scaled_down(make_pod("p", uid="p", cpu="1"), big, small)
    assert not scaled_down(make_pod("p", uid="p", cpu="0", memory="1Gi"), big, small)
    assert added(make_pod("p", uid="p", cpu="1"), None, make_node("n"))
    assert not added(make_pod("p", uid="p", cpu="1"), None, make_node("n", pods="0"))
