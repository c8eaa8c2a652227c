"""Volumes and claims: what is wrong with a new one, and which changes are refused (VB-15 to VB-18)."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from operator import attrgetter
from typing import Any, Final

from simulator.api.core import (
    PersistentVolume,
    PersistentVolumeClaim,
    PersistentVolumeClaimSpec,
    PersistentVolumeSpec,
    VolumeNodeAffinity,
)
from simulator.api.meta import evolve
from simulator.api.selectors import NodeSelectorRequirement, NodeSelectorTerm
from simulator.binding.names import BETA_CLASS
from simulator.cluster.admission.metadata import (
    label_selector_errors,
    metadata_errors,
    metadata_update_errors,
    node_selector_errors,
)
from simulator.cluster.admission.names import subdomain_name
from simulator.cluster.admission.refusals import (
    IMMUTABLE,
    NOT_NEGATIVE,
    difference,
    forbidden_field,
    invalid,
    required,
    unsupported,
)
from simulator.units import Quantity

_MODES: Final = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
_POLICIES: Final = ("Delete", "Recycle", "Retain")
_VOLUME_MODES: Final = ("Block", "Filesystem")
_ALONE: Final = "may not use ReadWriteOncePod with other access modes"
_ONE_SOURCE: Final = "may not specify more than 1 volume type"
_BACKSTEPS: Final = "must not contain '..'"

_SOURCES: Final = {
    "host_path": "hostPath", "gce_persistent_disk": "gcePersistentDisk",
    "aws_elastic_block_store": "awsElasticBlockStore", "glusterfs": "glusterfs", "flocker": "flocker", "nfs": "nfs",
    "rbd": "rbd", "quobyte": "quobyte", "cephfs": "cephFS", "iscsi": "iscsi",
    "cinder": "cinder", "fc": "fc", "flex_volume": "flexVolume", "azure_file": "azureFile",
    "vsphere_volume": "vsphereVolume", "photon_persistent_disk": "photonPersistentDisk",
    "portworx_volume": "portworxVolume", "azure_disk": "azureDisk", "scale_io": "scaleIO", "local": "local",
    "storageos": "storageos", "csi": "csi",
}
"""What a volume can be made of, as called in errors, in the order in which Kubernetes looks at the fields."""
_sources_of: Final = attrgetter(*_SOURCES)


# --- volumes ----------------------------------------------------------------------------------------------------------


def volume_errors(volume: PersistentVolume) -> list[str]:
    """What is wrong with a new volume (VB-17, VB-18)."""
    return [*metadata_errors(volume, subdomain_name), *_volume_spec_errors(volume.spec, None)]


def volume_update_errors(volume: PersistentVolume, old: PersistentVolume) -> list[str]:
    """What is wrong with a changed volume: source, mode and affinity stay (VB-16, WL-15)."""
    errors = metadata_update_errors(volume.metadata, old.metadata)
    spec, before = volume.spec, old.spec
    if spec is before or evolve(spec, claim_ref=before.claim_ref) == before:
        return errors
    errors += _volume_spec_errors(spec, before)
    if _sources_of(spec) != _sources_of(before):
        told = difference(_only_source(before), _only_source(spec))
        errors.append(forbidden_field(
            "spec.persistentvolumesource", "spec.persistentvolumesource is immutable after creation" + told))
    if spec.volume_mode != before.volume_mode:
        errors.append(invalid("volumeMode", spec.volume_mode, IMMUTABLE))
    if before.node_affinity is not None and not _is_same_or_renamed(spec.node_affinity, before.node_affinity):
        errors.append(invalid("nodeAffinity", spec.node_affinity,
                              "field is immutable, except for updating from beta label to GA"))
    if before.volume_attributes_class_name is not None and spec.volume_attributes_class_name is None:
        errors.append(forbidden_field(
            "spec.volumeAttributesClassName", "update from non-nil value to nil is forbidden"))
    return errors


def _only_source(spec: PersistentVolumeSpec) -> PersistentVolumeSpec:
    sources: dict[str, Any] = dict(zip(_SOURCES, _sources_of(spec), strict=True))
    return PersistentVolumeSpec(**sources)


def _volume_spec_errors(spec: PersistentVolumeSpec, old: PersistentVolumeSpec | None) -> list[str]:
    """Errors of the parts that are not the very same as in `old`, which was valid."""
    errors: list[str] = []
    if old is None or spec.access_modes is not old.access_modes:
        if not spec.access_modes:
            errors.append(required("spec.accessModes"))  # VB-18
        errors += _modes_errors(spec.access_modes, "spec.accessModes")
    if old is None or spec.capacity is not old.capacity:
        errors += _capacity_errors(spec.capacity)
    if spec.persistent_volume_reclaim_policy not in _POLICIES:
        errors.append(unsupported(
            "spec.persistentVolumeReclaimPolicy", spec.persistent_volume_reclaim_policy, _POLICIES))
    if old is None or spec.node_affinity is not old.node_affinity:
        errors += _affinity_errors(spec.node_affinity)
    errors += _source_errors(spec, old)
    if spec.storage_class_name and (old is None or spec.storage_class_name != old.storage_class_name):
        errors += [invalid("spec.storageClassName", spec.storage_class_name, why)
                   for why in subdomain_name(spec.storage_class_name)]
    if spec.volume_mode is not None and spec.volume_mode not in _VOLUME_MODES:
        errors.append(unsupported("spec.volumeMode", spec.volume_mode, _VOLUME_MODES))
    if spec.volume_attributes_class_name is not None:
        path = "spec.volumeAttributesClassName"
        if not spec.volume_attributes_class_name:
            errors.append(required(path, "an empty string is disallowed"))
        errors += [invalid(path, spec.volume_attributes_class_name, why)
                   for why in subdomain_name(spec.volume_attributes_class_name) if spec.volume_attributes_class_name]
        if spec.csi is None:  # VB-17
            errors.append(required("spec.csi", "has to be specified when using volumeAttributesClassName"))
    return errors


def _modes_errors(modes: tuple[str, ...], path: str) -> list[str]:
    errors = [unsupported(path, mode, _MODES) for mode in modes if mode not in _MODES]
    if "ReadWriteOncePod" in modes and any(mode in _MODES and mode != "ReadWriteOncePod" for mode in modes):
        errors.append(forbidden_field(path, _ALONE))  # VB-18
    return errors


def _capacity_errors(capacity: Mapping[str, Quantity]) -> list[str]:
    errors = [] if capacity else [required("spec.capacity")]
    if "storage" not in capacity or len(capacity) > 1:
        errors.append(unsupported("spec.capacity", dict(capacity), ("storage",)))
    for name, amount in capacity.items():
        if amount.nano < 0:
            errors.append(invalid(f"spec.capacity[{name}]", amount, NOT_NEGATIVE))
        if amount.nano <= 0:
            errors.append(invalid(f"spec.capacity[{name}]", amount, "must be greater than zero"))
    return errors


def _affinity_errors(affinity: VolumeNodeAffinity | None) -> list[str]:
    if affinity is None:
        return []
    if affinity.required is None:
        return [required("spec.nodeAffinity.required", "must specify required node constraints")]
    return node_selector_errors(affinity.required, "spec.nodeAffinity.required")


def _source_errors(spec: PersistentVolumeSpec, old: PersistentVolumeSpec | None) -> list[str]:
    sources = _sources_of(spec)
    if old is not None and sources == _sources_of(old) and spec.node_affinity is old.node_affinity:
        return []
    errors: list[str] = []
    if spec.local is not None:
        errors += _path_errors(spec.local.path, "spec.local.path")
        if spec.node_affinity is None or spec.node_affinity.required is None:  # VB-17
            errors.append(required("spec.nodeAffinity", "Local volume requires node affinity"))
    if spec.host_path is not None:
        errors += _path_errors(spec.host_path.path, "spec.hostPath.path")
        if posixpath.normpath(spec.host_path.path) == "/" and spec.persistent_volume_reclaim_policy == "Recycle":
            errors.append(forbidden_field(
                "spec.persistentVolumeReclaimPolicy", "may not be 'recycle' for a hostPath mount of '/'"))
    if spec.csi is not None:
        errors += driver_name_errors(spec.csi.driver, "spec.csi.driver")
        if not spec.csi.volume_handle:
            errors.append(required("spec.csi.volumeHandle"))
    if sources.count(None) != len(sources) - 1:
        named = [told for told, source in zip(_SOURCES.values(), sources, strict=True) if source is not None]
        if not named:
            errors.append(required("spec", "must specify a volume type"))
        errors += [forbidden_field(f"spec.{extra}", _ONE_SOURCE) for extra in named[1:]]
    return errors


def _path_errors(path: str, field: str) -> list[str]:
    if not path:
        return [required(field)]
    return [invalid(field, path, _BACKSTEPS)] if ".." in path.split("/") else []


def driver_name_errors(name: str, path: str) -> list[str]:
    """What is wrong with the name of a CSI driver."""
    errors = [] if name else [required(path)]
    if len(name) > 63:
        errors.append(f"{path}: Too long: may not be more than 63 bytes")
    return errors + [invalid(path, name, why) for why in subdomain_name(name.lower())]


_RENAMED: Final = {
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
    "beta.kubernetes.io/instance-type": "node.kubernetes.io/instance-type",
}


def _is_same_or_renamed(new: VolumeNodeAffinity | None, old: VolumeNodeAffinity) -> bool:
    """Whether the affinity is the old one, topology labels renamed from beta to GA left aside (WL-15)."""
    if new is None or new.required is None or old.required is None:
        return new == old
    before, after = old.required.node_selector_terms, new.required.node_selector_terms
    return len(before) == len(after) and all(
        _is_renamed(new_term, old_term) for new_term, old_term in zip(after, before, strict=True))


def _is_renamed(new: NodeSelectorTerm, old: NodeSelectorTerm) -> bool:
    def same(after: NodeSelectorRequirement, before: NodeSelectorRequirement) -> bool:
        return after == before or (after.key == _RENAMED.get(before.key) and evolve(after, key=before.key) == before)

    return new.match_fields == old.match_fields and len(new.match_expressions) == len(old.match_expressions) and all(
        same(after, before) for after, before in zip(new.match_expressions, old.match_expressions, strict=True))


# --- claims -----------------------------------------------------------------------------------------------------------


def claim_errors(claim: PersistentVolumeClaim) -> list[str]:
    """What is wrong with a new claim (VB-18)."""
    return [*metadata_errors(claim, subdomain_name), *claim_spec_errors(claim.spec, "spec")]


def claim_spec_errors(spec: PersistentVolumeClaimSpec, path: str) -> list[str]:
    """What is wrong with the spec of a claim, wherever it stands."""
    errors: list[str] = []
    if not spec.access_modes:
        errors.append(required(f"{path}.accessModes", "at least 1 access mode is required"))
    if spec.selector is not None:
        errors += label_selector_errors(spec.selector, f"{path}.selector")
    errors += _modes_errors(spec.access_modes, f"{path}.accessModes")
    request = spec.resources.requests.get("storage")
    if request is None:
        errors.append(required(f"{path}.resources[storage]"))
    elif request.nano <= 0:
        errors.append(invalid(f"{path}.resources[storage]", request, "must be greater than zero"))
    if spec.storage_class_name:
        errors += [invalid(f"{path}.storageClassName", spec.storage_class_name, why)
                   for why in subdomain_name(spec.storage_class_name)]
    if spec.volume_mode is not None and spec.volume_mode not in _VOLUME_MODES:
        errors.append(unsupported(f"{path}.volumeMode", spec.volume_mode, _VOLUME_MODES))
    if spec.volume_attributes_class_name:
        errors += [invalid(f"{path}.volumeAttributesClassName", spec.volume_attributes_class_name, why)
                   for why in subdomain_name(spec.volume_attributes_class_name)]
    return errors


def claim_update_errors(claim: PersistentVolumeClaim, old: PersistentVolumeClaim) -> list[str]:
    """What is wrong with a changed claim: its spec stays, a few transitions aside (VB-15, WL-14, VB-179)."""
    errors = metadata_update_errors(claim.metadata, old.metadata)
    before_class, after_class = old.metadata.annotations.get(BETA_CLASS), claim.metadata.annotations.get(BETA_CLASS)
    spec, before = claim.spec, old.spec
    moved = before_class is not None and before.storage_class_name is None and (
        spec.storage_class_name == before_class and after_class in (None, before_class))
    if before_class != after_class and not moved:
        errors.append(invalid(f"metadata.annotations[{BETA_CLASS}]", after_class or "", IMMUTABLE))
    if spec is before:
        return errors
    errors += claim_spec_errors(spec, "spec")
    allowed: dict[str, Any] = {}
    if not before.volume_name:
        allowed["volume_name"] = spec.volume_name
    if before.storage_class_name is None and spec.storage_class_name is not None and (
        before_class in (None, spec.storage_class_name)
    ):
        allowed["storage_class_name"] = spec.storage_class_name
    size, old_size = spec.resources.requests.get("storage"), before.resources.requests.get("storage")
    if old.status.phase == "Bound":
        if size is not None:
            allowed["resources"] = evolve(before.resources, requests={**before.resources.requests, "storage": size})
        if spec.volume_attributes_class_name is not None:
            allowed["volume_attributes_class_name"] = spec.volume_attributes_class_name
    permitted = evolve(before, **allowed)
    if spec != permitted:
        errors.append(forbidden_field(
            "spec", "spec is immutable after creation except resources.requests and volumeAttributesClassName for "
            "bound claims" + difference(permitted, spec)))
    has = old.status.capacity.get("storage")
    if size is not None and old_size is not None and size < old_size and (has is not None and size <= has):
        errors.append(forbidden_field("spec.resources.requests.storage", "field can not be less than status.capacity"))
    if spec.volume_mode != before.volume_mode:
        errors.append(invalid("volumeMode", spec.volume_mode, IMMUTABLE))
    if before.volume_attributes_class_name is not None and not spec.volume_attributes_class_name:
        what = "nil" if spec.volume_attributes_class_name is None else "an empty string"
        errors.append(forbidden_field(
            "spec.volumeAttributesClassName", f"update from non-nil value to {what} is forbidden"))
    return errors
