"""What keeps an object from going, a pod on its node from getting ready, and a set from making its pods."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from simulator.api.apps import StatefulSet, parent_and_ordinal
from simulator.api.core import Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, ResourceQuota
from simulator.api.meta import Key, Object, evolve, with_meta
from simulator.api.policy import PodDisruptionBudget
from simulator.binding.names import PROTECTS_CLAIM, PROTECTS_VOLUME
from simulator.binding.reference import affinity_matches
from simulator.diagnosis import relax
from simulator.diagnosis.claim_facts import claim_facts
from simulator.diagnosis.draft import Draft
from simulator.diagnosis.fact import Fact
from simulator.diagnosis.pod_facts import down_fact
from simulator.explanation.evidence import Evidence
from simulator.explanation.why_gone import is_down
from simulator.explanation.words import listing, short

_FOREGROUND: Final = "foregroundDeletion"
REVISION: Final = "controller-revision-hash"

Part = Key | Fact
"""An object to wait for, or a fact."""


# --- objects that are being deleted ---------------------------------------------------------------------------------


def held_facts(evidence: Evidence, obj: Object, draft: Draft) -> Iterator[Part]:
    """Why an object that is being deleted is still there."""
    if isinstance(obj, Pod) and obj.spec.node_name:
        node = evidence.state.get(Node, obj.spec.node_name)
        if node is not None and (is_down(node) or node.name in draft.stopped):
            yield down_fact(evidence, node)
            yield Fact(f"on {obj.key}", f"{short(obj)} is on {node.name}, whose kubelet alone can say that it has "
                       "ended", (obj.key,), "if it had been on no node", partial(_removed, key=obj.key),
                       kind="on a silent node")
    for finalizer in obj.metadata.finalizers:
        yield from _finalizer(evidence, obj, finalizer)
    if isinstance(obj, Namespace):
        for kind in evidence.state.kinds():
            yield from (key for key in evidence.state.keys(kind) if key.namespace == obj.name and kind != "Event")


def _removed(draft: Draft, key: Key) -> None:
    draft.remove(key)


def _finalizer(evidence: Evidence, obj: Object, finalizer: str) -> Iterator[Part]:
    match obj:
        case PersistentVolumeClaim() if finalizer == PROTECTS_CLAIM:
            for user in evidence.users_of(obj):
                if user.spec.node_name:
                    yield Fact(f"uses {user.key} {obj.name}", f"{short(user)} uses {short(obj)}",
                               (user.key, obj.key), "if it did not", partial(_unused, key=user.key, claim=obj.name),
                               "spec.volumes", kind="uses")
            return
        case PersistentVolume() if finalizer == PROTECTS_VOLUME and obj.status.phase == "Bound":
            claim = next(iter(evidence.state.by("claims-by-volume", obj.name)), None)
            if claim is not None:
                yield Fact(f"bound {claim.key}", f"{short(claim)} is bound to {obj.name}", (claim.key,),
                           "if it were not bound", partial(relax.unbind, key=claim.key), ties=True, kind="bound")
            return
        case StatefulSet() if finalizer == _FOREGROUND:
            uid = obj.metadata.uid
            for kind in (Pod, PersistentVolumeClaim):
                for child in evidence.state.list(kind, obj.namespace):
                    if any(ref.uid == uid and ref.block_owner_deletion for ref in child.metadata.owner_references):
                        yield child.key
            return
    yield Fact(
        f"finalizer {obj.key} {finalizer}", f"{short(obj)} has the finalizer {finalizer}, which nobody removes",
        (obj.key,), "if it had not", partial(_without_finalizer, key=obj.key, finalizer=finalizer),
        "metadata.finalizers", kind="finalizer", detail=(finalizer,),
    )


def _unused(draft: Draft, key: Key, claim: str) -> None:
    relax.change_pod(draft, key, lambda spec: relax.without_claim(spec, claim))


def _without_finalizer(draft: Draft, key: Key, finalizer: str) -> None:
    """Without the last finalizer an object that is being deleted has gone."""
    if (obj := draft.objects.get(key)) is not None:
        kept = tuple(other for other in obj.metadata.finalizers if other != finalizer)
        if kept or isinstance(obj, Pod):
            draft.put(with_meta(obj, finalizers=kept))
        else:
            draft.remove(key)


# --- pods on a node -------------------------------------------------------------------------------------------------


def start_facts(evidence: Evidence, pod: Pod, draft: Draft) -> Iterator[Part]:
    """Why a pod that has its node is not ready."""
    node = evidence.state.get(Node, pod.spec.node_name)
    name = short(pod)
    if node is None:
        key = Key("Node", "", pod.spec.node_name)
        yield Fact(f"gone {key.name}", f"{name} is on {key.name}, which the cluster does not have", (pod.key, key),
                   "if it had", partial(relax.add_node, name=key.name), kind="gone node")
    elif is_down(node) or node.name in draft.stopped:
        yield down_fact(evidence, node)
    for claim_name, claim in evidence.claims_of(pod):
        if claim is None:
            missing = Key("PersistentVolumeClaim", pod.namespace, claim_name)
            yield Fact(f"no claim {missing}", f"claim {short(missing)} does not exist, and {name} uses it",
                       (pod.key, missing), "if it did not", partial(_unused, key=pod.key, claim=claim_name),
                       "spec.volumes", kind="no claim", detail=(claim_name,))
        elif claim.status.phase != "Bound":
            yield claim.key
        elif node is not None and not _reaches(evidence, claim, node):
            yield from claim_facts(evidence, claim)
            yield Fact(f"placed {pod.key}", f"{name} was put on {node.name} (spec.nodeName)", (pod.key,),
                       "if the scheduler placed it", partial(_unplaced, key=pod.key), "spec.nodeName", kind="bypass")
    if pod.key in draft.never_ready:
        yield Fact(f"never ready {pod.key}", f"{name} never says that it is ready", (pod.key,), "if it did",
                   partial(_gets_ready, key=pod.key), "spec.containers", kind="never ready")
    for gate in pod.spec.readiness_gates:
        condition = pod.condition(gate.condition_type)
        if condition is None or condition.status != "True":
            yield Fact(f"gate {pod.key} {gate.condition_type}", f"{name} waits for its readiness gate "
                       f"{gate.condition_type}, and nobody opens it", (pod.key,), "if it had none",
                       partial(_ungated, key=pod.key), "spec.readinessGates", kind="gate")
    if pod.status.phase == "Failed":
        yield Fact(f"failed {pod.key}", f"{name} has failed", (pod.key,), "if it were made again",
                   partial(_fresh, key=pod.key), kind="failed")


def _reaches(evidence: Evidence, claim: PersistentVolumeClaim, node: Node) -> bool:
    volume = evidence.state.get(PersistentVolume, claim.spec.volume_name)
    return volume is not None and affinity_matches(volume, node.metadata.labels)


def _unplaced(draft: Draft, key: Key) -> None:
    relax.change_pod(draft, key, lambda spec: evolve(spec, node_name=""))


def _gets_ready(draft: Draft, key: Key) -> None:
    draft.never_ready.pop(key, None)
    relax.make_ready(draft, key)


def _ungated(draft: Draft, key: Key) -> None:
    relax.change_pod(draft, key, lambda spec: evolve(spec, readiness_gates=()))
    relax.make_ready(draft, key)


def _fresh(draft: Draft, key: Key) -> None:
    pod = draft.objects.get(key)
    if isinstance(pod, Pod):
        draft.put(evolve(pod, status=type(pod.status)(phase="Pending")))


# --- drains ---------------------------------------------------------------------------------------------------------


def budget_facts(evidence: Evidence, pod: Pod) -> Iterator[Part]:
    """The budgets that allow no eviction of a pod, and their other pods that are not well (WL-143, WL-144)."""
    for budget in evidence.state.list(PodDisruptionBudget, pod.namespace):
        selector = budget.spec.selector
        if selector is None or not selector.selects(pod.metadata.labels) or budget.status.disruptions_allowed > 0:
            continue
        spec, status = budget.spec, budget.status
        limit = (f"maxUnavailable {spec.max_unavailable}" if spec.max_unavailable is not None
                 else f"minAvailable {spec.min_available}")
        yield Fact(f"budget {budget.key}", f"the budget {short(budget)} lets no more pods go ({limit}; "
                   f"{status.current_healthy} of {status.expected_pods} are well)", (budget.key,), "if it did",
                   partial(_removed, key=budget.key), "spec", kind="budget")
        for other in evidence.state.list(Pod, pod.namespace):
            if other.key != pod.key and selector.selects(other.metadata.labels) and not other.is_ready:
                yield other.key


# --- sets -----------------------------------------------------------------------------------------------------------


def set_facts(evidence: Evidence, obj: StatefulSet) -> Iterator[Part]:
    """What a set waits for: its pods that are not up, and what keeps it from making those that are missing."""
    owned = evidence.state.by("pods-by-controller", obj.metadata.uid)
    pods = {parsed[1]: pod for pod in owned if (parsed := parent_and_ordinal(pod.name)) is not None}
    is_ordered = obj.spec.pod_management_policy != "Parallel"
    is_held = False
    for ordinal in obj.ordinals:
        pod = pods.get(ordinal)
        if pod is not None and (not pod.is_ready or pod.metadata.is_terminating):
            yield pod.key
            is_held = True
        elif pod is None and not (is_ordered and is_held):
            yield from _not_made(evidence, obj, ordinal)
            is_held = True
    for ordinal, pod in sorted(pods.items()):
        if ordinal not in obj.ordinals and pod.metadata.is_terminating:
            yield pod.key
    if not is_held:
        for pod in pods.values():
            yield from old_revision(evidence, pod)


def _not_made(evidence: Evidence, obj: StatefulSet, ordinal: int) -> Iterator[Part]:
    name = obj.pod_name(ordinal)
    occupant = evidence.state.get(Pod, name, obj.namespace)
    if occupant is not None:  # WL-99
        yield Fact(f"occupant {occupant.key}", f"another pod has the name {name}, which {short(obj)} does not own",
                   (occupant.key,), "if it were gone", partial(_removed, key=occupant.key), "metadata.name",
                   kind="occupant")
    for template in obj.spec.volume_claim_templates:
        claim = evidence.state.get(PersistentVolumeClaim, obj.claim_name(template.name, ordinal), obj.namespace)
        if claim is not None and claim.metadata.is_terminating:
            yield claim.key
    for quota in evidence.state.list(ResourceQuota, obj.namespace):
        limits = listing(f"{resource}={amount}" for resource, amount in quota.spec.hard.items())
        yield Fact(f"quota {quota.key}", f"the quota {short(quota)} allows {limits}", (quota.key,),
                   "if it did not limit", partial(_removed, key=quota.key), "spec.hard", kind="quota")
    failed = evidence.event(obj.key, "FailedCreate")
    if failed is not None and f"Pod {name} " in failed.message:
        said = failed.message.partition("failed error: ")[2] or failed.message
        yield Fact(f"refused {obj.key}", f"the API server refuses {name}: {said}", (obj.key,), "if it did not",
                   lambda draft: None, kind="refused")


def old_revision(evidence: Evidence, pod: Pod) -> Iterator[Fact]:
    """A pod of an older revision, which its set does not replace while it is not ready (WL-62)."""
    controller = pod.metadata.controller
    obj = evidence.state.get(StatefulSet, controller.name, pod.namespace) if controller is not None else None
    if obj is None:
        return
    wanted = obj.status.update_revision
    if wanted and pod.metadata.labels.get(REVISION) not in (None, wanted):
        yield Fact(f"revision {pod.key}", f"{short(pod)} is of an older revision than {wanted}", (pod.key, obj.key),
                   "if it were made again", partial(_removed, key=pod.key), "spec.template", kind="revision")


