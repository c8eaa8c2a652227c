"""The order of all that is done to the pods of a set: phases A to D of a sync (WL-34, WL-35)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from msgspec import Struct

from simulator.api.apps import StatefulSet, StatefulSetStatus
from simulator.api.core import Pod, PodTemplateSpec
from simulator.api.meta import Key, evolve
from simulator.controllers.statefulset.adoption import Member
from simulator.controllers.statefulset.claims import all_owners_match, is_blocked
from simulator.controllers.statefulset.pod_control import (
    create_missing_claims,
    create_pod,
    delete_pod,
    update_owners,
    update_pod,
)
from simulator.controllers.statefulset.pods import Replica, identity_matches, replica_of, revision_of, storage_matches
from simulator.controllers.statefulset.revisions import Versions, template_of
from simulator.controllers.statefulset.status import count
from simulator.controllers.statefulset.sync import Failure, Steps, Sync, aggregate
from simulator.flows import Choose, Intent

MAX_BATCH: Final = 500
IN_FLIGHT: Final = 8
"""How many calls of a batch are under way at once, so that any of them may come first."""

Act: TypeAlias = Callable[[Replica], Steps[tuple[bool, Failure | None]]]
"""What a phase does about one pod; returns whether an ordered set has to end its sync here, and what went wrong."""


class Control(Struct, frozen=True):
    """One sync of the pods of a set: everything looked up, nothing done yet.

    Attributes
    ----------
    replicas : the ordinals in range, ascending.
    condemned : pods out of range, ordinals descending.
    first_unavailable : name of the lowest unavailable replica, else of the lowest-ordinal unavailable condemned pod.
    max_unavailable : how many pods may be unavailable during an update; None while the feature gate is off.
    """

    sync: Sync
    versions: Versions
    replicas: Sequence[Replica]
    condemned: Sequence[Replica]
    first_unavailable: str
    status: StatefulSetStatus
    max_unavailable: int | None

    @classmethod
    def of(cls, sync: Sync, pods: Sequence[Member], versions: Versions, *, gate: bool = False) -> Control:
        """Sort the pods of a set into replicas and condemned ones, and find the first that is unavailable (WL-34).

        Parameters
        ----------
        pods : all pods that are the set's.
        gate : the feature gate ``MaxUnavailableStatefulSet``.
        """
        sts, now, ordinals = sync.sts, sync.now, sync.sts.ordinals
        present = dict(pods)
        replicas = [replica_of(sts, ordinal, present.get(ordinal), now) for ordinal in ordinals]
        beyond = [replica_of(sts, ordinal, pod, now) for ordinal, pod in pods if ordinal not in ordinals]
        condemned = sorted((each for each in beyond if each.ordinal >= 0), key=lambda each: -each.ordinal)
        first = next((each.name for each in (*replicas, *reversed(condemned)) if each.is_unavailable), "")
        # What this sync does to pods is not counted before a later one sees it (WL-70). Members that are ignored
        # (WL-19) are counted only while the set is being deleted.
        status = count(sts, (*replicas, *(beyond if sts.metadata.is_terminating else condemned)), versions)
        return cls(sync, versions, replicas, condemned, first, status, _max_unavailable(sts) if gate else None)

    @property
    def sts(self) -> StatefulSet:
        """The set."""
        return self.sync.sts

    @property
    def is_ordered(self) -> bool:
        """OrderedReady, which Kubernetes' code calls monotonic; else Parallel, "burst"."""
        return self.sts.spec.pod_management_policy != "Parallel"

    def run(self) -> Steps[tuple[StatefulSetStatus, Failure | None]]:
        """Carry out the phases.

        Returns
        -------
        The status to write, also after a failure (WL-73).
        """
        if self.sts.metadata.is_terminating:
            return self.status, None  # WL-93
        for pods, act in (
            (self.replicas, self.process_replica),  # A
            (self.condemned, self.fix_claims),  # B
            (self.condemned, self.process_condemned),  # C
        ):
            stop, failure = yield from self.run_for_all(pods, act)
            if stop or failure is not None:
                return self.status, failure
        if self.sts.spec.update_strategy.type == "OnDelete":
            return self.status, None  # WL-62
        if self.max_unavailable is not None:
            return (yield from self.update_several(self.max_unavailable))
        return (yield from self.update_one())  # D

    def run_for_all(self, pods: Sequence[Replica], act: Act) -> Steps[tuple[bool, Failure | None]]:
        """One after the other, up to the first that has to be waited for; or in batches of 1, 2, 4, … (WL-35)."""
        if self.is_ordered:
            for replica in pods:
                stop, failure = yield from act(replica)
                if stop or failure is not None:
                    return True, failure
            return False, None
        start, size = 0, 1
        while start < len(pods):
            failure = yield from self.run_batch(pods[start:start + size], act)
            if failure is not None:
                return True, failure
            start, size = start + size, min(2 * size, MAX_BATCH)
        return False, None

    def run_batch(self, batch: Sequence[Replica], act: Act) -> Steps[Failure | None]:
        """All of a batch at once: which of them comes first is open (CP-5), and a failure does not stop the others."""
        failures: list[Failure] = []
        waiting: dict[Key, tuple[Steps[tuple[bool, Failure | None]], Intent]] = {}
        for replica in batch:
            steps = act(replica)
            try:
                intent = next(steps)
            except StopIteration as end:
                _collect(failures, end.value)
            else:
                waiting[Key(Pod.KIND, self.sts.namespace, replica.name)] = (steps, intent)
        while waiting:
            keys = tuple(waiting)[:IN_FLIGHT]
            chosen = keys[0] if len(keys) == 1 else (yield Choose("batch-order", self.sts.key, keys))
            steps, intent = waiting.pop(chosen)
            _collect(failures, (yield from _go_on(steps, intent)))
        return aggregate(failures)

    # --- phase A ----------------------------------------------------------------------------------------------------

    def process_replica(self, replica: Replica) -> Steps[tuple[bool, Failure | None]]:
        """Keep the pod of an ordinal in range, or create it."""
        pod, ordinal, sts = replica.pod, replica.ordinal, self.sts
        if pod is None:
            if is_blocked(sts, ordinal, self.sync.claims):
                return True, None  # WL-85
            failure = yield from create_pod(self.sync, ordinal, *self.version_for(ordinal))
            return self.is_ordered, failure  # WL-39: one successful creation ends an ordered sync
        if pod.is_finished:
            failure = None if replica.is_terminating else (yield from delete_pod(self.sync, pod.name))
            return True, failure  # WL-38: replaced on a later sync, when it is gone
        pending = pod.status.phase == "Pending"
        if pending:
            failure = yield from create_missing_claims(self.sync, pod, ordinal)
            if failure is not None:
                return True, failure  # WL-40
        if self.is_ordered and (replica.is_unavailable or not replica.is_ready):
            return True, None  # WL-41
        if (
            identity_matches(sts, pod, ordinal)
            and storage_matches(sts, pod, ordinal)
            and (pending or all_owners_match(sts, pod, ordinal, self.sync.claims))
        ):
            return False, None
        failure = yield from update_pod(self.sync, pod, ordinal)
        return failure is not None, failure  # WL-42

    def version_for(self, ordinal: int) -> tuple[PodTemplateSpec, str]:
        """Template and revision that a missing pod is made from (WL-29)."""
        sts, strategy = self.sts, self.sts.spec.update_strategy
        if strategy.rolling_update is not None:
            kept = strategy.rolling_update.partition or 0
        elif strategy.type != "OnDelete":
            kept = sts.status.current_replicas  # a count, of the status as it was cached
        else:
            kept = 0
        if ordinal < sts.start + kept and self.versions.current is not self.versions.update:
            return template_of(self.versions.current), self.versions.current.name
        return sts.spec.template, self.versions.update.name

    # --- phases B and C ---------------------------------------------------------------------------------------------

    def fix_claims(self, replica: Replica) -> Steps[tuple[bool, Failure | None]]:
        """Hand the claims of a condemned pod to whom the policy says, before the pod is deleted (WL-77, WL-78)."""
        pod, ordinal = replica.pod, replica.ordinal
        if pod is None or all_owners_match(self.sts, pod, ordinal, self.sync.claims):
            return False, None
        failure = yield from update_owners(self.sync, pod, ordinal, self.sync.claims)
        return failure is not None, failure

    def process_condemned(self, replica: Replica) -> Steps[tuple[bool, Failure | None]]:
        """Delete a pod out of range, if it is its turn (WL-50 to WL-53)."""
        if replica.is_terminating:
            return self.is_ordered, None  # WL-53
        healthy = replica.is_ready and replica.is_available
        if self.is_ordered and not healthy and replica.name != self.first_unavailable:
            return True, None  # WL-51
        failure = yield from delete_pod(self.sync, replica.name)
        return True, failure  # WL-55: an ordered sync that condemns does not update

    # --- phase D ----------------------------------------------------------------------------------------------------

    def update_one(self) -> Steps[tuple[StatefulSetStatus, Failure | None]]:
        """Delete the highest outdated pod, if all above it are available (WL-58, WL-59)."""
        for replica in reversed(self.replicas[self.partition:]):
            if self.is_outdated(replica):
                return (yield from self.delete_outdated(self.status, replica))
            if replica.is_unavailable:
                break
        return self.status, None

    def update_several(self, limit: int) -> Steps[tuple[StatefulSetStatus, Failure | None]]:
        """Delete outdated pods from the top down, as long as no more than `limit` pods are unavailable (WL-66)."""
        left = limit - sum(replica.is_unavailable for replica in self.replicas)
        status = self.status
        for replica in reversed(self.replicas[self.partition:]):
            if left <= 0:
                break
            if self.is_outdated(replica):
                status, failure = yield from self.delete_outdated(status, replica)
                if failure is not None:
                    return status, failure
                left -= 1
        return status, None

    def delete_outdated(self, status: StatefulSetStatus,
                        replica: Replica) -> Steps[tuple[StatefulSetStatus, Failure | None]]:
        """Delete a pod for update; it is taken off `currentReplicas` at once, which may become -1 (WL-67, WL-70)."""
        failure = yield from delete_pod(self.sync, replica.name)
        if failure is not None:
            return status, failure
        return evolve(status, current_replicas=status.current_replicas - 1), None

    def is_outdated(self, replica: Replica) -> bool:
        """Whether the pod is of another revision than the update, and not on its way out already (WL-58)."""
        if replica.pod is None:  # created by this very sync, perhaps at the current revision
            return self.version_for(replica.ordinal)[1] != self.versions.update.name
        return revision_of(replica.pod) != self.versions.update.name and not replica.is_terminating

    @property
    def partition(self) -> int:
        """Index, not ordinal, below which no pod is updated (WL-61)."""
        rolling_update = self.sts.spec.update_strategy.rolling_update
        return (rolling_update.partition or 0) if rolling_update is not None else 0


def _max_unavailable(sts: StatefulSet) -> int:
    """How many pods may be unavailable: a number, or a share of the replicas rounded down, at least 1 (WL-66)."""
    rolling_update = sts.spec.update_strategy.rolling_update
    written = rolling_update.max_unavailable if rolling_update is not None else None
    if written is None:
        return 1
    if isinstance(written, str):
        return max(1, int(written.rstrip("%")) * sts.replicas // 100)
    return max(1, written)


def _collect(failures: list[Failure], result: tuple[bool, Failure | None]) -> None:
    if result[1] is not None:
        failures.append(result[1])


def _go_on(steps: Steps[tuple[bool, Failure | None]], intent: Intent) -> Steps[tuple[bool, Failure | None]]:
    """Run steps to their end that have been started, and whose first intent is at hand."""
    while True:
        answer = yield intent
        try:
            intent = steps.send(answer)
        except StopIteration as end:
            result: tuple[bool, Failure | None] = end.value
            return result
