"""Why a pod is not ready: it is not scheduled, its node is down, or it does not start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from simulator.api.core import ContainerStatus, Node, PersistentVolume, PersistentVolumeClaim, Pod
from simulator.api.storage import StorageClass
from simulator.binding.names import SELECTED_NODE
from simulator.binding.reference import is_delayed, is_fully_bound
from simulator.explanation.evidence import Evidence, Failure
from simulator.explanation.reason import Reason
from simulator.explanation.verdict import SCHEDULER_NAME
from simulator.explanation.why_gone import is_down, why_down
from simulator.explanation.why_node import clauses
from simulator.explanation.words import is_everywhere, listing, reach_text, short
from simulator.scheduler.preemption import BY_SCHEDULER

UNBOUND: Final = "unbound immediate PersistentVolumeClaims"

Explain = Callable[[PersistentVolumeClaim], Reason]
"""Explains a claim of the pod."""


def why_pod(evidence: Evidence, pod: Pod, explain: Explain) -> Reason:
    """Why a pod is not Ready.

    Parameters
    ----------
    explain : called for each claim that the pod waits for.
    """
    if pod.status.phase == "Failed":
        why = ": ".join(part for part in (pod.status.reason, pod.status.message) if part)
        return Reason(pod.key, f"{short(pod)} has failed" + (f": {why}" if why else ""))
    return _not_ready(evidence, pod, explain) if pod.spec.node_name else _not_scheduled(evidence, pod, explain)


# --- on a node ------------------------------------------------------------------------------------------------------


def _not_ready(evidence: Evidence, pod: Pod, explain: Explain) -> Reason:
    where = pod.spec.node_name
    name = short(pod)
    node = evidence.state.get(Node, where)
    if node is None:
        return Reason(pod.key, f"{name} is on {where}, which the cluster does not have")
    if is_down(node):
        return Reason(pod.key, f"{name} is on {where}, which is not ready", (why_down(evidence, node),))
    unbound = [claim for _, claim in evidence.claims_of(pod) if claim is not None and claim.status.phase != "Bound"]
    missing = [claim for claim, found in evidence.claims_of(pod) if found is None]
    if unbound or missing:
        claims = listing([*missing, *(claim.name for claim in unbound)])
        text = f"{name} is on {where} and cannot start: {claims} " + ("does not exist" if missing else "is not bound")
        return Reason(pod.key, text, tuple(explain(claim) for claim in unbound))
    if (stuck := _container(pod)) is not None:
        return Reason(pod.key, f"{name} is on {where}, and {stuck}")
    mount = evidence.event(pod.key, "FailedMount", "FailedMapVolume", "FailedCreatePodSandBox")
    if pod.status.phase in ("", "Pending"):
        said = f" and cannot start: {mount.message}" if mount is not None else " and has not started yet"
        return Reason(pod.key, f"{name} is on {where}{said}")
    ready = pod.condition("Ready")
    said = f": {ready.message}" if ready is not None and ready.message else ""
    return Reason(pod.key, f"{name} runs on {where}, and is not ready{said}")


def _container(pod: Pod) -> str | None:
    """What the first container that is in trouble says (WL-155)."""
    for status in (*pod.status.init_container_statuses, *pod.status.container_statuses):
        state = status.state
        waiting = state.waiting if state is not None else None
        if waiting is None or waiting.reason in ("", "ContainerCreating", "PodInitializing"):
            continue
        if waiting.reason == "CrashLoopBackOff":
            return f"its container {status.name} keeps ending{_last_end(status)}: {waiting.reason}"
        return f"its container {status.name} does not start: {waiting.reason}" + (
            f" ({waiting.message})" if waiting.message else "")
    return None


def _last_end(status: ContainerStatus) -> str:
    last = status.last_state.terminated if status.last_state is not None else None
    code = f"exit code {last.exit_code}, " if last is not None else ""
    return f" ({code}{status.restart_count} restarts)"


# --- not on a node --------------------------------------------------------------------------------------------------


def _not_scheduled(evidence: Evidence, pod: Pod, explain: Explain) -> Reason:
    name = short(pod)
    if pod.spec.scheduling_gates:
        return Reason(pod.key, f"{name} waits for its scheduling gates: "
                      f"{listing(gate.name for gate in pod.spec.scheduling_gates)}")
    if pod.spec.scheduler_name not in ("", SCHEDULER_NAME):
        return Reason(pod.key, f"{name} waits for the scheduler {pod.spec.scheduler_name}, which is not simulated")
    if (held := _held_by_claims(evidence, pod, explain)) is not None:
        return held
    if (binding := _being_bound(evidence, pod, explain)) is not None:
        return binding
    failure = evidence.failures.get(pod.key)
    if failure is None:
        return Reason(pod.key, f"{name} waits for its first scheduling attempt")
    if not evidence.nodes:
        return Reason(pod.key, f"{name} waits: there are no nodes")
    said = [*_bound_claims(evidence, pod), *_nodes(evidence, pod, failure)]
    return Reason(pod.key, f"{name} waits: {'; '.join(said) or failure.message}")


def _held_by_claims(evidence: Evidence, pod: Pod, explain: Explain) -> Reason | None:
    """Claims that stop a pod before any node is looked at (VB-124 to VB-127)."""
    name = short(pod)
    for claim_name, claim in evidence.claims_of(pod):
        if claim is None:
            return Reason(pod.key, f"{name} waits: its claim {claim_name} does not exist")
        if claim.status.phase == "Lost":
            return Reason(pod.key, f"{name} waits: its claim {claim_name} has lost its volume", (explain(claim),))
        if claim.metadata.is_terminating:
            return Reason(pod.key, f"{name} waits: its claim {claim_name} is being deleted", (explain(claim),))
    waits = [claim for _, claim in evidence.claims_of(pod) if claim is not None and _is_immediate(evidence, claim)]
    if not waits:
        return None
    verb = "claim {} is" if len(waits) == 1 else "claims {} are"
    names = listing(claim.name for claim in waits)
    return Reason(pod.key, f"{name} waits: its {verb.format(names)} not bound, and the scheduler does not bind "
                  f"{'it' if len(waits) == 1 else 'them'}", tuple(explain(claim) for claim in waits))


def _is_immediate(evidence: Evidence, claim: PersistentVolumeClaim) -> bool:
    if is_fully_bound(claim):
        return False
    storage_class: StorageClass | None = evidence.class_of(claim)
    return not is_delayed(storage_class) or bool(claim.spec.volume_name)


def _being_bound(evidence: Evidence, pod: Pod, explain: Explain) -> Reason | None:
    """The pod has its node, and its claims are being bound there (VB-146); or it waits for those that it preempts."""
    node = pod.status.nominated_node_name
    if not node:
        return None
    name = short(pod)
    unbound = [claim for _, claim in evidence.claims_of(pod) if claim is not None and not is_fully_bound(claim)
               and claim.metadata.annotations.get(SELECTED_NODE) == node]
    if unbound:
        names = listing(claim.name for claim in unbound)
        verb = "a volume is" if len(unbound) == 1 else "volumes are"
        return Reason(pod.key, f"{name} is to run on {node}, and waits until {verb} made there for {names}",
                      tuple(explain(claim) for claim in unbound))
    victims = [short(other) for other in evidence.state.by("pods-by-node", node) if _is_preempted(other)]
    if victims:
        return Reason(pod.key, f"{name} is to run on {node}, and waits until {listing(victims)}, which it preempts, "
                      f"{'has' if len(victims) == 1 else 'have'} gone")
    return None


def _is_preempted(pod: Pod) -> bool:
    target = pod.condition("DisruptionTarget")
    return target is not None and target.reason == BY_SCHEDULER


def _bound_claims(evidence: Evidence, pod: Pod) -> list[str]:
    """Where the pod's claims tie it down."""
    said: list[str] = []
    for claim_name, volume in _tying(evidence, pod):
        where = reach_text(volume, evidence.reach(volume))
        said.append(f"its claim {claim_name} is bound to {volume.name}, which {where}")
    if len(said) > 1 and not _in_reach(evidence, pod):
        said.append("no node reaches all of these volumes")
    return said


def _tying(evidence: Evidence, pod: Pod) -> list[tuple[str, PersistentVolume]]:
    found: list[tuple[str, PersistentVolume]] = []
    for claim_name, claim in evidence.claims_of(pod):
        volume = evidence.state.get(PersistentVolume, claim.spec.volume_name) if claim is not None else None
        if volume is not None and not is_everywhere(volume):
            found.append((claim_name, volume))
    return found


def _in_reach(evidence: Evidence, pod: Pod) -> list[str] | None:
    """The nodes from which all bound volumes of the pod can be reached; None if nothing ties it down."""
    volumes = [volume for _, volume in _tying(evidence, pod)]
    if not volumes:
        return None
    first, *others = (evidence.reach(volume) for volume in volumes)
    return [node for node in first if all(node in other for other in others)]


def _nodes(evidence: Evidence, pod: Pod, failure: Failure) -> list[str]:
    """What the nodes say that the pod's volumes leave to it."""
    if not failure.nodes:
        if UNBOUND in failure.message:  # else the claims themselves would have been named
            return ["its claims have been bound since its last attempt, and it is to be tried again"]
        return [failure.message] if failure.message else []
    reach = _in_reach(evidence, pod)
    if reach is None:
        return clauses(evidence, pod, failure.nodes)
    return clauses(evidence, pod, {node: failure.nodes[node] for node in reach if node in failure.nodes})
