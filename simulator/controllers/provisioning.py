"""The volume controller's part in dynamic provisioning: it asks an external provisioner, or provisions in-tree."""

from __future__ import annotations

from typing import Final

from simulator.api.core import HostPathVolumeSource, PersistentVolume, PersistentVolumeClaim, PersistentVolumeSpec
from simulator.api.meta import Key, ObjectMeta, with_annotations
from simulator.api.storage import StorageClass
from simulator.binding.names import (
    BETA_STORAGE_PROVISIONER,
    BOUND_BY_CONTROLLER,
    PROTECTS_IN_TREE_ASSET,
    PROVISIONED_BY,
    SELECTED_NODE,
    STORAGE_PROVISIONER,
)
from simulator.binding.reference import class_of
from simulator.cluster.component import View
from simulator.controllers.reclaim import HOST_PATH, IN_TREE, NFS, Background, start
from simulator.controllers.volume_cache import Stored
from simulator.controllers.volume_writes import Steps, emit, reference_to
from simulator.flows import DONE, Create, Get, Outcome, Refused, Remember, Sleep, Tell, Update
from simulator.units import SECOND

PROVISION: Final = "provision"
PROVISION_IN_TREE: Final = "provision-in-tree"
PROVISION_IN_TREE_DISABLED: Final = "provision-in-tree-disabled"

_SAVES: Final = 5
_SAVE_PAUSE: Final = 10 * SECOND


def provision_claim(
    view: View, claim: PersistentVolumeClaim, storage_class: StorageClass | None, host_path: bool
) -> Steps[Outcome]:
    """Nothing matched, so a volume has to be made; the claim's status is not touched (VB-54, VB-94).

    Parameters
    ----------
    storage_class : the object of the claim's class, if there is one.
    host_path : whether the in-tree hostPath plugin may make volumes.
    """
    if storage_class is None:  # VB-95
        yield emit(claim.key, "Warning", "ProvisioningFailed",
                   f'storageclass.storage.k8s.io "{class_of(claim)}" not found')
        return DONE
    provisioner = storage_class.provisioner
    if provisioner == NFS:  # VB-96
        yield emit(claim.key, "Warning", "ProvisioningFailed", "no provisionable volume plugin matched")
        return DONE
    if provisioner.startswith(IN_TREE) and provisioner != HOST_PATH:  # VB-96
        yield emit(claim.key, "Warning", "ProvisioningFailed", f"no volume plugin matched name: {provisioner}")
        return DONE
    name = f"provision-{claim.namespace}/{claim.name}[{claim.metadata.uid}]"
    if provisioner == HOST_PATH:
        run = PROVISION_IN_TREE if host_path else PROVISION_IN_TREE_DISABLED
        yield from start(view, Background(name, run, claim, storage_class))
    else:  # VB-97
        yield from start(view, Background(name, PROVISION, claim, storage_class))
    return DONE


def provision(view: View, operation: Background) -> Steps[bool]:
    """Ask the external provisioner by annotation (VB-97); returns whether the operation has to back off."""
    claim, storage_class = _operands(operation)
    name = storage_class.provisioner
    asked = {STORAGE_PROVISIONER: name, BETA_STORAGE_PROVISIONER: name}
    if any(claim.metadata.annotations.get(key) != name for key in asked):
        answer = yield Update(with_annotations(claim, asked), "VB-97")
        if isinstance(answer, Refused):
            return True
        # the watch is faster than the answer: the sync that this write causes mostly finds the operation under way
        yield Sleep("operation")
        yield Tell(Remember(Stored(answer)))
    yield emit(claim.key, "Normal", "ExternalProvisioning",
               f"Waiting for a volume to be created either by the external provisioner '{name}' or manually by the "
               "system administrator. If volume creation is delayed, please verify that the provisioner is running and "
               "correctly registered.")
    return False


def provision_in_tree(view: View, operation: Background) -> Steps[bool]:
    """Make a hostPath volume (VB-98, VB-99)."""
    claim, storage_class = _operands(operation)
    if not (yield from _may_begin(claim)):
        return True
    volume = _host_path_volume(claim, storage_class)
    if (yield Get(volume.key)) is not None:  # it was made already
        return False
    for attempt in range(_SAVES):
        if attempt:
            yield Sleep("provision-save", _SAVE_PAUSE)
        answer = yield Create(volume, "VB-98")
        if not isinstance(answer, Refused) or answer.reason == "AlreadyExists":
            yield emit(claim.key, "Normal", "ProvisioningSucceeded",
                       f"Successfully provisioned volume {volume.name} using {HOST_PATH}")
            return False
    return True


def refuse_in_tree(view: View, operation: Background) -> Steps[bool]:
    """A hostPath volume is asked for, and the plugin is not allowed to make any (VB-99)."""
    claim, storage_class = _operands(operation)
    if not (yield from _may_begin(claim)):
        return True
    if SELECTED_NODE in claim.metadata.annotations:
        answer = yield Update(with_annotations(claim, {SELECTED_NODE: None}), "VB-99")
        if isinstance(answer, Refused):
            return True
        yield Tell(Remember(Stored(answer)))
    yield emit(claim.key, "Warning", "ProvisioningFailed",
               f'Failed to provision volume with StorageClass "{storage_class.name}": '
               f'provisioning in volume plugin "{HOST_PATH}" is disabled')
    return True


def _may_begin(claim: PersistentVolumeClaim) -> Steps[bool]:
    """Whether the selected node, if any, is there; if it is not, the annotation stays all the same (VB-99)."""
    selected = claim.metadata.annotations.get(SELECTED_NODE)
    if selected is None or (yield Get(Key("Node", "", selected))) is not None:
        return True
    yield emit(claim.key, "Warning", "ProvisioningFailed", f'Failed to get target node: nodes "{selected}" not found')
    return False


def _operands(operation: Background) -> tuple[PersistentVolumeClaim, StorageClass]:
    assert isinstance(operation.subject, PersistentVolumeClaim)
    assert operation.storage_class is not None
    return operation.subject, operation.storage_class


def _host_path_volume(claim: PersistentVolumeClaim, storage_class: StorageClass) -> PersistentVolume:
    policy = storage_class.reclaim_policy or "Delete"
    name = f"pvc-{claim.metadata.uid}"
    return PersistentVolume(
        metadata=ObjectMeta(
            name=name, annotations={BOUND_BY_CONTROLLER: "yes", PROVISIONED_BY: HOST_PATH},
            finalizers=(PROTECTS_IN_TREE_ASSET,) if policy == "Delete" else (),
        ),
        spec=PersistentVolumeSpec(
            capacity=claim.spec.resources.requests, access_modes=claim.spec.access_modes,
            persistent_volume_reclaim_policy=policy, storage_class_name=class_of(claim),
            volume_mode=claim.spec.volume_mode, claim_ref=reference_to(claim),
            mount_options=storage_class.mount_options,
            host_path=HostPathVolumeSource(path=f"/tmp/hostpath_pv/{claim.metadata.uid}"),
        ),
    )
