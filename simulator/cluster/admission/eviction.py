"""The eviction and binding subresources of a pod (WL-140 to WL-142, SC-103)."""

from __future__ import annotations

from typing import Final

from simulator.api.core import Condition, Pod, find_condition, set_condition
from simulator.api.meta import evolve
from simulator.api.policy import PodDisruptionBudget
from simulator.cluster.admission.refusals import conflict, refuse_forbidden, uid_conflict
from simulator.cluster.store import Store
from simulator.flows import Bind, Refused
from simulator.units import Micros

_BLOCKED: Final = Refused("TooManyRequests", 429, "Cannot evict pod as it would violate the pod's disruption budget.")
_SEVERAL: Final = Refused("InternalError", 500, "This pod has more than one PodDisruptionBudget, which the eviction "
                          "subresource does not support.")
_MOST_DISRUPTED: Final = 2000


def reserved(store: Store, pod: Pod, now: Micros) -> PodDisruptionBudget | Refused | None:
    """What an eviction does to the pod's budget before the pod is deleted.

    Returns
    -------
    The budget with one disruption less to give, None if the pod may go without any, or why it may not go.
    """
    budgets = [
        budget for budget in store.list(PodDisruptionBudget, pod.metadata.namespace)
        if budget.spec.selector is not None and not budget.spec.selector.is_empty
        and budget.spec.selector.selects(pod.metadata.labels)
    ]
    if not budgets:
        return None
    if len(budgets) > 1:  # WL-141
        return _SEVERAL
    budget, status = budgets[0], budgets[0].status
    if not pod.is_ready:
        if budget.spec.unhealthy_pod_eviction_policy == "AlwaysAllow":
            return None
        if status.current_healthy >= status.desired_healthy > 0:
            return None
    if status.observed_generation < budget.metadata.generation:  # WL-142
        return _BLOCKED
    if status.disruptions_allowed < 0:
        return refuse_forbidden(budget, "pdb disruptions allowed is negative")
    if len(status.disrupted_pods) > _MOST_DISRUPTED:
        return refuse_forbidden(
            budget, "DisruptedPods map too big - too many evictions not confirmed by PDB controller")
    if status.disruptions_allowed == 0:
        return _BLOCKED
    left = status.disruptions_allowed - 1
    conditions = status.conditions
    if left == 0:
        conditions = set_condition(conditions, Condition(
            type="DisruptionAllowed", status="False", reason="InsufficientPods",
            observed_generation=status.observed_generation), now)
    return evolve(budget, status=evolve(
        status, disruptions_allowed=left, conditions=conditions,
        disrupted_pods={**status.disrupted_pods, pod.metadata.name: now}))


def blocked_because(budget: PodDisruptionBudget) -> str:
    """The cause that comes with the refusal of an eviction, for reports."""
    status = budget.status
    if status.observed_generation < budget.metadata.generation:
        return f"The disruption budget {budget.metadata.name} is still being processed by the server."
    allowed = find_condition(status.conditions, "DisruptionAllowed")
    if allowed is not None and allowed.status == "False" and allowed.reason == "SyncFailed":
        return (f"The disruption budget {budget.metadata.name} does not allow evicting pods currently because it "
                f"failed sync: {allowed.message}")
    return (f"The disruption budget {budget.metadata.name} needs {status.desired_healthy} healthy pods and has "
            f"{status.current_healthy} currently")


def ignores_budgets(pod: Pod) -> bool:
    """Whether a pod may be evicted without a look at any budget (WL-140)."""
    return pod.is_finished or pod.status.phase == "Pending" or pod.metadata.deletion_timestamp is not None


def marked_evicted(pod: Pod, now: Micros) -> Pod:
    """The pod with the condition that says why it is about to be deleted (WL-142)."""
    target = Condition(type="DisruptionTarget", status="True", reason="EvictionByEvictionAPI",
                       message="Eviction API: evicting")
    return evolve(pod, status=evolve(pod.status, conditions=set_condition(pod.status.conditions, target, now)))


def bound(pod: Pod, write: Bind, now: Micros) -> Pod | Refused:
    """The pod assigned to a node, or why it cannot be (SC-103); the node need not exist."""
    meta = pod.metadata
    if write.uid and write.uid != meta.uid:
        return uid_conflict("Pod", meta.namespace, meta.name, write.uid, meta.uid)
    why = ""
    if meta.deletion_timestamp is not None:
        why = f"pod {meta.name} is being deleted, cannot be assigned to a host"
    elif pod.spec.node_name:
        why = f'pod {meta.name} is already assigned to node "{pod.spec.node_name}"'
    elif pod.spec.scheduling_gates:
        why = f"pod {meta.name} has non-empty .spec.schedulingGates"
    if why:
        return conflict("pods/binding", meta.name, why)
    scheduled = set_condition(pod.status.conditions, Condition(type="PodScheduled", status="True"), now)
    return evolve(pod, spec=evolve(pod.spec, node_name=write.node),
                  status=evolve(pod.status, conditions=scheduled, nominated_node_name=""))
