"""Invariants of pods: who makes them when, where they go, and what they need to run."""

from __future__ import annotations

from simulator.api.apps import StatefulSet
from simulator.api.core import Node, PersistentVolume, PersistentVolumeClaim, Pod
from simulator.api.meta import Key
from simulator.cluster.component import Change
from simulator.simulation import Cluster
from simulator.units import Micros
from tests.whole.checks import Checks
from tests.whole.oracle import at_odds, is_closed, reaches

POD_PHASES: dict[str, set[str]] = {  # WL-16, WL-146
    "Pending": {"Running", "Succeeded", "Failed"},
    "Running": {"Succeeded", "Failed"},
    "Succeeded": set(),
    "Failed": set(),
}


class PodChecks:
    """Remembers what a component may still have in its cache: nodes as they were, and when pods were last healthy."""

    def __init__(self, checks: Checks, cluster: Cluster) -> None:
        self._checks = checks
        self._store = checks.store
        self._healthy: dict[Key, Micros] = {}
        self._nominated: dict[Key, tuple[str, Micros]] = {}
        self._nodes: dict[str, list[tuple[Micros, Node]]] = {
            node.name: [(-1, node)] for node in cluster.store.list(Node)
        }

    def check_node(self, change: Change) -> None:
        """Remember how a node is from now on."""
        if isinstance(change.new, Node):
            self._nodes.setdefault(change.key.name, []).append((self._checks.world.now, change.new))

    def check_pod(self, change: Change) -> None:
        """Everything about a pod."""
        before, pod, now = change.old, change.new, self._checks.world.now
        phase = self._checks.phase(change, "WL-16", POD_PHASES)
        if isinstance(before, Pod) and _is_healthy(before):
            self._healthy[change.key] = now
        if not isinstance(pod, Pod):
            self._nominated.pop(change.key, None)
            return
        if not isinstance(before, Pod):
            self._check_created(change, pod)
            return
        node = pod.status.nominated_node_name
        if node and node != before.status.nominated_node_name:
            self._nominated[pod.key] = node, now
        if before.spec.node_name:
            is_same = before.spec.node_name == pod.spec.node_name
            self._checks.require(is_same, "WL-13", change, "moves to another node")
        elif pod.spec.node_name:
            self._check_scheduled(change, pod)
        if phase == "Running":
            self._check_running(change, pod)

    def _check_created(self, change: Change, pod: Pod) -> None:
        """A set's pod comes after its claims, and in order after those below it."""
        require, recent = self._checks.require, self._checks.is_recent
        owner = pod.metadata.controller
        if owner is None or owner.kind != StatefulSet.KIND:
            return
        name, ordinal = pod.name.rsplit("-", 1)
        require(name == owner.name, "WL-17", change, f"belongs to {owner.name}")
        found = self._store.get(StatefulSet, owner.name, pod.namespace)
        if found is None or found.metadata.uid != owner.uid:
            return
        for template in found.spec.volume_claim_templates:
            key = Key(PersistentVolumeClaim.KIND, pod.namespace, f"{template.name}-{pod.name}")
            is_there = self._store.find(key) is not None or recent(self._checks.deleted_claims.get(key))
            require(is_there, "WL-43", change, f"is made before {key.name}")
            require(key.name in pod.claim_names, "WL-21", change, f"does not use {key.name}")
        if found.spec.pod_management_policy == "OrderedReady":
            for lower in range(found.start, int(ordinal)):
                other = self._store.get(Pod, found.pod_name(lower), pod.namespace)
                key = Key(Pod.KIND, pod.namespace, found.pod_name(lower))
                is_ready = (other is not None and _is_healthy(other)) or recent(self._healthy.get(key))
                require(is_ready, "WL-48", change, f"is made although {key.name} is not ready")

    def _check_scheduled(self, change: Change, pod: Pod) -> None:
        """A pod gets a node that was open when it was chosen, has no pod it must avoid, and reaches its volumes."""
        require = self._checks.require
        name = pod.spec.node_name
        nominated, decided = self._nominated.get(pod.key, ("", 0))
        if nominated != name:
            decided = self._checks.world.now
        reasons = [is_closed(node, pod) for node in self._versions(name, decided)]
        require("" in reasons, "SC-51", change, f"is scheduled to {name}, which is {reasons or 'not there'}")
        for other in self._store.list(Pod):
            if other.spec.node_name == name and other.key != pod.key and not other.is_finished:
                require(not at_odds(pod, other), "SC-82", change, f"is scheduled to {name}, beside {other.name}")
        node = self._store.get(Node, name)
        for claim_name in pod.claim_names:
            claim = self._store.get(PersistentVolumeClaim, claim_name, pod.namespace)
            if claim is None or claim.metadata.is_terminating or (claim.metadata.creation_timestamp or 0) >= decided:
                continue  # deleted, or made again, while the pod was on its way (ND-27)
            volume = self._store.get(PersistentVolume, claim.spec.volume_name)
            require(bool(claim.spec.volume_name), "VB-148", change, f"is scheduled, and {claim_name} is unbound")
            if volume is not None and node is not None:
                require(reaches(node, volume), "VB-130", change, f"{name} does not reach {volume.name}")

    def _versions(self, name: str, moment: Micros) -> list[Node]:
        """The node as a scheduler may have seen it when it decided."""
        since = moment - self._checks.slack
        known = self._nodes.get(name, [])
        before = [node for start, node in known if start < since]
        return before[-1:] + [node for start, node in known if since <= start <= moment]

    def _check_running(self, change: Change, pod: Pod) -> None:
        """A pod runs on a node, with all its claims bound, unless somebody deleted them meanwhile."""
        self._checks.require(bool(pod.spec.node_name), "WL-146", change, "runs without a node")
        for name in pod.claim_names:
            key = Key(PersistentVolumeClaim.KIND, pod.namespace, name)
            claim = self._store.get(PersistentVolumeClaim, name, pod.namespace)
            is_usable = (claim is not None and claim.status.phase == "Bound") or key in self._checks.deleted_claims
            self._checks.require(is_usable, "VB-182", change, f"runs without {name}")


def _is_healthy(pod: Pod) -> bool:
    """Running and Ready (WL-36), and to stay."""
    return pod.status.phase == "Running" and pod.is_ready and not pod.metadata.is_terminating
