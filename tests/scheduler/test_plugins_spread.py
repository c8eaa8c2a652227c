"""PodTopologySpread."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.api.core import Pod, Service
from simulator.api.meta import OwnerReference, decode, with_meta
from simulator.scheduler.framework import SUCCESS, Code
from simulator.scheduler.plugins import PodTopologySpread, default_profile
from simulator.testing.builders import HOSTNAME, make_node, make_pod, make_set
from tests.scheduler.snapshots import answers, on, reasons, scores, snapshot_of

ZONE = "topology.kubernetes.io/zone"
FULL = ["node(s) didn't match pod topology spread constraints"]
MISSING = ["node(s) didn't match pod topology spread constraints (missing required label)"]
PLUGIN = PodTopologySpread()
APP: dict[str, Any] = {"matchLabels": {"app": "x"}}


def constraint(key: str = "zone", skew: int = 1, action: str = "DoNotSchedule", selector: Any = None,
               **more: Any) -> dict[str, Any]:
    return {"topologyKey": key, "maxSkew": skew, "whenUnsatisfiable": action,
            "labelSelector": APP if selector is None else selector, **more}


def pod_with(*constraints: dict[str, Any], **spec: Any) -> Pod:
    labels = spec.pop("labels", {"app": "x"})
    return make_pod("p", labels=labels, topologySpreadConstraints=list(constraints), **spec)


def there(name: str, node: str, **more: Any) -> Pod:
    return on(make_pod(name, labels=more.pop("labels", {"app": "x"}), **more), node)


def zones(*placed: Any, **nodes: str) -> Any:
    return snapshot_of(*(make_node(name, labels={"zone": zone}) for name, zone in nodes.items()), *placed)


@pytest.mark.rule("SC-70")
def test_a_pod_without_hard_constraints_is_not_filtered() -> None:
    assert reasons(PLUGIN, pod_with(constraint(action="ScheduleAnyway")), zones(a="1")) == "skip"


@pytest.mark.rule("SC-73")
def test_the_fullest_domain_is_refused_once_the_skew_is_reached() -> None:
    snapshot = zones(there("one", "a"), there("two", "a"), there("three", "b"), a="1", b="2")
    assert reasons(PLUGIN, pod_with(constraint(skew=1)), snapshot) == {"a": FULL, "b": "ok"}
    assert reasons(PLUGIN, pod_with(constraint(skew=2)), snapshot) == {"a": "ok", "b": "ok"}


@pytest.mark.rule("SC-73")
def test_a_full_domain_may_be_preempted_and_a_missing_label_not() -> None:
    found: Any = answers(PLUGIN, pod_with(constraint()), snapshot_of(
        make_node("a", labels={"zone": "1"}), make_node("b", labels={"zone": "2"}), make_node("c"), there("one", "a")))
    assert (found["a"].code, list(found["a"].reasons)) == (Code.UNSCHEDULABLE, FULL)
    assert (found["c"].code, list(found["c"].reasons)) == (Code.UNRESOLVABLE, MISSING)


@pytest.mark.rule("SC-73")
def test_a_pod_that_does_not_match_itself_adds_nothing() -> None:
    snapshot = zones(there("one", "a"), a="1", b="2")
    assert reasons(PLUGIN, pod_with(constraint(), labels={}), snapshot) == {"a": "ok", "b": "ok"}


@pytest.mark.rule("SC-73")
def test_too_few_domains_make_the_least_count_zero() -> None:
    snapshot = zones(there("one", "a"), there("two", "b"), a="1", b="2")
    assert reasons(PLUGIN, pod_with(constraint(minDomains=2)), snapshot) == {"a": "ok", "b": "ok"}
    assert reasons(PLUGIN, pod_with(constraint(minDomains=3)), snapshot) == {"a": FULL, "b": FULL}


@pytest.mark.rule("SC-71")
def test_a_node_without_all_keys_does_not_count() -> None:
    lonely = make_node("c", labels={"zone": "3"})
    snapshot = snapshot_of(make_node("a", labels={"zone": "1", "rack": "r"}), lonely, there("one", "a"),
                           there("two", "c"))
    pod = pod_with(constraint(), constraint("rack", 5))
    assert reasons(PLUGIN, pod, snapshot) == {"a": "ok", "c": MISSING}


@pytest.mark.rule("SC-71")
@pytest.mark.rule("SC-75")
def test_policies_say_which_nodes_count() -> None:
    tainted = make_node("b", labels={"zone": "2"}, taints=[{"key": "k", "effect": "NoSchedule"}])
    snapshot = snapshot_of(make_node("a", labels={"zone": "1", "x": "1"}), tainted, there("one", "a"))
    assert reasons(PLUGIN, pod_with(constraint()), snapshot) == {"a": FULL, "b": "ok"}
    assert reasons(PLUGIN, pod_with(constraint(nodeTaintsPolicy="Honor")), snapshot) == {"a": "ok", "b": "ok"}
    wants = {"nodeSelector": {"x": "1"}}
    assert reasons(PLUGIN, pod_with(constraint(), **wants), snapshot) == {"a": "ok", "b": "ok"}
    assert reasons(PLUGIN, pod_with(constraint(nodeAffinityPolicy="Ignore"), **wants), snapshot)["a"] == FULL


@pytest.mark.rule("SC-72")
@pytest.mark.rule("SC-77")
def test_terminating_pods_and_other_namespaces_do_not_count() -> None:
    leaving = with_meta(there("leaving", "a"), deletion_timestamp=1)
    snapshot = zones(leaving, there("foreign", "a", namespace="other"), a="1", b="2")
    assert reasons(PLUGIN, pod_with(constraint()), snapshot) == {"a": "ok", "b": "ok"}


@pytest.mark.rule("SC-72")
def test_no_selector_matches_nothing_and_an_empty_one_only_the_pod_itself() -> None:
    snapshot = zones(there("one", "a"), there("two", "a"), a="1", b="2")
    assert reasons(PLUGIN, pod_with({**constraint(), "labelSelector": None}), snapshot) == {"a": "ok", "b": "ok"}
    assert reasons(PLUGIN, pod_with(constraint(selector={})), snapshot) == {"a": "ok", "b": "ok"}
    assert reasons(PLUGIN, pod_with(constraint(selector={}, skew=0)), snapshot) == {"a": FULL, "b": FULL}


@pytest.mark.rule("SC-74")
def test_match_label_keys_narrow_the_selector_to_the_pods_own_values() -> None:
    snapshot = zones(there("old", "a", labels={"app": "x", "rev": "1"}), a="1", b="2")
    pod = pod_with(constraint(matchLabelKeys=["rev", "absent"]), labels={"app": "x", "rev": "2"})
    assert reasons(PLUGIN, pod, snapshot) == {"a": "ok", "b": "ok"}
    assert reasons(PLUGIN, pod_with(constraint(matchLabelKeys=["absent"])), snapshot)["a"] == FULL


@pytest.mark.rule("SC-76")
def test_counts_follow_pods_that_are_taken_away_or_added_in_thought() -> None:
    one = there("one", "a")
    snapshot = zones(one, a="1", b="2")
    pod = pod_with(constraint())
    state = PLUGIN.pre_filter(pod, snapshot).state
    a, b = snapshot.nodes
    without = PLUGIN.remove_pod(state, pod, one, a, snapshot)
    assert PLUGIN.filter(without, pod, a, snapshot) is SUCCESS
    assert PLUGIN.add_pod(without, pod, one, a, snapshot) == state
    assert PLUGIN.filter(PLUGIN.add_pod(state, pod, there("new", "b"), b, snapshot), pod, a, snapshot) is SUCCESS
    assert PLUGIN.add_pod(state, pod, there("foreign", "b", namespace="other"), b, snapshot) == state


@pytest.mark.rule("SC-76")
def test_taking_away_a_terminating_pod_lowers_a_count_that_never_included_it() -> None:
    leaving = with_meta(there("leaving", "a"), deletion_timestamp=1)
    snapshot = zones(leaving, there("one", "b"), a="1", b="2")
    pod = pod_with(constraint())
    state = PLUGIN.pre_filter(pod, snapshot).state
    without = PLUGIN.remove_pod(state, pod, leaving, snapshot.nodes[0], snapshot)
    assert (state.counts, without.counts) == (({"1": 0, "2": 1},), ({"1": -1, "2": 1},))
    assert without.least == (-1,)


@given(
    nodes=st.lists(st.tuples(st.sampled_from(["1", "2", "3", None]), st.integers(0, 3)), min_size=1, max_size=5),
    skew=st.integers(1, 2), domains=st.integers(1, 3),
)
@pytest.mark.rule("SC-73")
def test_the_check_is_the_formula(nodes: list[tuple[str | None, int]], skew: int, domains: int) -> None:
    objects = []
    for number, (zone, pods) in enumerate(nodes):
        objects.append(make_node(f"n{number}", labels={"zone": zone} if zone else {}))
        objects += [there(f"p{number}-{each}", f"n{number}") for each in range(pods)]
    found = reasons(PLUGIN, pod_with(constraint(skew=skew, minDomains=domains)), snapshot_of(*objects))
    counts: dict[str, int] = {}
    for zone, pods in nodes:
        if zone:
            counts[zone] = counts.get(zone, 0) + pods
    least = min(counts.values()) if counts and len(counts) >= domains else 0
    for number, (zone, _) in enumerate(nodes):
        expected: Any = MISSING
        if zone:
            expected = "ok" if counts[zone] + 1 - least <= skew else FULL
        assert found[f"n{number}"] == expected


# --- scores ---------------------------------------------------------------------------------------------------------


def owned(name: str, number: int) -> Pod:
    owner = OwnerReference(api_version="apps/v1", kind="StatefulSet", name=name, uid="u", controller=True)
    return with_meta(make_pod(f"{name}-{number}", labels={"app": name}), owner_references=(owner,))


@pytest.mark.rule("SC-79")
@pytest.mark.rule("SC-93")
def test_the_pods_of_a_set_are_spread_over_hosts_by_default() -> None:
    snapshot = snapshot_of(make_set("db"), make_node("a"), make_node("b"), make_node("c"),
                           on(owned("db", 0), "b"), on(owned("db", 1), "c"))
    assert scores(PLUGIN, owned("db", 2), snapshot) == {"a": 100, "b": 50, "c": 50}


@pytest.mark.rule("SC-79")
def test_default_constraints_come_from_services_too_and_never_refuse() -> None:
    service = decode({"metadata": {"name": "s", "namespace": "default"}, "spec": {"selector": {"app": "x"}}}, Service)
    other = decode({"metadata": {"name": "t", "namespace": "default"}, "spec": {"selector": {"app": "y"}}}, Service)
    pod = make_pod("p", labels={"app": "x"})
    nodes = make_node("a"), make_node("b")
    assert scores(PLUGIN, pod, snapshot_of(service, *nodes, there("one", "a"))) == {"a": 66, "b": 100}
    assert scores(PLUGIN, pod, snapshot_of(other, *nodes, there("one", "a"))) == "skip"
    assert scores(PLUGIN, pod, snapshot_of(*nodes, there("one", "a"))) == "skip", "empty selector"
    assert reasons(PLUGIN, pod, snapshot_of(service, *nodes)) == "skip"


@pytest.mark.rule("SC-79")
def test_a_pod_that_lists_any_constraint_gets_no_defaults() -> None:
    assert scores(PLUGIN, with_meta(owned("db", 0)), snapshot_of(make_set("db"), make_node("a"))) != "skip"
    assert scores(PLUGIN, pod_with(constraint()), snapshot_of(make_set("x"), make_node("a"))) == "skip"


@pytest.mark.rule("SC-79")
def test_a_profile_may_bring_its_own_defaults() -> None:
    listed = [{"topologyKey": "zone", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}]
    profile = default_profile({"PodTopologySpread": {"defaultConstraints": listed, "defaultingType": "List"}})
    plugin = next(each for each in profile.filters if isinstance(each, PodTopologySpread))
    snapshot = snapshot_of(make_set("db"), make_node("a", labels={"zone": "1"}), make_node("b", labels={"zone": "2"}),
                           on(owned("db", 0), "a"))
    assert reasons(plugin, owned("db", 1), snapshot) == {"a": FULL, "b": "ok"}
    with pytest.raises(ValueError, match="defaultingType"):
        default_profile({"PodTopologySpread": {"defaultConstraints": listed}})


@pytest.mark.rule("SC-93")
def test_a_node_that_lacks_a_key_is_ignored_only_for_own_constraints() -> None:
    soft = constraint("rack", action="ScheduleAnyway")
    snapshot = snapshot_of(make_node("a", labels={"rack": "1"}), make_node("b"), make_node("c", labels={"rack": "2"}),
                           there("one", "a"), there("two", "b"))
    assert scores(PLUGIN, pod_with(soft), snapshot) == {"a": 0, "b": 0, "c": 100}


@pytest.mark.rule("SC-93")
def test_domains_count_over_all_nodes_but_only_feasible_ones_are_domains() -> None:
    nodes = [make_node(name, labels={ZONE: zone}) for name, zone in (("a", "1"), ("b", "1"), ("c", "2"), ("d", "3"))]
    placed = [on(owned("db", number), node) for number, node in enumerate("bbbcd")]
    snapshot = snapshot_of(make_set("db"), *nodes, *placed)
    weights = {"host": math.log(2 + 2), "zone": math.log(2 + 2)}
    raw = {
        "a": round(0 * weights["host"] + 2 + 3 * weights["zone"] + 4),
        "c": round(1 * weights["host"] + 2 + 1 * weights["zone"] + 4),
    }
    least, most = min(raw.values()), max(raw.values())
    expected = {name: 100 * (most + least - score) // most for name, score in raw.items()}
    assert scores(PLUGIN, owned("db", 9), snapshot, "a", "c") == expected


@pytest.mark.rule("SC-93")
def test_with_no_matching_pod_and_no_tolerance_all_nodes_are_best() -> None:
    soft = constraint(HOSTNAME, action="ScheduleAnyway")
    assert scores(PLUGIN, pod_with(soft), snapshot_of(make_node("a"), make_node("b"))) == {"a": 100, "b": 100}
