"""NodeUnschedulable, NodeName, TaintToleration, NodeAffinity and NodePorts."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.api.core import Taint, Toleration
from simulator.api.meta import decode
from simulator.scheduler.framework import SUCCESS, Code, NodeInfo, default_normalize
from simulator.scheduler.plugins import (
    NodeAffinity,
    NodeName,
    NodePorts,
    NodeUnschedulable,
    TaintToleration,
    default_profile,
)
from simulator.scheduler.plugins.taint_toleration import tolerates
from simulator.scheduler.resources import HostPort, host_ports
from simulator.testing.builders import make_node, make_pod
from tests.scheduler.snapshots import answers, on, reasons, scores, snapshot_of

AFFINITY = ["node(s) didn't match Pod's node affinity/selector"]


@pytest.mark.rule("SC-51")
def test_a_cordoned_node_refuses_pods_that_do_not_tolerate_the_cordon() -> None:
    snapshot = snapshot_of(make_node("a"), make_node("b", unschedulable=True))
    toleration = {"key": "node.kubernetes.io/unschedulable", "operator": "Exists", "effect": "NoSchedule"}
    assert reasons(NodeUnschedulable(), make_pod("p"), snapshot) == {"a": "ok", "b": ["node(s) were unschedulable"]}
    assert reasons(NodeUnschedulable(), make_pod("p", tolerations=[toleration]), snapshot) == {"a": "ok", "b": "ok"}


@pytest.mark.rule("SC-51")
def test_a_cordoned_node_reports_the_cordon_and_not_its_taint() -> None:
    filters = [plugin.name for plugin in default_profile().filters]
    assert filters.index("NodeUnschedulable") < filters.index("TaintToleration")


@pytest.mark.rule("SC-52")
def test_a_pod_that_names_its_node_goes_nowhere_else() -> None:
    snapshot = snapshot_of(make_node("a"), make_node("b"))
    refused = ["node(s) didn't match the requested node name"]
    assert reasons(NodeName(), make_pod("p", nodeName="a"), snapshot) == {"a": "ok", "b": refused}
    assert reasons(NodeName(), make_pod("p"), snapshot) == "skip"


@pytest.mark.rule("SC-53")
@pytest.mark.parametrize(("effect", "passes"), [
    ("NoSchedule", False), ("NoExecute", False), ("PreferNoSchedule", True),
])
def test_only_hard_taints_refuse(effect: str, passes: bool) -> None:
    snapshot = snapshot_of(make_node("a", taints=[{"key": "k", "value": "v", "effect": effect}]))
    expected = "ok" if passes else ["node(s) had untolerated taint(s)"]
    assert reasons(TaintToleration(), make_pod("p"), snapshot) == {"a": expected}


@pytest.mark.rule("SC-54")
@pytest.mark.parametrize(("toleration", "expected"), [
    ({"key": "k", "value": "v"}, True),
    ({"key": "k", "operator": "Equal", "value": "w"}, False),
    ({"key": "k", "operator": "Exists"}, True),
    ({"operator": "Exists"}, True),
    ({"operator": "Exists", "effect": "NoExecute"}, False),
    ({"key": "k", "value": "v", "effect": "NoSchedule"}, True),
    ({"key": "k", "value": "v", "effect": "NoExecute"}, False),
    ({"key": "other", "operator": "Exists"}, False),
    ({"key": "k", "operator": "Gt", "value": "0"}, False),
    ({"key": "k", "operator": "Lt", "value": "9"}, False),
])
def test_a_toleration_matches_by_effect_key_and_value(toleration: dict[str, Any], expected: bool) -> None:
    taint = Taint(key="k", value="v", effect="NoSchedule")
    assert tolerates([decode(toleration, Toleration)], taint) is expected


@pytest.mark.rule("SC-86")
def test_no_soft_taint_anywhere_gives_every_node_the_highest_score() -> None:
    assert scores(TaintToleration(), make_pod("p"), snapshot_of(make_node("a"), make_node("b"))) == {"a": 100, "b": 100}


@pytest.mark.rule("SC-86")
def test_a_hard_toleration_does_not_help_against_a_soft_taint() -> None:
    node = make_node("a", taints=[{"key": "k", "value": "v", "effect": "PreferNoSchedule"}])
    hard = make_pod("p", tolerations=[{"key": "k", "operator": "Exists", "effect": "NoSchedule"}])
    soft = make_pod("p", tolerations=[{"key": "k", "operator": "Exists"}])
    assert scores(TaintToleration(), hard, snapshot_of(node, make_node("b"))) == {"a": 0, "b": 100}
    assert scores(TaintToleration(), soft, snapshot_of(node, make_node("b"))) == {"a": 100, "b": 100}


@pytest.mark.rule("SC-85")
def test_scores_are_brought_in_proportion_to_the_highest() -> None:
    assert default_normalize([1, 2, 3], reverse=False) == [33, 66, 100]
    assert default_normalize([1, 2, 3], reverse=True) == [67, 34, 0]
    assert default_normalize([0, 0], reverse=False) == [0, 0]
    assert default_normalize([0, 0], reverse=True) == [100, 100]


def required(*terms: dict[str, Any]) -> dict[str, Any]:
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}}


def named(*names: str, operator: str = "In") -> dict[str, Any]:
    return {"matchFields": [{"key": "metadata.name", "operator": operator, "values": list(names)}]}


def labelled(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


@pytest.mark.rule("SC-55")
def test_selector_and_affinity_must_both_match() -> None:
    snapshot = snapshot_of(make_node("a", labels={"x": "1", "y": "1"}), make_node("b", labels={"x": "1"}),
                           make_node("c", labels={"y": "1"}))
    pod = make_pod("p", nodeSelector={"x": "1"}, affinity=required(labelled("y", "In", "1")))
    assert reasons(NodeAffinity(), pod, snapshot) == {"a": "ok", "b": AFFINITY, "c": AFFINITY}


@pytest.mark.rule("SC-55")
def test_a_pod_without_requirements_is_not_filtered() -> None:
    assert reasons(NodeAffinity(), make_pod("p"), snapshot_of(make_node("a"))) == "skip"


@pytest.mark.rule("SC-55")
def test_the_profiles_own_affinity_comes_first() -> None:
    added = required(labelled("x", "In", "1"))["nodeAffinity"]
    plugin = next(each for each in default_profile({"NodeAffinity": {"addedAffinity": added}}).filters
                  if isinstance(each, NodeAffinity))
    snapshot = snapshot_of(make_node("a", labels={"x": "1"}), make_node("b"))
    assert reasons(plugin, make_pod("p", nodeSelector={"y": "1"}), snapshot) == {
        "a": AFFINITY, "b": ["node(s) didn't match scheduler-enforced node affinity"],
    }


@pytest.mark.rule("SC-56")
@pytest.mark.parametrize(("terms", "passes"), [
    ([{}], False),
    ([{}, labelled("x", "Exists")], True),
    ([labelled("x", "NotIn", "1")], False),
    ([labelled("absent", "NotIn", "1")], True),
    ([labelled("absent", "DoesNotExist")], True),
    ([labelled("n", "Gt", "4")], True),
    ([labelled("n", "Lt", "5")], False),
    ([labelled("n", "Gt", "four")], False),
    ([labelled("x", "Gt", "0", "1")], False),
    ([named("a"), labelled("absent", "Exists")], True),
    ([named("a", operator="NotIn")], False),
    ([named("a", "b")], False),
    ([{**named("a"), **labelled("absent", "Exists")}], False),
])
def test_terms_are_alternatives_and_expressions_conditions(terms: list[dict[str, Any]], passes: bool) -> None:
    snapshot = snapshot_of(make_node("a", labels={"x": "1", "n": "5"}))
    expected = "ok" if passes else AFFINITY
    assert reasons(NodeAffinity(), make_pod("p", affinity=required(*terms)), snapshot) == {"a": expected}


@pytest.mark.rule("SC-57")
@pytest.mark.parametrize(("terms", "names"), [
    ([named("a")], {"a"}),
    ([named("a"), named("b")], {"a", "b"}),
    ([named("a"), labelled("x", "Exists")], None),
    ([named("a", operator="NotIn")], None),
    ([{"matchFields": [*named("a", "b")["matchFields"], *named("b", "c")["matchFields"]]}], {"b"}),
])
def test_node_names_demanded_by_every_term_narrow_the_search(
    terms: list[dict[str, Any]], names: set[str] | None
) -> None:
    found = NodeAffinity().pre_filter(make_pod("p", affinity=required(*terms)), snapshot_of(make_node("a")))
    assert found.node_names == names


@pytest.mark.rule("SC-57")
def test_conflicting_names_refuse_the_pod_outright() -> None:
    conflict = {"matchFields": [*named("a")["matchFields"], *named("b")["matchFields"]]}
    found = answers(NodeAffinity(), make_pod("p", affinity=required(conflict)), snapshot_of(make_node("a")))
    assert (found.code, found.reasons) == (Code.UNRESOLVABLE, ("pod affinity terms conflict",))  # type: ignore[union-attr]


def preferred(*terms: tuple[int, dict[str, Any]]) -> dict[str, Any]:
    listed = [{"weight": weight, "preference": preference} for weight, preference in terms]
    return {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": listed}}


@pytest.mark.rule("SC-87")
def test_preferences_are_summed_and_empty_ones_left_out() -> None:
    snapshot = snapshot_of(make_node("a", labels={"x": "1"}), make_node("b", labels={"x": "1", "y": "1"}),
                           make_node("c"))
    pod = make_pod("p", affinity=preferred((3, labelled("x", "Exists")), (1, labelled("y", "Exists")), (9, {})))
    assert scores(NodeAffinity(), pod, snapshot) == {"a": 75, "b": 100, "c": 0}
    assert scores(NodeAffinity(), make_pod("p", affinity=preferred((9, {}))), snapshot) == "skip"


def port(number: int, ip: str = "", protocol: str = "") -> dict[str, Any]:
    return {"containerPort": 80, "hostPort": number, "hostIP": ip, "protocol": protocol}


@pytest.mark.rule("SC-58")
@pytest.mark.parametrize(("wanted", "used", "passes"), [
    (port(80), port(80), False),
    (port(80), port(81), True),
    (port(80), port(80, protocol="UDP"), True),
    (port(80, "10.0.0.1"), port(80, "10.0.0.2"), True),
    (port(80, "10.0.0.1"), port(80, "10.0.0.1"), False),
    (port(80, "10.0.0.1"), port(80), False),
    (port(80, "0.0.0.0"), port(80, "10.0.0.1"), False),
])
def test_a_host_port_belongs_to_one_pod(wanted: dict[str, Any], used: dict[str, Any], passes: bool) -> None:
    there = on(make_pod("there", containers=[{"name": "c", "ports": [used]}]), "a")
    pod = make_pod("p", containers=[{"name": "c", "ports": [wanted]}])
    expected = "ok" if passes else ["node(s) didn't have free ports for the requested pod ports"]
    assert reasons(NodePorts(), pod, snapshot_of(make_node("a"), there)) == {"a": expected}


@pytest.mark.rule("SC-58")
def test_sidecars_have_host_ports_and_ordinary_init_containers_have_none() -> None:
    pod = make_pod("p", initContainers=[
        {"name": "side", "restartPolicy": "Always", "ports": [port(1)]}, {"name": "init", "ports": [port(2)]},
    ])
    assert host_ports(pod) == (HostPort("0.0.0.0", "TCP", 1),)
    assert reasons(NodePorts(), make_pod("p"), snapshot_of(make_node("a"))) == "skip"


@pytest.mark.rule("SC-58")
def test_a_pod_taken_off_a_node_frees_its_port() -> None:
    there = make_pod("there", uid="1", containers=[{"name": "c", "ports": [port(80)]}])
    info = NodeInfo.of(make_node("a"), [there])
    pod = make_pod("p", containers=[{"name": "c", "ports": [port(80)]}])
    snapshot = snapshot_of(make_node("a"))
    state = NodePorts().pre_filter(pod, snapshot).state
    assert NodePorts().filter(state, pod, info, snapshot).code is Code.UNSCHEDULABLE
    assert NodePorts().filter(state, pod, info.without_pod(there), snapshot) is SUCCESS
