from __future__ import annotations

from typing import Any

import pytest
from api_server import Server

from simulator.api.core import Condition
from simulator.api.meta import with_meta
from simulator.cluster.admission.eviction import blocked_because
from simulator.flows import Evict
from simulator.testing.builders import make_pod
from simulator.units import SECOND

BLOCKED = "Cannot evict pod as it would violate the pod's disruption budget."


def a_pod(server: Server, name: str = "web-0", ready: bool = True) -> Any:
    pod = server.create(make_pod(name, nodeName="n1", labels={"app": "web"}))
    condition = Condition(type="Ready", status="True" if ready else "False", last_transition_time=0)
    return server.status(pod, phase="Running", conditions=(condition,))


def a_budget(server: Server, name: str = "web", policy: str | None = None, **status: Any) -> Any:
    spec = {"selector": {"matchLabels": {"app": "web"}}, "minAvailable": 1, "unhealthyPodEvictionPolicy": policy}
    budget = server.manifest({"kind": "PodDisruptionBudget", "metadata": {"name": name}, "spec": spec})
    return server.status(budget, **{"observed_generation": 1, **status})


@pytest.mark.rule("WL-142")
def test_an_eviction_uses_up_the_budget_marks_the_pod_and_deletes_it_gracefully(server: Server) -> None:
    pod, budget = a_pod(server), a_budget(server, disruptions_allowed=1, current_healthy=2, desired_healthy=1)
    server.now = 3 * SECOND
    going = server.done(Evict(pod.key))
    assert going.metadata.deletion_timestamp == 33 * SECOND
    target = going.condition("DisruptionTarget")
    assert (target.status, target.reason, target.message) == ("True", "EvictionByEvictionAPI", "Eviction API: evicting")
    status = server.now_is(budget).status  # type: ignore[union-attr]
    assert (status.disruptions_allowed, status.disrupted_pods) == (0, {"web-0": 3 * SECOND})
    (allowed,) = status.conditions
    assert (allowed.type, allowed.status, allowed.reason) == ("DisruptionAllowed", "False", "InsufficientPods")


@pytest.mark.rule("WL-142")
def test_the_grace_of_an_eviction_is_that_of_the_deletion(server: Server) -> None:
    assert server.done(Evict(a_pod(server).key, grace=4)).metadata.deletion_grace_period_seconds == 4


@pytest.mark.rule("WL-142")
def test_without_budget_left_the_pod_stays(server: Server) -> None:
    pod = a_pod(server)
    budget = a_budget(server, disruptions_allowed=0, current_healthy=1, desired_healthy=1)
    refused = server.refused(Evict(pod.key))
    assert (refused.reason, refused.code, refused.message) == ("TooManyRequests", 429, BLOCKED)
    assert server.now_is(pod) is pod
    assert blocked_because(budget) == "The disruption budget web needs 1 healthy pods and has 1 currently"


@pytest.mark.rule("WL-142")
def test_a_budget_that_nobody_has_looked_at_yet_blocks(server: Server) -> None:
    pod, budget = a_pod(server), a_budget(server, observed_generation=0, disruptions_allowed=3)
    assert server.refused(Evict(pod.key)).message == BLOCKED
    assert blocked_because(budget) == "The disruption budget web is still being processed by the server."


@pytest.mark.rule("WL-140")
@pytest.mark.parametrize("phase", ["Pending", "Succeeded", "Failed"])
def test_pods_that_serve_nobody_are_evicted_without_a_look_at_budgets(server: Server, phase: str) -> None:
    pod, budget = server.status(a_pod(server), phase=phase), a_budget(server)
    server.done(Evict(pod.key))
    assert server.now_is(budget) is budget
    left = server.now_is(pod)
    assert left is None or left.condition("DisruptionTarget") is not None  # as recorded in case 26


@pytest.mark.rule("WL-140")
def test_a_terminating_pod_is_evicted_without_a_look_at_budgets(server: Server) -> None:
    going, budget = server.delete(a_pod(server)), a_budget(server)
    left = server.done(Evict(going.key))
    assert left.metadata.deletion_timestamp == going.metadata.deletion_timestamp
    assert server.now_is(budget) is budget


@pytest.mark.rule("WL-141")
def test_without_a_budget_a_pod_is_evicted(server: Server) -> None:
    pod = a_pod(server)
    server.manifest({"kind": "PodDisruptionBudget", "metadata": {"name": "all"}, "spec": {"selector": {}}})
    server.manifest({"kind": "PodDisruptionBudget", "metadata": {"name": "none"}, "spec": {}})
    assert server.done(Evict(pod.key)).metadata.deletion_timestamp == 30 * SECOND


@pytest.mark.rule("WL-141")
def test_two_budgets_are_too_many(server: Server) -> None:
    pod = a_pod(server)
    a_budget(server, "a", disruptions_allowed=1)
    a_budget(server, "b", disruptions_allowed=1)
    refused = server.refused(Evict(pod.key))
    assert (refused.code, refused.message) == (
        500,
        "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
    )


@pytest.mark.rule("WL-141")
@pytest.mark.parametrize(
    ("policy", "healthy", "desired", "goes"),
    [
        ("AlwaysAllow", 0, 2, True),
        (None, 2, 2, True),
        ("IfHealthyBudget", 3, 2, True),
        (None, 1, 2, False),
        (None, 0, 0, False),
    ],
)
def test_an_unready_pod_may_go_without_using_the_budget(
    server: Server, policy: str | None, healthy: int, desired: int, goes: bool
) -> None:
    pod = a_pod(server, ready=False)
    budget = a_budget(server, policy=policy, current_healthy=healthy, desired_healthy=desired, disruptions_allowed=0)
    answer = server.answer(Evict(pod.key))
    assert (answer.__class__.__name__ == "Pod") is goes
    assert server.now_is(budget) is budget


def test_budgets_of_other_pods_and_namespaces_do_not_count(server: Server) -> None:
    server.namespace("other")
    pod = a_pod(server)
    budget = a_budget(server)
    server.delete(budget)
    server.create(with_meta(budget, namespace="other", uid="", resource_version=0))
    assert server.done(Evict(pod.key)) is not None


def test_an_absent_pod_cannot_be_evicted(server: Server) -> None:
    assert server.refused(Evict(make_pod("p").key)).message == 'pods "p" not found'
