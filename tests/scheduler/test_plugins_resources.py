"""Requests of pods, NodeResourcesFit, NodeResourcesBalancedAllocation and ImageLocality."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.api.core import ContainerImage, Pod
from simulator.api.meta import evolve, with_meta
from simulator.scheduler.framework import Code, NodeInfo
from simulator.scheduler.plugins import BalancedAllocation, ImageLocality, NodeResourcesFit, default_profile
from simulator.scheduler.plugins.shape import broken_linear
from simulator.scheduler.resources import incoming_nonzero_requests, nonzero_requests, pod_requests
from simulator.testing.builders import make_node, make_pod
from tests.scheduler.snapshots import answers, on, reasons, scores, snapshot_of

MI = 1 << 20


def container(cpu: str | None = None, memory: str | None = None, **more: Any) -> dict[str, Any]:
    requests = {"cpu": cpu, "memory": memory, **more.pop("requests", {})}
    return {"name": "c", "resources": {"requests": {name: each for name, each in requests.items() if each}}, **more}


@pytest.mark.rule("SC-60")
def test_requests_are_the_larger_of_running_and_starting() -> None:
    pod = make_pod(
        "p", containers=[container("500m", "1Gi"), container("250m", "512Mi")],
        initContainers=[container("100m", "128Mi", restartPolicy="Always"), container("1", "256Mi")],
        overhead={"cpu": "50m"},
    )
    assert pod_requests(pod) == {"cpu": 1150, "memory": 1664 * MI}


@pytest.mark.rule("SC-60")
def test_a_sidecar_counts_in_its_turn_while_starting() -> None:
    pod = make_pod("p", containers=[container("100m")], initContainers=[
        container("1"), container("300m", restartPolicy="Always"), container("400m", restartPolicy="Always"),
    ])
    assert pod_requests(pod) == {"cpu": 1000}


@pytest.mark.rule("SC-60")
def test_pod_level_requests_replace_those_of_containers() -> None:
    asks = container("2", "1Gi", requests={"ephemeral-storage": "5Gi", "example.com/gpu": "1"})
    pod = make_pod("p", containers=[asks],
                   resources={"requests": {"cpu": "1", "ephemeral-storage": "1"}}, overhead={"cpu": "1m"})
    assert pod_requests(pod) == {
        "cpu": 1001, "memory": 1024 * MI, "ephemeral-storage": 5 << 30, "example.com/gpu": 1,
    }


@pytest.mark.rule("SC-60")
def test_amounts_are_added_exactly_and_rounded_up_once() -> None:
    pod = make_pod("p", containers=[container("0.0004"), container("0.0004"), container("0.0004")])
    assert pod_requests(pod) == {"cpu": 2}


@pytest.mark.rule("SC-62")
def test_a_silent_container_counts_as_something_in_scores() -> None:
    pod = make_pod("p", containers=[container(), container("1"), container("0", "0")])
    assert nonzero_requests(pod) == {"cpu": 1100, "memory": 400 * MI}
    assert pod_requests(pod) == {"cpu": 1000, "memory": 0}


@pytest.mark.rule("SC-62")
def test_with_pod_level_requests_only_what_nobody_says_gets_a_default() -> None:
    pod = make_pod("p", containers=[container()], resources={"requests": {"cpu": "1"}})
    assert nonzero_requests(pod) == {"cpu": 1000, "memory": 200 * MI}
    pod = make_pod("p", containers=[container(), container(memory="1Mi")], resources={"requests": {"cpu": "1"}})
    assert nonzero_requests(pod) == {"cpu": 1000, "memory": MI}


@pytest.mark.rule("SC-88")
def test_the_incoming_pods_score_does_not_see_pod_level_requests() -> None:
    pod = make_pod("p", containers=[container()], resources={"requests": {"cpu": "1"}})
    assert incoming_nonzero_requests(pod) == {"cpu": 100, "memory": 200 * MI}


def fit(pod: Pod, *there: Pod, **node: Any) -> Any:
    found = answers(NodeResourcesFit(), pod, snapshot_of(make_node("a", **node), *(on(each, "a") for each in there)))
    status = found["a"]  # type: ignore[index]
    return status.code, list(status.reasons)


@pytest.mark.rule("SC-59")
def test_all_shortages_of_a_node_are_told_in_order() -> None:
    full = make_pod("full", uid="1", cpu="8", memory="32Gi")
    pod = make_pod("p", containers=[container("1", "1Gi", requests={"ephemeral-storage": "1Gi"})])
    assert fit(pod, full, pods="1") == (
        Code.UNSCHEDULABLE, ["Too many pods", "Insufficient cpu", "Insufficient memory"],
    )


@pytest.mark.rule("SC-59")
def test_what_even_an_empty_node_lacks_cannot_be_resolved() -> None:
    assert fit(make_pod("p", cpu="9")) == (Code.UNRESOLVABLE, ["Insufficient cpu"])
    assert fit(make_pod("p", cpu="9"), make_pod("full", memory="32Gi"), pods="1") == (
        Code.UNRESOLVABLE, ["Too many pods", "Insufficient cpu"],
    )
    assert fit(make_pod("p", containers=[container(requests={"example.com/gpu": "1"})])) == (
        Code.UNRESOLVABLE, ["Insufficient example.com/gpu"],
    )


@pytest.mark.rule("SC-59")
def test_an_exact_fit_fits_and_a_pod_that_asks_for_nothing_only_needs_a_place() -> None:
    assert fit(make_pod("p", cpu="3"), make_pod("there", cpu="5")) == (Code.SUCCESS, [])
    assert fit(make_pod("p"), make_pod("there", cpu="9")) == (Code.SUCCESS, [])
    assert fit(make_pod("p"), make_pod("there"), pods="1") == (Code.UNSCHEDULABLE, ["Too many pods"])


@pytest.mark.rule("SC-59")
def test_names_that_mean_nothing_to_the_scheduler_are_ignored() -> None:
    assert fit(make_pod("p", containers=[container(requests={"bananas": "7"})])) == (Code.SUCCESS, [])


@pytest.mark.rule("SC-61")
@pytest.mark.rule("SC-77")
def test_a_terminating_pod_counts_until_it_is_gone() -> None:
    node = make_node("a", cpu="1")
    leaving = with_meta(make_pod("leaving", cpu="1", nodeName="a"), deletion_timestamp=1)
    assert reasons(NodeResourcesFit(), make_pod("p", cpu="1"), snapshot_of(node, leaving)) == {
        "a": ["Insufficient cpu"],
    }


def test_ignored_resources_are_not_filtered() -> None:
    pod = make_pod("p", containers=[container(requests={"example.com/gpu": "1", "other.io/x": "1"})])
    arguments = {"NodeResourcesFit": {"ignoredResources": ["other.io/x"], "ignoredResourceGroups": ["example.com"]}}
    plugin = next(each for each in default_profile(arguments).filters if isinstance(each, NodeResourcesFit))
    assert reasons(plugin, pod, snapshot_of(make_node("a"))) == {"a": "ok"}


@pytest.mark.rule("SC-91")
def test_the_worked_example_of_both_resource_scores() -> None:
    snapshot = snapshot_of(make_node("a", cpu="4", memory="16Gi"),
                           on(make_pod("there", cpu="1", memory="4Gi"), "a"))
    pod = make_pod("p", cpu="500m", memory="1Gi")
    assert scores(NodeResourcesFit(), pod, snapshot) == {"a": 65}
    assert scores(BalancedAllocation(), pod, snapshot) == {"a": 73}


def strategy(**fields: Any) -> NodeResourcesFit:
    profile = default_profile({"NodeResourcesFit": {"scoringStrategy": fields}})
    return next(each for each in profile.filters if isinstance(each, NodeResourcesFit))


@pytest.mark.rule("SC-88")
def test_a_full_node_gets_nothing_and_a_resource_that_a_node_lacks_is_left_out() -> None:
    snapshot = snapshot_of(make_node("a", cpu="1", memory="1Gi"), make_node("b", cpu="4", memory="0"))
    assert scores(NodeResourcesFit(), make_pod("p", cpu="2", memory="2Gi"), snapshot) == {"a": 0, "b": 50}


@pytest.mark.rule("SC-89")
def test_most_allocated_prefers_the_fuller_node() -> None:
    snapshot = snapshot_of(make_node("a", cpu="4", memory="4Gi"), make_node("b", cpu="8", memory="8Gi"))
    plugin = strategy(type="MostAllocated", resources=[{"name": "cpu", "weight": 3}, {"name": "memory", "weight": 1}])
    assert scores(plugin, make_pod("p", cpu="2", memory="1Gi"), snapshot) == {"a": 43, "b": 21}


@pytest.mark.rule("SC-89")
def test_requested_to_capacity_ratio_follows_its_shape() -> None:
    shape = [{"utilization": 0, "score": 0}, {"utilization": 100, "score": 10}]
    plugin = strategy(type="RequestedToCapacityRatio", requestedToCapacityRatio={"shape": shape})
    snapshot = snapshot_of(make_node("a", cpu="4", memory="10Gi"), make_node("b", cpu="1", memory="1Gi"))
    assert scores(plugin, make_pod("p", cpu="2", memory="3Gi"), snapshot) == {"a": 40, "b": 100}
    falling = [{"utilization": 0, "score": 10}, {"utilization": 100, "score": 0}]
    plugin = strategy(type="RequestedToCapacityRatio", requestedToCapacityRatio={"shape": falling})
    assert scores(plugin, make_pod("p", cpu="4", memory="3Gi"), snapshot) == {"a": 70, "b": 0}, "0 does not enter"


@pytest.mark.rule("SC-89")
def test_interpolation_rounds_towards_zero() -> None:
    assert broken_linear(((0, 10), (30, 0)), 10) == 67
    assert broken_linear(((10, 3), (20, 5), (40, 1)), 5) == 30
    assert broken_linear(((10, 3), (20, 5), (40, 1)), 90) == 10


@pytest.mark.rule("SC-90")
def test_a_pod_that_requests_nothing_has_no_balance() -> None:
    assert scores(BalancedAllocation(), make_pod("p"), snapshot_of(make_node("a"))) == "skip"


@pytest.mark.rule("SC-90")
def test_defaults_do_not_enter_the_balance() -> None:
    snapshot = snapshot_of(make_node("a", cpu="4", memory="16Gi"), on(make_pod("silent"), "a"))
    assert scores(BalancedAllocation(), make_pod("p", cpu="1", memory="4Gi"), snapshot) == {"a": 75}


@pytest.mark.rule("SC-92")
def test_images_count_by_size_and_by_how_many_nodes_have_them() -> None:
    def node(name: str, **sizes: int) -> Any:
        images = tuple(
            ContainerImage(names=(f"{image}:latest",), size_bytes=size * MI) for image, size in sizes.items()
        )
        made = make_node(name)
        return evolve(made, status=evolve(made.status, images=images))

    snapshot = snapshot_of(node("a", db=500), node("b", db=500, web=4000), node("c"), node("d"))
    pod = make_pod("p", containers=[{"name": "c", "image": "db"}, {"name": "w", "image": "web"}])
    # a: 500 · 2/4 = 250 Mi; b: 250 + 4000 · 1/4 = 1250 Mi; of 23 to 2000 Mi.
    assert scores(ImageLocality(), pod, snapshot) == {"a": 11, "b": 62, "c": 0, "d": 0}
    assert scores(ImageLocality(), make_pod("p"), snapshot) == "skip"


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["", "100m", "2"])), max_size=12))
def test_a_node_adds_up_the_same_however_its_pods_came(moves: list[tuple[int, str]]) -> None:
    node = make_node("a")
    info, there = NodeInfo.of(node), dict[int, Pod]()
    for number, cpu in moves:
        if number in there:
            info = info.without_pod(there.pop(number))
        else:
            there[number] = make_pod(f"p{number}", uid=str(number), cpu=cpu or None, containers=[
                container(cpu, ports=[{"hostPort": 80 + number}])])
            info = info.with_pod(there[number])
    fresh = NodeInfo.of(node, there.values())
    assert (info.pods, sorted(info.ports)) == (fresh.pods, sorted(fresh.ports))
    for grown, added in ((info.requested, fresh.requested), (info.nonzero, fresh.nonzero)):
        assert {name: amount for name, amount in grown.items() if amount} == {
            name: amount for name, amount in added.items() if amount}
