"""The order of all that is done to the pods of a set: phases A to D of a sync (WL-34, WL-35)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
from simulator.units import Micros

MAX_BATCH: Final = 500
IN_FLIGHT: Final = 8
"""How many calls of a batch are under way at once, so that any of them may come first."""

Act: TypeAlias = Callable[[Replica], Steps[tuple[bool, Failure | None]]]
"""What a phase does about one pod; returns whether the sync of an ordered set ends here, and what went wrong."""


class Roster(Struct, frozen=True):
    """The pods of a set, sorted (WL-34).

    Attributes
    ----------
    replicas : the ordinals in range, ascending.
    condemned : pods out of range, ordinals descending.
    ignored : members whose ordinal is none (WL-19).
    """

    replicas: Sequence[Replica]
    condemned: Sequence[Replica]
    ignored: Sequence[Replica]

    @classmethod
    def of(cls, sts: StatefulSet, pods: Sequence[Member], now: Micros) -> Roster:
        """Sort the pods of a set."""
        ordinals, present = sts.ordinals, dict(pods)
        replicas = [replica_of(sts, ordinal, present.get(ordinal), now) for ordinal in ordinals]
        beyond = [replica_of(sts, ordinal, pod, now) for ordinal, pod in pods if ordinal not in ordinals]
        beyond.sort(key=lambda each: -each.ordinal)
        condemned = [each for each in beyond if each.ordinal >= 0]
        return cls(replicas, condemned, beyond[len(condemned):])

    @property
    def first_unavailable(self) -> str:
        """Name of the lowest unavailable replica, else of the lowest-ordinal unavailable condemned pod."""
        return next((each.name for each in (*self.replicas, *reversed(self.condemned)) if each.is_unavailable), "")

    def within_reach(self, sts: StatefulSet) -> Iterator[int]:
        """The ordinals that a sync can get to: an ordered one ends at the first replica that it has to wait for."""
        for replica in self.replicas:
            yield replica.ordinal
            if not replica.is_healthy and is_ordered(sts):
                return
        for replica in self.condemned:
            yield replica.ordinal


class Control(Struct, frozen=True):
    """One sync of the pods of a set.

    Attributes
    ----------
    max_unavailable : how many pods may be unavailable during an update; None while the feature gate is off (WL-66).
    """

    sync: Sync
    roster: Roster
    versions: Versions
    max_unavailable: int | None = None

    @property
    def sts(self) -> StatefulSet:
        """The set."""
        return self.sync.sts

    def run(self) -> Steps[tuple[StatefulSetStatus, Failure | None]]:
        """Carry out the phases.

        Returns
        -------
        The status to write, also after a failure (WL-73), and the failure.
        """
        sts, roster = self.sts, self.roster
        if sts.metadata.is_terminating:  # WL-93
            return count(sts, (*roster.replicas, *roster.condemned, *roster.ignored), self.versions), None
        # What this sync does to pods is not counted before a later one sees it (WL-70).
        status = count(sts, (*roster.replicas, *roster.condemned), self.versions)
        for pods, is_fine, act in (
            (roster.replicas, self.is_kept, self.process_replica),  # A
            (roster.condemned, self.has_right_owners, self.fix_claims),  # B
            (roster.condemned, never, self.process_condemned),  # C
        ):
            stop, failure = yield from self.run_for_all(pods, is_fine, act)
            if stop or failure is not None:
                return status, failure
        if sts.spec.update_strategy.type == "OnDelete":
            return status, None  # WL-62
        if self.max_unavailable is not None:
            return (yield from self.update_several(status, self.max_unavailable))
        return (yield from self.update_one(status))  # D

    def run_for_all(self, pods: Sequence[Replica], is_fine: Callable[[Replica], bool],
                    act: Act) -> Steps[tuple[bool, Failure | None]]:
        """One after the other, up to the first that has to be waited for; or in batches of 1, 2, 4, … (WL-35).

        Parameters
        ----------
        is_fine : tells, at little cost, about most pods that there is nothing to do and nothing to wait for.
        """
        if is_ordered(self.sts):
            for replica in pods:
                if is_fine(replica):
                    continue
                stop, failure = yield from act(replica)
                if stop or failure is not None:
                    return True, failure
            return False, None
        start, size = 0, 1
        while start < len(pods):
            failure = yield from self.run_batch([r for r in pods[start:start + size] if not is_fine(r)], act)
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

    def is_kept(self, replica: Replica) -> bool:
        """Whether a pod is healthy and all is right with it."""
        return replica.is_healthy and self.is_right(replica) and self.has_right_owners(replica)

    def is_right(self, replica: Replica) -> bool:
        """Whether a pod has its identity and the claim volumes of the templates (WL-42)."""
        pod, sts, ordinal = replica.pod, self.sync.sts, replica.ordinal
        return pod is not None and identity_matches(sts, pod, ordinal) and storage_matches(
            sts, pod, self.sync.claims[ordinal])

    def has_right_owners(self, replica: Replica) -> bool:
        """Whether a pod's claims have the owners that the retention policy wants (WL-75)."""
        pod, ordinal = replica.pod, replica.ordinal
        return pod is not None and all_owners_match(self.sync.sts, pod, ordinal, self.sync.claims[ordinal])

    def process_replica(self, replica: Replica) -> Steps[tuple[bool, Failure | None]]:
        """Keep the pod of an ordinal in range, or create it."""
        pod, ordinal, sts = replica.pod, replica.ordinal, self.sts
        if pod is None:  # only when its object has disappeared (WL-49)
            if is_blocked(sts, ordinal, self.sync.claims[ordinal]):
                return True, None  # WL-85
            failure = yield from create_pod(self.sync, ordinal, *self.version_for(ordinal))
            return True, failure  # WL-39: one successful creation ends an ordered sync
        if pod.is_finished:
            failure = None if replica.is_terminating else (yield from delete_pod(self.sync, pod.name))
            return True, failure  # WL-38: replaced on a later sync, when it is gone
        pending = pod.status.phase == "Pending"
        if pending:
            failure = yield from create_missing_claims(self.sync, pod, ordinal)
            if failure is not None:
                return True, failure  # WL-40
        if not replica.is_healthy and is_ordered(sts):
            return True, None  # WL-41; so claims are not taken back in time (WL-86), and a dead node stops all (WL-128)
        if self.is_right(replica) and (pending or self.has_right_owners(replica)):
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
        if pod is None:
            return False, None
        failure = yield from update_owners(self.sync, pod, ordinal, self.sync.claims[ordinal])
        return failure is not None, failure

    def process_condemned(self, replica: Replica) -> Steps[tuple[bool, Failure | None]]:
        """Delete a pod out of range, if it is its turn (WL-50 to WL-53); with no replicas every pod is (WL-56)."""
        if replica.is_terminating:
            return True, None  # WL-53
        if not replica.is_healthy and is_ordered(self.sts) and replica.name != self.roster.first_unavailable:
            return True, None  # WL-51
        failure = yield from delete_pod(self.sync, replica.name)
        return True, failure  # WL-55: an ordered sync that condemns does not update

    # --- phase D ----------------------------------------------------------------------------------------------------

    def update_one(self, status: StatefulSetStatus) -> Steps[tuple[StatefulSetStatus, Failure | None]]:
        """Delete the highest outdated pod, if all above it are available (WL-58, WL-59)."""
        for replica in reversed(self.roster.replicas[self.partition:]):
            if self.is_outdated(replica):
                return (yield from self.delete_outdated(status, replica))
            if replica.is_unavailable:
                break
        return status, None

    def update_several(self, status: StatefulSetStatus, limit: int) -> Steps[tuple[StatefulSetStatus, Failure | None]]:
        """Delete outdated pods from the top down, as long as no more than `limit` pods are unavailable (WL-66)."""
        replicas = self.roster.replicas
        left = limit - sum(replica.is_unavailable for replica in replicas)
        for replica in reversed(replicas[self.partition:]):
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
        if replica.pod is not None:
            return revision_of(replica.pod) != self.versions.update.name and not replica.is_terminating
        return self.version_for(replica.ordinal)[1] != self.versions.update.name  # created by this very sync

    @property
    def partition(self) -> int:
        """Index, not ordinal, below which no pod is updated (WL-61)."""
        rolling_update = self.sts.spec.update_strategy.rolling_update
        return (rolling_update.partition or 0) if rolling_update is not None else 0


def never(replica: Replica) -> bool:
    """About no pod is there nothing to do."""
    return False


def is_ordered(sts: StatefulSet) -> bool:
    """OrderedReady, which Kubernetes' code calls monotonic; else Parallel, "burst"."""
    return sts.spec.pod_management_policy != "Parallel"


def max_unavailable(sts: StatefulSet) -> int:
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
