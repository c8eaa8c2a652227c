"""What each object is meant to reach, and what has not reached it: the ground of every verdict.

Waiting by design is not a shortfall: a WaitForFirstConsumer claim that no pod uses, a gated pod, a pod of another
scheduler.
"""

from __future__ import annotations

from simulator.api.apps import StatefulSet
from simulator.api.core import Node, PersistentVolumeClaim, Pod
from simulator.api.meta import Key, Object
from simulator.api.storage import WAIT_FOR_FIRST_CONSUMER, StorageClass
from simulator.binding.reference import class_of
from simulator.cluster.component import Change
from simulator.cluster.store import Store

CONVERGED = "converged"
STUCK = "stuck"
NO_VERDICT = "no verdict"

SCHEDULER_NAME = "default-scheduler"


def shortfall(obj: Object, store: Store) -> str | None:
    """What the object is short of, in a few words; None if it has reached its goal."""
    if obj.metadata.is_terminating:
        return "is being deleted"
    if isinstance(obj, StatefulSet):
        return _set_shortfall(obj)
    if isinstance(obj, Pod):
        return _pod_shortfall(obj, store)
    if isinstance(obj, PersistentVolumeClaim):
        return _claim_shortfall(obj, store)
    return None


def _set_shortfall(obj: StatefulSet) -> str | None:
    wanted, status = obj.replicas, obj.status
    if status.observed_generation < obj.metadata.generation:
        return "has not been looked at yet"
    if status.ready_replicas != wanted or status.replicas != wanted:
        return f"has {status.ready_replicas} of {wanted} pods ready"
    strategy = obj.spec.update_strategy
    if strategy.type != "OnDelete":
        partition = strategy.rolling_update.partition or 0 if strategy.rolling_update is not None else 0
        if status.updated_replicas < max(0, wanted - partition):
            return f"has {status.updated_replicas} of {max(0, wanted - partition)} pods updated"
    return None


def _pod_shortfall(pod: Pod, store: Store) -> str | None:
    if pod.spec.node_name and store.get(Node, pod.spec.node_name) is None and not pod.is_finished:
        return "is on a node that is gone"
    if pod.is_ready or pod.status.phase == "Succeeded" or pod.spec.scheduling_gates:
        return None
    if not pod.spec.node_name and pod.spec.scheduler_name not in ("", SCHEDULER_NAME):
        return None
    if pod.status.phase == "Failed":
        return "has failed"
    return "is not ready" if pod.spec.node_name else "is not scheduled"


def _claim_shortfall(claim: PersistentVolumeClaim, store: Store) -> str | None:
    phase = claim.status.phase
    if phase == "Bound":
        return None
    if phase == "Lost":
        return "has lost its volume"
    storage_class = store.get(StorageClass, class_of(claim))
    if storage_class is not None and storage_class.volume_binding_mode == WAIT_FOR_FIRST_CONSUMER:
        users = store.by("pods-by-claim", (claim.metadata.namespace, claim.metadata.name))
        if not any(not pod.is_finished and not pod.metadata.is_terminating for pod in users):
            return None
    return "is not bound"


class Goals:
    """Which objects are short of their goal; a watcher of the world that keeps itself up to date.

    Attributes
    ----------
    unmet : key → what it is short of, in order of becoming so.
    has_any : whether there was ever an object that has something to come up for.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.unmet: dict[Key, str] = {}
        self.has_any = False

    def __call__(self, change: Change) -> None:
        """Look again at what a change may have moved."""
        obj = change.new
        if isinstance(obj, (StatefulSet, Pod, PersistentVolumeClaim)):
            self.has_any = True
        if obj is None:
            self.unmet.pop(change.key, None)
        else:
            self._judge(obj)
        if change.key.kind == "Pod":
            pod = obj if obj is not None else change.old
            if isinstance(pod, Pod):
                for name in pod.claim_names:
                    claim = self._store.get(PersistentVolumeClaim, name, pod.metadata.namespace)
                    if claim is not None:
                        self._judge(claim)
        elif change.key.kind == "Node" and (change.old is None or obj is None):
            for pod in self._store.by("pods-by-node", change.key.name):
                self._judge(pod)
        elif change.key.kind == "StorageClass":
            for claim in self._store.list(PersistentVolumeClaim):
                self._judge(claim)

    def _judge(self, obj: Object) -> None:
        key = obj.key
        why = shortfall(obj, self._store)
        if why is None:
            self.unmet.pop(key, None)
        else:
            self.unmet[key] = why
