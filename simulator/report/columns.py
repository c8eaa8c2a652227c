"""The columns of kubectl's tables, kind by kind (WL-172 to WL-185)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from simulator.api.apps import ControllerRevision, StatefulSet
from simulator.api.core import Event, Namespace, Node, PersistentVolume, PersistentVolumeClaim, ResourceQuota, Service
from simulator.api.meta import Labels, Object
from simulator.api.policy import PodDisruptionBudget, PriorityClass
from simulator.api.storage import CSIDriver, CSIStorageCapacity, StorageClass
from simulator.binding.reference import class_of
from simulator.report.pod_columns import NONE, pod_cells
from simulator.report.times import age
from simulator.units import Micros, Quantity

UNSET: Final = "<unset>"
UNKNOWN: Final = "<unknown>"

_MODES: Final = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
_ROLE: Final = "node-role.kubernetes.io/"
_DEFAULT_CLASS: Final = ("storageclass.kubernetes.io/is-default-class",
                         "storageclass.beta.kubernetes.io/is-default-class")


class Columns(Struct, frozen=True):
    """A kind's table: its columns, those of ``-o wide`` in full, and what makes the cells of a row."""

    narrow: tuple[str, ...]
    wide: tuple[str, ...]
    cells: Callable[[Any, Micros], Mapping[str, str]]

    def row(self, obj: Object, now: Micros, wide: bool) -> list[str]:
        """The cells of an object's row at a moment."""
        cells = self.cells(obj, now)
        return [cells[column] for column in (self.wide if wide else self.narrow)]


def access_modes(modes: Sequence[str]) -> str:
    """Access modes, each once, in kubectl's order (WL-181)."""
    return ",".join(short for mode, short in _MODES.items() if mode in modes)


def labels_text(labels: Labels) -> str:
    """Labels as ``a=b,c=d``, sorted."""
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items())) or NONE


def node_status(node: Node) -> str:
    """The STATUS column of a node (WL-183)."""
    ready = node.condition("Ready")
    status = "Unknown" if ready is None else "Ready" if ready.status == "True" else "NotReady"
    return status + (",SchedulingDisabled" if node.spec.unschedulable else "")


def phase(obj: PersistentVolume | PersistentVolumeClaim) -> str:
    """The STATUS column of a claim or volume (WL-179, WL-180)."""
    return "Terminating" if obj.metadata.is_terminating else obj.status.phase


def _text(amount: Quantity | None) -> str:
    return str(amount) if amount is not None else "0"


def _bool(value: Any) -> str:
    return "true" if value else "false"


def _age(obj: Object, now: Micros) -> dict[str, str]:
    return {"NAME": obj.name, "AGE": age(obj.metadata.creation_timestamp, now)}


def _set_cells(obj: StatefulSet, now: Micros) -> Mapping[str, str]:
    containers = obj.spec.template.spec.containers
    return {
        **_age(obj, now), "READY": f"{obj.status.ready_replicas}/{obj.replicas}",
        "CONTAINERS": ",".join(one.name for one in containers), "IMAGES": ",".join(one.image for one in containers),
    }


def _claim_cells(claim: PersistentVolumeClaim, now: Micros) -> Mapping[str, str]:
    spec, status = claim.spec, claim.status
    named = bool(spec.volume_name)
    return {
        **_age(claim, now), "STATUS": phase(claim), "VOLUME": spec.volume_name,
        "CAPACITY": _text(status.capacity.get("storage")) if named else "",
        "ACCESS MODES": access_modes(status.access_modes) if named else "",
        "STORAGECLASS": class_of(claim), "VOLUMEATTRIBUTESCLASS": spec.volume_attributes_class_name or UNSET,
        "VOLUMEMODE": spec.volume_mode or UNSET,
    }


def _volume_cells(volume: PersistentVolume, now: Micros) -> Mapping[str, str]:
    spec = volume.spec
    claim = spec.claim_ref
    return {
        **_age(volume, now), "CAPACITY": _text(volume.capacity), "ACCESS MODES": access_modes(spec.access_modes),
        "RECLAIM POLICY": spec.persistent_volume_reclaim_policy, "STATUS": phase(volume),
        "CLAIM": f"{claim.namespace}/{claim.name}" if claim is not None else "", "STORAGECLASS": class_of(volume),
        "VOLUMEATTRIBUTESCLASS": spec.volume_attributes_class_name or UNSET, "REASON": volume.status.reason,
        "VOLUMEMODE": spec.volume_mode or UNSET,
    }


def _class_cells(obj: StorageClass, now: Micros) -> Mapping[str, str]:
    default = any(obj.metadata.annotations.get(name) == "true" for name in _DEFAULT_CLASS)
    return {
        **_age(obj, now), "NAME": obj.name + (" (default)" if default else ""), "PROVISIONER": obj.provisioner,
        "RECLAIMPOLICY": obj.reclaim_policy or "Delete", "VOLUMEBINDINGMODE": obj.volume_binding_mode or "Immediate",
        "ALLOWVOLUMEEXPANSION": _bool(obj.allow_volume_expansion),
    }


def _node_cells(node: Node, now: Micros) -> Mapping[str, str]:
    labels = node.metadata.labels
    roles = {key.removeprefix(_ROLE) for key in labels if key.startswith(_ROLE)}
    roles.add(labels.get("kubernetes.io/role", ""))
    info = node.status.node_info
    kernel = info.kernel_version if info is not None else ""
    if kernel and info is not None and info.architecture:
        kernel += f" ({info.architecture})"
    return {
        **_age(node, now), "STATUS": node_status(node), "ROLES": ",".join(sorted(roles - {""})) or NONE,
        "VERSION": info.kubelet_version if info is not None else "",
        "INTERNAL-IP": _address(node, "InternalIP"), "EXTERNAL-IP": _address(node, "ExternalIP"),
        "OS-IMAGE": (info.os_image if info is not None else "") or UNKNOWN, "KERNEL-VERSION": kernel or UNKNOWN,
        "CONTAINER-RUNTIME": (info.container_runtime_version if info is not None else "") or UNKNOWN,
    }


def _address(node: Node, kind: str) -> str:
    return next((address.address for address in node.status.addresses if address.type == kind), NONE)


def _event_cells(event: Event, now: Micros) -> Mapping[str, str]:
    about, source = event.involved_object, event.source
    first = age(event.first_timestamp, now)
    host = source.host or event.reporting_instance
    component = source.component or event.reporting_component
    return {
        "LAST SEEN": age(event.last_timestamp, now) if event.last_timestamp is not None else first,
        "TYPE": event.type, "REASON": event.reason,
        "OBJECT": f"{about.kind.lower()}/{about.name}" if about.name else about.kind.lower(),
        "SUBOBJECT": about.field_path, "SOURCE": f"{component}, {host}" if host else component,
        "MESSAGE": event.message.strip(), "FIRST SEEN": first, "COUNT": str(event.count or 1), "NAME": event.name,
    }


def _budget_cells(obj: PodDisruptionBudget, now: Micros) -> Mapping[str, str]:
    least, most = obj.spec.min_available, obj.spec.max_unavailable
    return {
        **_age(obj, now), "MIN AVAILABLE": "N/A" if least is None else str(least),
        "MAX UNAVAILABLE": "N/A" if most is None else str(most),
        "ALLOWED DISRUPTIONS": str(obj.status.disruptions_allowed),
    }


def _revision_cells(obj: ControllerRevision, now: Micros) -> Mapping[str, str]:
    owner = obj.metadata.controller
    group = owner.api_version.partition("/")[0] if owner is not None and "/" in owner.api_version else ""
    kind = owner.kind.lower() + (f".{group}" if group else "") if owner is not None else ""
    return {
        **_age(obj, now), "CONTROLLER": f"{kind}/{owner.name}" if owner is not None else NONE,
        "REVISION": str(obj.revision),
    }


def _namespace_cells(obj: Namespace, now: Micros) -> Mapping[str, str]:
    return {**_age(obj, now), "STATUS": obj.status.phase}


def _service_cells(obj: Service, now: Micros) -> Mapping[str, str]:
    spec = obj.spec
    ports = [_port(port) for port in spec.ports or ()]
    kind = spec.type or "ClusterIP"
    outside = {"LoadBalancer": "<pending>", "ExternalName": spec.external_name or ""}.get(kind, NONE)
    return {
        **_age(obj, now), "TYPE": kind, "CLUSTER-IP": next(iter(spec.cluster_ips or ()), spec.cluster_ip) or NONE,
        "EXTERNAL-IP": ",".join(spec.external_ips or ()) or outside, "PORT(S)": ",".join(ports) or NONE,
        "SELECTOR": labels_text(spec.selector),
    }


def _port(port: Mapping[str, Any]) -> str:
    node_port = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port.get('port')}{node_port}/{port.get('protocol') or 'TCP'}"


def _quota_cells(obj: ResourceQuota, now: Micros) -> Mapping[str, str]:
    status = obj.status
    each = [(name, f"{name}: {_text(status.used.get(name))}/{hard}") for name, hard in sorted(status.hard.items())]
    return {
        **_age(obj, now), "REQUEST": ", ".join(text for name, text in each if not name.startswith("limits.")),
        "LIMIT": ", ".join(text for name, text in each if name.startswith("limits.")),
    }


def _priority_cells(obj: PriorityClass, now: Micros) -> Mapping[str, str]:
    return {**_age(obj, now), "VALUE": str(obj.value), "GLOBAL-DEFAULT": _bool(obj.global_default),
            "PREEMPTIONPOLICY": obj.preemption_policy or ""}


def _driver_cells(obj: CSIDriver, now: Micros) -> Mapping[str, str]:
    spec = obj.spec
    tokens = spec.token_requests
    return {
        **_age(obj, now), "ATTACHREQUIRED": _bool(spec.attach_required is None or spec.attach_required),
        "PODINFOONMOUNT": _bool(spec.pod_info_on_mount), "STORAGECAPACITY": _bool(spec.storage_capacity),
        "TOKENREQUESTS": UNSET if tokens is None else ",".join(str(one.get("audience", "")) for one in tokens),
        "REQUIRESREPUBLISH": _bool(spec.requires_republish),
        "MODES": ",".join(spec.volume_lifecycle_modes or ()) or NONE,
    }


def _capacity_cells(obj: CSIStorageCapacity, now: Micros) -> Mapping[str, str]:
    return {"NAME": obj.name, "STORAGECLASSNAME": obj.storage_class_name,
            "CAPACITY": UNSET if obj.capacity is None else str(obj.capacity)}


def _more(narrow: str, wide: str, cells: Callable[[Any, Micros], Mapping[str, str]]) -> Columns:
    """Columns separated by bars; the wide ones come after the narrow ones."""
    first = tuple(narrow.split("|"))
    return Columns(first, first + tuple(wide.split("|") if wide else ()), cells)


COLUMNS: Final[dict[str, Columns]] = {
    "Pod": _more("NAME|READY|STATUS|RESTARTS|AGE", "IP|NODE|NOMINATED NODE|READINESS GATES", pod_cells),
    "StatefulSet": _more("NAME|READY|AGE", "CONTAINERS|IMAGES", _set_cells),
    "PersistentVolumeClaim": _more(
        "NAME|STATUS|VOLUME|CAPACITY|ACCESS MODES|STORAGECLASS|VOLUMEATTRIBUTESCLASS|AGE", "VOLUMEMODE", _claim_cells),
    "PersistentVolume": _more(
        "NAME|CAPACITY|ACCESS MODES|RECLAIM POLICY|STATUS|CLAIM|STORAGECLASS|VOLUMEATTRIBUTESCLASS|REASON|AGE",
        "VOLUMEMODE", _volume_cells),
    "StorageClass": _more(
        "NAME|PROVISIONER|RECLAIMPOLICY|VOLUMEBINDINGMODE|ALLOWVOLUMEEXPANSION|AGE", "", _class_cells),
    "Node": _more("NAME|STATUS|ROLES|AGE|VERSION", "INTERNAL-IP|EXTERNAL-IP|OS-IMAGE|KERNEL-VERSION|CONTAINER-RUNTIME",
                  _node_cells),
    "Event": Columns(
        ("LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"),
        ("LAST SEEN", "TYPE", "REASON", "OBJECT", "SUBOBJECT", "SOURCE", "MESSAGE", "FIRST SEEN", "COUNT", "NAME"),
        _event_cells),
    "PodDisruptionBudget": _more("NAME|MIN AVAILABLE|MAX UNAVAILABLE|ALLOWED DISRUPTIONS|AGE", "", _budget_cells),
    "ControllerRevision": _more("NAME|CONTROLLER|REVISION|AGE", "", _revision_cells),
    "Namespace": _more("NAME|STATUS|AGE", "", _namespace_cells),
    "Service": _more("NAME|TYPE|CLUSTER-IP|EXTERNAL-IP|PORT(S)|AGE", "SELECTOR", _service_cells),
    "ResourceQuota": _more("NAME|REQUEST|LIMIT|AGE", "", _quota_cells),
    "PriorityClass": _more("NAME|VALUE|GLOBAL-DEFAULT|AGE|PREEMPTIONPOLICY", "", _priority_cells),
    "CSIDriver": _more(
        "NAME|ATTACHREQUIRED|PODINFOONMOUNT|STORAGECAPACITY|TOKENREQUESTS|REQUIRESREPUBLISH|MODES|AGE", "",
        _driver_cells),
    "CSINode": _more("NAME|DRIVERS|AGE", "",
                     lambda obj, now: {**_age(obj, now), "DRIVERS": str(len(obj.spec.drivers))}),
    "CSIStorageCapacity": _more("NAME|STORAGECLASSNAME|CAPACITY", "", _capacity_cells),
    "VolumeAttributesClass": _more("NAME|DRIVERNAME|AGE", "",
                                   lambda obj, now: {**_age(obj, now), "DRIVERNAME": obj.driver_name}),
    "Lease": _more("NAME|HOLDER|AGE", "",
                   lambda obj, now: {**_age(obj, now), "HOLDER": obj.spec.holder_identity or ""}),
}
"""A table for every simulated kind."""
