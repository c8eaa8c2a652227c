"""The external provisioner: makes volumes for claims that are handed to it, and deletes what is released (section 8.2).

    claim asks by annotation ─▶ Provisioning ─▶ driver works ─▶ volume with claimRef ─▶ ProvisioningSucceeded
                                                 └─ fails ─▶ again later, or ask for another node

It never touches a claim but to remove or set its selected node; the volume controller completes the binding (VB-103).
One component stands for all provisioners of the cluster; how each behaves is a `StorageDriver`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from simulator.api.core import Node, PersistentVolume, PersistentVolumeClaim
from simulator.api.meta import Key, with_annotations, with_meta
from simulator.api.storage import StorageClass
from simulator.binding.names import (
    BETA_STORAGE_PROVISIONER,
    LOCAL_PROVISIONER,
    PROTECTS_ASSET,
    PROVISIONED_BY,
    SELECTED_NODE,
    STORAGE_PROVISIONER,
)
from simulator.binding.reference import class_of, is_delayed
from simulator.cluster.component import Change, Periodic, View
from simulator.controllers.provisioner_memory import (
    Configured,
    Failed,
    Freed,
    Made,
    Memory,
    Seen,
    Succeeded,
    Taken,
    remember,
)
from simulator.controllers.storage_driver import DEFAULT_DRIVER, StorageDriver, allows, topology_of
from simulator.controllers.volume_maker import Failure, asset_of, has_room, make
from simulator.controllers.volume_writes import Steps
from simulator.flows import (
    DONE,
    Choose,
    Create,
    Delete,
    Done,
    Emit,
    Enqueue,
    Flow,
    Get,
    Outcome,
    Poll,
    Refused,
    Remember,
    Retry,
    Sleep,
    Tell,
    Told,
    Update,
)
from simulator.latency import Latency, constant, uniform
from simulator.units import MINUTE, SECOND, Micros

FIRST_RETRY: Final[Micros] = SECOND
LAST_RETRY: Final[Micros] = 5 * MINUTE
WORKERS: Final = 100

LATENCIES: Final[Mapping[str, Latency]] = {
    "provision": constant(SECOND),
    "provision-delete": constant(SECOND),
    "provision-ownership": uniform(20 * SECOND, 60 * SECOND),  # VB-109
}
"""How long a driver takes; `StorageDriver` may say otherwise."""


class ExternalProvisioner:
    """The component ``external-provisioner``.

    Parameters
    ----------
    drivers : by provisioner name; any other name that does not begin with ``kubernetes.io/`` is served too, with
        volumes that can be reached from everywhere.
    """

    name = "external-provisioner"
    queues: Mapping[str, int] = {"claims": WORKERS, "volumes": WORKERS, "restart": 1}
    watches = frozenset({"PersistentVolume", "PersistentVolumeClaim", "StorageClass", "Node"})
    periodics: Sequence[Periodic] = ()

    def __init__(self, drivers: Mapping[str, StorageDriver] | None = None) -> None:
        self.drivers = dict(drivers or {})

    def new_memory(self) -> Memory:
        """Nothing is made yet."""
        return Memory()

    def configure(self, provisioner: str, driver: StorageDriver) -> tuple[Told, ...]:
        """What to tell this component so that a provisioner behaves differently, and looks at everything again."""
        return (Remember(Configured(provisioner, driver)), Enqueue("restart", Key("Provisioner", "", provisioner)))

    def observe(self, change: Change, view: View) -> Iterable[Told]:
        """Queue claims that are waiting for a volume, and volumes that may have to be deleted."""
        new = change.new
        if isinstance(new, PersistentVolumeClaim):
            if not new.spec.volume_name and _provisioner_of(new):
                return (Enqueue("claims", change.key),)
        elif isinstance(new, PersistentVolume):
            return self._observe_volume(new, view)
        return ()

    def _observe_volume(self, volume: PersistentVolume, view: View) -> Iterable[Told]:
        provisioner = volume.metadata.annotations.get(PROVISIONED_BY)
        if provisioner is None:
            return
        if volume.name not in view.memory.assets:
            asset = asset_of(view, self._driver(view, provisioner), volume)
            if asset is not None:
                yield Remember(Taken(volume.name, asset))
        if volume.name in view.memory.made:
            yield Remember(Seen(volume.name))
        if _may_have_to_go(volume):
            yield Enqueue("volumes", volume.key)

    def remember(self, memory: Memory, what: Any, now: Micros) -> None:
        """Change the memory."""
        remember(memory, what)

    def check(self, poll: Poll, view: View) -> Any:
        """The provisioner polls nothing."""
        return None

    def sync(self, queue: str, key: Key, view: View) -> Flow:
        """The flow for a claim, a volume, or a provisioner that has come up again."""
        if queue == "claims":
            return self._provision(key, view)
        if queue == "volumes":
            return self._delete(key, view)
        return self._look_again(view)

    def _driver(self, view: View, provisioner: str) -> StorageDriver:
        """How a provisioner behaves now."""
        if provisioner.startswith(("kubernetes.io/", LOCAL_PROVISIONER)):
            return StorageDriver(absent=True)
        changed = view.memory.drivers.get(provisioner)
        return changed if changed is not None else self.drivers.get(provisioner, DEFAULT_DRIVER)

    def _look_again(self, view: View) -> Flow:
        for claim in view.list(PersistentVolumeClaim):
            if not claim.spec.volume_name and _provisioner_of(claim):
                yield Tell(Enqueue("claims", claim.key))
        for volume in view.list(PersistentVolume):
            if PROVISIONED_BY in volume.metadata.annotations and _may_have_to_go(volume):
                yield Tell(Enqueue("volumes", volume.key))
        return DONE

    # --- making volumes ---------------------------------------------------------------------------------------------

    def _provision(self, key: Key, view: View) -> Flow:
        """The steps of provisioning (VB-101 to VB-109)."""
        known: PersistentVolumeClaim | None = view.memory.in_progress.get(key)
        claim = known or view.get(PersistentVolumeClaim, key.name, key.namespace)
        if claim is None or claim.spec.volume_name:
            yield Tell(Remember(Succeeded(key)))
            return DONE
        provisioner = _provisioner_of(claim)
        driver = self._driver(view, provisioner)
        storage_class = view.get(StorageClass, class_of(claim))
        if not provisioner or driver.absent or storage_class is None or storage_class.provisioner != provisioner:
            return DONE
        selected = claim.metadata.annotations.get(SELECTED_NODE, "")
        if is_delayed(storage_class) and not selected:  # VB-101
            return DONE
        name = f"pvc-{claim.metadata.uid}"  # VB-98
        if view.get(PersistentVolume, name) is not None or name in view.memory.made:  # VB-101
            yield Tell(Remember(Succeeded(key)))
            return DONE
        if driver.distributed:
            if not selected:
                return (yield from self._own(view, claim, storage_class))
            if not _is_alive(view.get(Node, selected)):  # VB-109, S-21: the node's own instance is not there
                return DONE

        yield _event(provisioner, key, "Normal", "Provisioning",  # VB-102
                     f'External provisioner is provisioning volume for claim "{key.namespace}/{key.name}"')
        made = make(view, driver, claim, storage_class)
        if isinstance(made, PersistentVolume):
            asset = asset_of(view, driver, made)
            if asset is not None:
                yield Tell(Remember(Taken(name, asset)))  # before the driver works: the room is gone for others (ND-24)
            yield Sleep("provision", driver.delay)
            answer = yield Create(made, "VB-103")
            if isinstance(answer, Refused) and answer.reason != "AlreadyExists":
                return (yield from self._try_again(view, key, provisioner, Failure("final", str(answer)), None))
            yield Tell(Remember(Made(name)))
            yield Tell(Remember(Succeeded(key)))
            yield _event(provisioner, key, "Normal", "ProvisioningSucceeded",
                         f"Successfully provisioned volume {name}")
            return DONE
        yield Sleep("provision", driver.delay)
        text = f'failed to provision volume with StorageClass "{storage_class.name}": {made.message}'
        if made.kind == "reschedule" and selected:  # VB-105
            yield _event(provisioner, key, "Warning", "ProvisioningFailed", text)
            answer = yield Update(with_annotations(claim, {SELECTED_NODE: None}), "VB-105")
            if isinstance(answer, Refused):
                return Retry(str(answer))
            yield Tell(Remember(Succeeded(key)))
            return DONE
        kept = claim if made.kind == "background" else None  # VB-104
        return (yield from self._try_again(view, key, provisioner, Failure(made.kind, text), kept))

    def _own(self, view: View, claim: PersistentVolumeClaim, storage_class: StorageClass) -> Steps[Outcome]:
        """Distributed, Immediate: after a while one node's instance makes the claim its own (VB-109, ND-22)."""
        driver = self._driver(view, storage_class.provisioner)
        topology = topology_of(driver, storage_class)
        able = [
            node.key for node in view.list(Node)
            if _is_alive(node) and allows(storage_class.allowed_topologies, node.metadata.labels)
            and has_room(view, driver, claim, storage_class, node.metadata.labels.get(topology, ""))
        ]
        yield Sleep("provision-ownership")
        if not able:
            return Done(requeue_after=MINUTE)
        owner = yield Choose("provision-owner", claim.key, tuple(able))
        answer = yield Update(with_annotations(claim, {SELECTED_NODE: owner.name}), "VB-109")
        return Retry(str(answer)) if isinstance(answer, Refused) else DONE

    def _try_again(
        self, view: View, key: Key, provisioner: str, failure: Failure, claim: PersistentVolumeClaim | None
    ) -> Steps[Outcome]:
        """Keep at it: 1 s, doubled with each failure up to 5 min; an infeasible request at the slow pace (VB-106)."""
        failures = view.memory.failures.get(key, 0)
        pause = min(FIRST_RETRY << min(failures, 20), LAST_RETRY)
        message = failure.message
        if failure.kind == "infeasible":
            pause = LAST_RETRY
            message = f"Volume provisioning failed with infeasible error. Retries will be delayed. {message}"
        yield _event(provisioner, key, "Warning", "ProvisioningFailed", message)
        yield Tell(Remember(Failed(key, claim)))
        return Done(requeue_after=pause)

    # --- deleting volumes -------------------------------------------------------------------------------------------

    def _delete(self, key: Key, view: View) -> Flow:
        """Delete what is behind a released volume, and the volume (VB-110)."""
        volume = view.get(PersistentVolume, key.name)
        if volume is None or volume.status.phase != "Released":
            return DONE
        provisioner = volume.metadata.annotations.get(PROVISIONED_BY, "")
        driver = self._driver(view, provisioner)
        if not provisioner or driver.absent or volume.spec.persistent_volume_reclaim_policy != "Delete":
            return DONE
        if volume.metadata.is_terminating and driver.finalizer and PROTECTS_ASSET not in volume.metadata.finalizers:
            return DONE  # it is deleted already, and waits for somebody else
        yield Sleep("provision-delete", driver.delete_delay)
        if driver.delete_error:
            failures = view.memory.failures.get(key, 0)
            yield _event(provisioner, key, "Warning", "VolumeFailedDelete", driver.delete_error)
            yield Tell(Remember(Failed(key)))
            return Done(requeue_after=min(FIRST_RETRY << min(failures, 20), LAST_RETRY))
        yield Tell(Remember(Freed(volume.name)))
        answer = yield Delete(key, rule="VB-110")
        if isinstance(answer, Refused) and answer.reason != "NotFound":
            return Retry(str(answer))
        yield Tell(Remember(Succeeded(key)))
        newest = yield Get(key)
        if newest is not None and PROTECTS_ASSET in newest.metadata.finalizers:
            kept = tuple(name for name in newest.metadata.finalizers if name != PROTECTS_ASSET)
            answer = yield Update(with_meta(newest, finalizers=kept), "VB-110")
            if isinstance(answer, Refused):
                return Retry(str(answer))
        return DONE


def _provisioner_of(claim: PersistentVolumeClaim) -> str:
    """Who is asked for a volume; "" if nobody is (VB-101)."""
    annotations = claim.metadata.annotations
    return annotations.get(STORAGE_PROVISIONER) or annotations.get(BETA_STORAGE_PROVISIONER) or ""


def _may_have_to_go(volume: PersistentVolume) -> bool:
    return volume.status.phase == "Released" or volume.metadata.is_terminating


def _is_alive(node: Node | None) -> bool:
    """Whether a node's own instance of a provisioner can act."""
    if node is None:
        return False
    ready = next((condition for condition in node.status.conditions if condition.type == "Ready"), None)
    return ready is None or ready.status == "True"


def _event(provisioner: str, about: Key, kind: str, reason: str, message: str) -> Tell:
    return Tell(Emit(about, kind, reason, message, provisioner))
