from __future__ import annotations

from typing import Any

import pytest
from cluster_bench import Cluster, running_on, status_of

from simulator.api.core import Condition, Pod
from simulator.api.meta import Key, OwnerReference, decode, evolve, with_meta
from simulator.api.policy import PodDisruptionBudget
from simulator.controllers.disruption import Disruption
from simulator.controllers.kubelet import Kubelet, stand_in
from simulator.flows import Evict, Refused
from simulator.testing.builders import make_node, make_set
from simulator.units import MINUTE, SECOND

BUDGET = Key("PodDisruptionBudget", "default", "web")


def budget(name: str = "web", **spec: Any) -> PodDisruptionBudget:
    return decode({"metadata": {"name": name, "namespace": "default", "generation": 1},
                   "spec": {"selector": {"matchLabels": {"app": "web"}}, **spec}}, PodDisruptionBudget)


def member(number: int, *, ready: bool = True, kind: str = "StatefulSet") -> Pod:
    owner = OwnerReference(api_version="apps/v1", kind=kind, name="web", uid="set", controller=True)
    pod = with_meta(running_on("n1", f"web-{number}"), labels={"app": "web"}, owner_references=(owner,))
    return pod if ready else evolve(pod, status=evolve(pod.status, conditions=()))


def cluster_of(*budgets: PodDisruptionBudget, pods: int = 3, replicas: int = 3, unready: int = 0) -> Cluster:
    cluster = Cluster(Disruption(), objects=[
        make_node("n1"), with_meta(make_set("web", replicas=replicas), uid="set"),
        *(member(number, ready=number >= unready) for number in range(pods)), *budgets])
    cluster.run(SECOND)
    return cluster


def numbers(cluster: Cluster, name: str = "web") -> tuple[int, int, int, int]:
    """(expected, healthy, desired, allowed) of a budget."""
    status = cluster.get(PodDisruptionBudget, name).status
    return status.expected_pods, status.current_healthy, status.desired_healthy, status.disruptions_allowed


@pytest.mark.rule("WL-143")
@pytest.mark.parametrize(
    ("spec", "pods", "replicas", "expected"),
    [
        ({"minAvailable": 2}, 3, 3, (3, 3, 2, 1)),
        ({"minAvailable": 2}, 3, 5, (3, 3, 2, 1)),
        ({"minAvailable": "50%"}, 3, 3, (3, 3, 2, 1)),
        ({"minAvailable": "34%"}, 3, 5, (5, 3, 2, 1)),
        ({"maxUnavailable": 1}, 3, 3, (3, 3, 2, 1)),
        ({"maxUnavailable": 1}, 2, 3, (3, 2, 2, 0)),
        ({"maxUnavailable": "30%"}, 3, 3, (3, 3, 2, 1)),
        ({"maxUnavailable": 5}, 3, 3, (3, 3, 0, 3)),
        ({"minAvailable": 0}, 3, 3, (3, 3, 0, 3)),
        ({"maxUnavailable": 1}, 0, 3, (0, 0, 0, 0)),
    ],
)
def test_what_a_budget_expects_wants_and_allows(
    spec: dict[str, Any], pods: int, replicas: int, expected: tuple[int, ...]
) -> None:
    assert numbers(cluster_of(budget(**spec), pods=pods, replicas=replicas)) == expected


@pytest.mark.rule("WL-143")
def test_only_ready_pods_that_stay_are_healthy() -> None:
    cluster = cluster_of(budget(minAvailable=1), unready=1)
    assert numbers(cluster) == (3, 2, 1, 1)
    cluster.delete(Key("Pod", "default", "web-2"))
    cluster.run(SECOND)
    assert numbers(cluster) == (3, 1, 1, 0)


@pytest.mark.rule("WL-144")
def test_the_condition_says_whether_a_disruption_is_allowed() -> None:
    cluster = cluster_of(budget(minAvailable=2))
    found = cluster.get(PodDisruptionBudget, "web")
    condition = found.status.conditions[0]
    assert (condition.type, condition.status, condition.reason) == ("DisruptionAllowed", "True", "SufficientPods")
    assert found.status.observed_generation == 1
    cluster.delete(Key("Pod", "default", "web-2"))
    cluster.run(SECOND)
    condition = cluster.get(PodDisruptionBudget, "web").status.conditions[0]
    assert (condition.status, condition.reason) == ("False", "InsufficientPods")


@pytest.mark.rule("WL-144")
def test_a_budget_that_cannot_be_worked_out_allows_nothing() -> None:
    cluster = cluster_of(budget(maxUnavailable=1))
    cluster.world.store.remove(Key("StatefulSet", "default", "web"))
    cluster.delete(Key("Pod", "default", "web-2"))
    cluster.run(SECOND)
    found = cluster.get(PodDisruptionBudget, "web").status
    assert found.disruptions_allowed == 0
    assert (found.conditions[0].reason, found.conditions[0].message) == (
        "SyncFailed", 'found no controllers for pod "web-0"')


@pytest.mark.rule("WL-142")
def test_an_eviction_uses_the_budget_up_until_the_pod_is_back() -> None:
    cluster = Cluster(Disruption(), Kubelet(stand_in()), objects=[
        make_node("n1"), with_meta(make_set("web"), uid="set"), *(member(number) for number in range(3)),
        budget(maxUnavailable=1)])
    cluster.run(SECOND)
    assert not isinstance(cluster.write(Evict(Key("Pod", "default", "web-1"))), Refused)
    assert numbers(cluster)[3] == 0
    refused = cluster.write(Evict(Key("Pod", "default", "web-0")))
    assert isinstance(refused, Refused) and refused.code == 429
    cluster.run(SECOND)
    assert numbers(cluster) == (3, 2, 2, 0)
    cluster.put(member(1))
    cluster.run(SECOND)
    assert numbers(cluster) == (3, 3, 2, 1)
    assert cluster.get(PodDisruptionBudget, "web").status.disrupted_pods == {}


@pytest.mark.rule("WL-143")
def test_a_disruption_that_does_not_come_is_given_back_after_two_minutes() -> None:
    cluster = cluster_of(budget(minAvailable=2))
    found = cluster.get(PodDisruptionBudget, "web")
    cluster.put(evolve(found, status=evolve(
        found.status, disruptions_allowed=0, disrupted_pods={"web-1": cluster.now})))
    cluster.run(119 * SECOND)
    assert numbers(cluster) == (3, 2, 2, 0)
    cluster.run(2 * SECOND)
    assert numbers(cluster) == (3, 3, 2, 1)
    assert cluster.events("NotDeleted") == [
        ("NotDeleted", "Pod was expected by PDB default/default to be deleted but it wasn't")]


@pytest.mark.rule("WL-144")
@pytest.mark.parametrize(("reason", "reset"), [("EvictionByEvictionAPI", True), ("TerminationByKubelet", False)])
def test_a_disruption_target_that_was_not_deleted_is_reset_after_two_minutes(reason: str, reset: bool) -> None:
    cluster = cluster_of()
    pod = cluster.pod("web-0")
    assert pod is not None
    target = Condition(type="DisruptionTarget", status="True", reason=reason, last_transition_time=cluster.now)
    cluster.put(evolve(pod, status=evolve(pod.status, conditions=(*pod.status.conditions, target))))
    cluster.run(2 * MINUTE - SECOND)
    pod = cluster.pod("web-0")
    assert pod is not None and status_of(pod, "DisruptionTarget") == "True"
    cluster.run(2 * SECOND)
    pod = cluster.pod("web-0")
    assert pod is not None and status_of(pod, "DisruptionTarget") == ("False" if reset else "True")


def test_a_budget_without_pods_says_so() -> None:
    cluster = cluster_of(budget(maxUnavailable=1), pods=0)
    assert ("NoPods", "No matching pods found") in cluster.events()


def test_a_pod_of_two_budgets_counts_for_one_of_them_when_it_changes() -> None:
    cluster = cluster_of(budget(minAvailable=1), budget("other", minAvailable=1))
    cluster.delete(Key("Pod", "default", "web-2"))
    cluster.run(SECOND)
    text = 'Pod "default"/"web-2" matches multiple PodDisruptionBudgets.  Chose "web" arbitrarily.'
    assert ("MultiplePodDisruptionBudgets", text) in cluster.events(about="web-2")
    assert numbers(cluster)[1] == 2 and numbers(cluster, "other")[1] == 3


def test_pods_without_a_controller_are_not_expected() -> None:
    cluster = cluster_of(budget(maxUnavailable=1), pods=2, replicas=2)
    loose = member(7)
    cluster.put(with_meta(loose, owner_references=()))
    cluster.run(SECOND)
    assert numbers(cluster) == (2, 3, 1, 2)


def test_a_settled_budget_is_at_rest() -> None:
    cluster = cluster_of(budget(maxUnavailable=1))
    entries = len(cluster.world.log.entries)
    cluster.run(60 * MINUTE)
    assert len(cluster.world.log.entries) == entries
