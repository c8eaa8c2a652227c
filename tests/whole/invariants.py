"""What must hold after every single change of a run, told from the specification: a watcher that stops the run."""

from __future__ import annotations

from collections import Counter
from typing import Any

from simulator.api.apps import StatefulSet
from simulator.api.core import Node, PersistentVolume, PersistentVolumeClaim, Pod
from simulator.api.meta import Key, Object
from simulator.cluster.component import Change
from simulator.simulation import Cluster, Run, run
from simulator.testing.strategies import SmallCluster
from simulator.units import MILLISECOND, Micros
from tests.whole.oracle import at_odds, claims_of, is_closed, reaches, suits

VOLUME_PHASES = {  # VB-5, VB-6
    "Pending": {"Available", "Bound", "Released"},
    "Available": {"Bound", "Released"},
    "Bound": {"Available", "Released"},
    "Released": {"Available", "Failed"},
    "Failed": {"Available"},
}
CLAIM_PHASES = {"Pending": {"Bound", "Lost"}, "Bound": {"Lost"}, "Lost": {"Bound"}}  # VB-7, VB-65
POD_PHASES = {  # WL-16, WL-146
    "Pending": {"Running", "Succeeded", "Failed"}, "Running": {"Succeeded", "Failed"}, "Succeeded": set(), "Failed": set(),
}
BIND_COMPLETED = "pv.kubernetes.io/bind-completed"


class Breach(AssertionError):
    """Something happened that Kubernetes does not do."""


class Invariants:
    """A watcher of a cluster's world.

    Parameters
    ----------
    slack : how long what a component has seen may be out of date by the time it is written.

    Attributes
    ----------
    seen : how often each check had something to look at, so that a test can tell that it was not idle.
    """

    def __init__(self, cluster: Cluster, slack: Micros = 200 * MILLISECOND) -> None:
        self._world = cluster.world
        self._store = cluster.world.store
        self._slack = slack
        self._last_version = self._store.version
        self._uids: dict[str, Key] = {}
        self._healthy: dict[Key, Micros] = {}
        self._nominated: dict[Key, tuple[str, Micros]] = {}
        self._deleted_claims: dict[Key, Micros] = {}
        self._nodes_before: dict[str, list[tuple[Micros, Node]]] = {
            node.name: [(-1, node)] for node in self._store.list(Node)
        }
        self.seen: dict[str, int] = {}

    def __call__(self, change: Change) -> None:
        self._version(change)
        match change.new or change.old:
            case PersistentVolume():
                self._volume(change)
            case PersistentVolumeClaim():
                self._claim(change)
            case Pod():
                self._pod(change)
            case Node():
                self._node(change)

    # --- helpers -----------------------------------------------------------------------------------------------------

    def _require(self, holds: bool, rule: str, change: Change, says: str) -> None:
        self.seen[rule] = self.seen.get(rule, 0) + 1
        if not holds:
            raise Breach(f"{rule}: at {self._world.now} µs, {change.key}: {says}")

    def _phase(self, change: Change, rule: str, allowed: dict[str, set[str]]) -> tuple[str, str]:
        """The phases before and after; "" before for a new object."""
        old, new = _phase_of(change.old), _phase_of(change.new)
        if change.new is None or old == new:
            return old, old
        if change.old is None:
            self._require(new == "Pending", rule, change, f"is created as {new}")
        else:
            self._require(new in allowed[old], rule, change, f"goes from {old} to {new}")
        return old, new

    # --- every object ------------------------------------------------------------------------------------------------

    def _version(self, change: Change) -> None:
        self._require(self._store.version > self._last_version, "VB-20", change, "the version did not grow")
        self._last_version = self._store.version
        old, new = change.old, change.new
        if new is None:
            return
        self._require(new.metadata.resource_version == self._store.version, "VB-20", change, "has an old version")
        if old is None:
            self._require(self._uids.setdefault(new.metadata.uid, new.key) is not None and bool(new.metadata.uid), "uid",
                          change, "has no uid")
            self._require(self._uids[new.metadata.uid] == new.key, "uid", change, "has a uid that was used before")
            return
        before, after = old.metadata, new.metadata
        self._require(before.uid == after.uid, "uid", change, "has another uid")
        self._require(before.creation_timestamp == after.creation_timestamp, "creation", change, "was created at another time")
        self._require(before.generation <= after.generation, "WL-4", change, "has a smaller generation")
        self._require(not before.is_terminating or after.is_terminating, "WL-90", change, "is no longer being deleted")
        if not isinstance(new, Pod):  # a pod's binding sets a condition too (SC-103)
            is_one = _part(old, "spec") == _part(new, "spec") or _part(old, "status") == _part(new, "status")
            self._require(is_one, "WL-4", change, "spec and status change in one write")

    # --- volumes -----------------------------------------------------------------------------------------------------

    def _volume(self, change: Change) -> None:
        old, new = self._phase(change, "VB-5", VOLUME_PHASES)
        volume: Any = change.new
        if volume is None:
            self._require(old != "Bound", "VB-173", change, "goes away while it is bound")
            return
        reference = volume.spec.claim_ref
        if old != new:
            self._require(
                {"Pending": True, "Failed": True, "Available": reference is None or not reference.uid,
                 "Bound": reference is not None and bool(reference.uid),
                 "Released": reference is not None and bool(reference.uid)}[new],
                "VB-5", change, f"is {new} with claimRef {reference}")
        if new == "Released" and old != new:
            claim = self._store.get(PersistentVolumeClaim, reference.name, reference.namespace)
            is_gone = claim is None or claim.metadata.uid != reference.uid
            self._require(is_gone, "VB-5", change, "is Released, but its claim is there")
        if new == "Failed" and old != new:
            self._require(volume.spec.persistent_volume_reclaim_policy == "Delete", "VB-89", change, "Failed without Delete")
            text = f'error getting deleter volume plugin for volume "{volume.name}": no volume plugin matched'
            self._require(volume.status.message == text, "VB-89", change, volume.status.message)
        before: Any = change.old
        if before is not None and before.spec.claim_ref is not None and reference is not None:
            self._require(
                before.spec.claim_ref.uid in ("", reference.uid), "VB-72", change, "goes from claim to claim directly")
        if before is not None and before.spec.claim_ref is None and reference is not None:
            self._require(before.status.phase == "Available" and not before.metadata.is_terminating, "VB-32", change,
                          f"is taken while {before.status.phase}")

    # --- claims ------------------------------------------------------------------------------------------------------

    def _claim(self, change: Change) -> None:
        old, new = self._phase(change, "VB-7", CLAIM_PHASES)
        claim: Any = change.new
        if claim is None:
            self._claim_gone(change)
            return
        if claim.metadata.is_terminating:
            self._deleted_claims[claim.key] = self._world.now
        before: Any = change.old
        name = claim.spec.volume_name
        if before is not None and before.spec.volume_name:
            self._require(before.spec.volume_name == name, "VB-15", change, "is bound to another volume")
        if name and (before is None or not before.spec.volume_name):
            self._claim_bound(change, claim, name)
        if old == new:
            return
        if new == "Bound":
            volume = self._store.get(PersistentVolume, name)
            self._require(BIND_COMPLETED in claim.metadata.annotations and bool(name), "VB-69", change, "Bound, but not bound")
            if volume is not None:
                self._require(claim.status.capacity == volume.spec.capacity, "VB-9", change, "has another capacity")
                self._require(set(claim.status.access_modes) == set(volume.spec.access_modes), "VB-9", change, "other modes")
        if new == "Lost":
            self._require(not claim.status.capacity and not claim.status.access_modes, "VB-8", change, "keeps its capacity")

    def _claim_bound(self, change: Change, claim: PersistentVolumeClaim, name: str) -> None:
        volume = self._store.get(PersistentVolume, name)
        self._require(volume is not None, "VB-1", change, f"is bound to {name}, which is not there")
        assert volume is not None
        reference = volume.spec.claim_ref
        self._require(reference is not None and reference.uid == claim.metadata.uid, "VB-1", change,
                      f"names {name} before {name} names it")
        self._require(suits(volume, claim), "VB-32", change, f"is bound to {name}, which does not suit it")
        others = [each.name for each in self._store.list(PersistentVolumeClaim)
                  if each.spec.volume_name == name and each.key != claim.key]
        self._require(not others, "one claim a volume", change, f"{name} is bound to {others} too")

    def _claim_gone(self, change: Change) -> None:
        claim: Any = change.old
        self._deleted_claims[claim.key] = self._world.now
        users = [
            pod.name for pod in self._store.list(Pod)
            if pod.namespace == claim.namespace and claim.name in pod.claim_names and pod.spec.node_name
            and self._world.now - self._bound_at(pod) > self._slack
        ]
        self._require(not users, "VB-169", change, f"goes away while {users} use it")

    # --- pods --------------------------------------------------------------------------------------------------------

    def _bound_at(self, pod: Pod) -> Micros:
        condition = pod.condition("PodScheduled")
        return condition.last_transition_time or 0 if condition is not None else 0

    def _pod(self, change: Change) -> None:
        old, new = self._phase(change, "WL-16", POD_PHASES)
        pod: Any = change.new
        before: Any = change.old
        self._note_health(change)
        if pod is None:
            return
        if before is None:
            self._pod_created(change, pod)
            return
        node = pod.status.nominated_node_name
        if node and node != before.status.nominated_node_name:
            self._nominated[pod.key] = (node, self._world.now)
        if before.spec.node_name:
            self._require(before.spec.node_name == pod.spec.node_name, "WL-13", change, "moves to another node")
        elif pod.spec.node_name:
            self._pod_scheduled(change, pod)
        if old != new and new == "Running":
            self._pod_runs(change, pod)

    def _note_health(self, change: Change) -> None:
        """When each pod was last Running, Ready and not terminating (WL-36)."""
        was: Any = change.old
        if was is not None and _is_healthy(was):
            self._healthy[change.key] = self._world.now
        if change.old is not None and change.new is None and change.key in self._nominated:
            del self._nominated[change.key]

    def _pod_created(self, change: Change, pod: Pod) -> None:
        owner = pod.metadata.controller
        if owner is None or owner.kind != "StatefulSet":
            return
        found = self._store.get(StatefulSet, owner.name, pod.namespace)
        name, ordinal = pod.name.rsplit("-", 1)
        self._require(name == owner.name, "WL-17", change, f"belongs to {owner.name}")
        if found is None or found.metadata.uid != owner.uid:
            return
        for template in found.spec.volume_claim_templates:
            key = Key("PersistentVolumeClaim", pod.namespace, f"{template.name}-{pod.name}")
            is_there = self._store.find(key) is not None
            self._require(is_there or self._lately(self._deleted_claims.get(key)), "WL-43", change, f"before {key.name}")
            self._require(key.name in pod.claim_names, "WL-21", change, f"does not use {key.name}")
        if found.spec.pod_management_policy == "OrderedReady":
            for lower in range(found.start, int(ordinal)):
                key = Key("Pod", pod.namespace, found.pod_name(lower))
                other: Any = self._store.find(key)
                is_healthy = other is not None and _is_healthy(other)
                self._require(is_healthy or self._lately(self._healthy.get(key)), "WL-48", change,
                              f"is created although {key.name} is not ready")

    def _lately(self, moment: Micros | None) -> bool:
        return moment is not None and self._world.now - moment <= self._slack

    def _pod_scheduled(self, change: Change, pod: Pod) -> None:
        name = pod.spec.node_name
        nominated, decided = self._nominated.get(pod.key, ("", 0))
        if nominated != name:
            decided = self._world.now
        versions = self._nodes_before.get(name, [])
        self._require(bool(versions), "SC-38", change, f"is scheduled to {name}, which never was there")
        reasons = [is_closed(node, pod) for node in self._in_force(versions, decided)]
        self._require("" in reasons, "SC-51", change, f"is scheduled to {name}, which is {reasons}")
        for other in self._store.list(Pod):
            if other.spec.node_name == name and other.key != pod.key and not other.is_finished:
                self._require(not at_odds(pod, other), "SC-82", change, f"is scheduled to {name}, beside {other.name}")
        node = self._store.get(Node, name)
        for claim in claims_of(pod, self._store):
            if claim is None or claim.metadata.is_terminating or (claim.metadata.creation_timestamp or 0) >= decided:
                continue  # deleted, or made again, while the pod was on its way (ND-27)
            volume = self._store.get(PersistentVolume, claim.spec.volume_name)
            self._require(bool(claim.spec.volume_name), "VB-148", change, f"is scheduled, and {claim.name} is unbound")
            if volume is not None and node is not None:
                self._require(reaches(node, volume), "VB-130", change, f"{name} does not reach {volume.name}")

    def _in_force(self, versions: list[tuple[Micros, Node]], moment: Micros) -> list[Node]:
        """The versions of a node that a scheduler may have seen when it decided."""
        shown = [node for since, node in versions if moment - self._slack <= since <= moment]
        older = [node for since, node in versions if since < moment - self._slack]
        return older[-1:] + shown

    def _pod_runs(self, change: Change, pod: Pod) -> None:
        self._require(bool(pod.spec.node_name), "WL-146", change, "runs without a node")
        for claim in claims_of(pod, self._store):
            if claim is None:
                key = next(name for name in pod.claim_names
                           if self._store.get(PersistentVolumeClaim, name, pod.namespace) is None)
                self._require(Key("PersistentVolumeClaim", pod.namespace, key) in self._deleted_claims, "WL-104", change,
                              f"runs without {key}")
                continue
            self._require(claim.status.phase == "Bound" or claim.key in self._deleted_claims, "VB-182", change,
                          f"runs, and {claim.name} is {claim.status.phase}")

    # --- nodes -------------------------------------------------------------------------------------------------------

    def _node(self, change: Change) -> None:
        if isinstance(change.new, Node):
            self._nodes_before.setdefault(change.key.name, []).append((self._world.now, change.new))


def _phase_of(obj: Object | None) -> str:
    return str(getattr(getattr(obj, "status", None), "phase", ""))


def _part(obj: Object, name: str) -> Any:
    return getattr(obj, name, None)


def _is_healthy(pod: Pod) -> bool:
    return pod.status.phase == "Running" and pod.is_ready and not pod.metadata.is_terminating



def watched(cluster: SmallCluster, seed: int) -> tuple[Run, Counter[str]]:
    """A run that fails at the first change that Kubernetes would not make, and how often each rule was looked at."""
    watchers: list[Invariants] = []

    def prepare(ready: Cluster) -> None:
        watchers.append(Invariants(ready, (cluster.lag + 100) * MILLISECOND))
        ready.world.watchers.append(watchers[0])

    result = run(cluster.scenario(), seed=seed, prepare=prepare)
    return result, Counter(watchers[0].seen)
