"""Volumes that the local static provisioner makes of what it finds on nodes: their names, contents and marks (8.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from simulator.api.core import (
    LocalVolumeSource,
    Node,
    PersistentVolume,
    PersistentVolumeSpec,
    VolumeNodeAffinity,
)
from simulator.api.meta import ObjectMeta, OwnerReference
from simulator.api.nodes import HOSTNAME
from simulator.api.selectors import NodeSelector, NodeSelectorRequirement, NodeSelectorTerm
from simulator.api.storage import StorageClass
from simulator.binding.names import LOCAL_PROVISIONER, PROVISIONED_BY
from simulator.cluster.component import View
from simulator.units import Micros, Quantity, quantity

_GI: Final = 1 << 30
_MI: Final = 1 << 20


class Directory(Struct, frozen=True):
    """A discovery directory: what is found below it becomes volumes of one class.

    Attributes
    ----------
    files : node → name of the file or directory found there → its size.
    host_path : where it is on each node.
    """

    storage_class: str
    files: Mapping[str, Mapping[str, Quantity]]
    host_path: str = "/mnt/disks"


class Settings(Struct, frozen=True, kw_only=True):
    """How the provisioners are set up, and what is on the disks.

    Attributes
    ----------
    absent : nodes whose instance does not run.
    uid_in_name : whether volumes are marked with the node's uid too, as by default (VB-115).
    owned : whether volumes have their node as an owner.
    labels : labels of the node that its volumes get.
    wipe_error : why directories cannot be cleaned; "" if they can.
    cleanup_after : how long after its node the node-cleanup controller deletes a claim; None without one (VB-116).
    """

    directories: tuple[Directory, ...] = ()
    absent: frozenset[str] = frozenset()
    uid_in_name: bool = True
    owned: bool = False
    labels: tuple[str, ...] = ()
    wipe_error: str = ""
    cleanup_after: Micros | None = None


def provisioner_name(node: Node, settings: Settings) -> str:
    """The mark by which a node's instance knows its volumes (VB-113, VB-115)."""
    name = f"{LOCAL_PROVISIONER}-{node.name}"
    return f"{name}-{node.metadata.uid}" if settings.uid_in_name else name


def volume_of(
    settings: Settings, node: Node, storage_class: StorageClass, path: str, size: Quantity
) -> PersistentVolume:
    """The volume that is made of what was found at a path (VB-112, VB-113)."""
    here = NodeSelectorRequirement(key=HOSTNAME, operator="In", values=(hostname(node),))
    term = NodeSelectorTerm(match_expressions=(here,))
    owner = OwnerReference(api_version="v1", kind="Node", name=node.name, uid=node.metadata.uid)
    return PersistentVolume(
        metadata=ObjectMeta(
            name=volume_name(path.rpartition("/")[2], node.name, storage_class.name),
            annotations={PROVISIONED_BY: provisioner_name(node, settings)},
            labels={name: node.metadata.labels[name] for name in settings.labels if name in node.metadata.labels},
            owner_references=(owner,) if settings.owned else (),
        ),
        spec=PersistentVolumeSpec(
            capacity={"storage": rounded(size)}, access_modes=("ReadWriteOnce",),
            persistent_volume_reclaim_policy=storage_class.reclaim_policy or "Delete",
            storage_class_name=storage_class.name, mount_options=storage_class.mount_options,
            local=LocalVolumeSource(path=path),
            node_affinity=VolumeNodeAffinity(required=NodeSelector(node_selector_terms=(term,))),
        ),
    )


def volume_name(file: str, node: str, storage_class: str) -> str:
    """The name of a volume: the same again when it is found again (VB-112).

    Examples
    --------
    >>> volume_name("vol1", "node1", "local")
    'local-pv-a31016f3'
    """
    value = 2_166_136_261
    for byte in (file + node + storage_class).encode():
        value = (value ^ byte) * 16_777_619 & 0xFFFFFFFF
    return f"local-pv-{value:x}"


def rounded(size: Quantity) -> Quantity:
    """A size in whole GiB from 10 GiB on, else in MiB from 10 MiB on (VB-113)."""
    total = size.value
    for unit, name in ((_GI, "Gi"), (_MI, "Mi")):
        if total >= 10 * unit:
            return quantity(f"{total // unit}{name}")
    return size


def hostname(node: Node) -> str:
    """The node's hostname label, else its name."""
    return node.metadata.labels.get(HOSTNAME, node.name)


def nodes_at(host: str, view: View) -> list[Node]:
    """The nodes of a hostname: one, as a rule."""
    return [node for node in view.list(Node) if host and hostname(node) == host]


def host_of(volume: PersistentVolume) -> str:
    """The hostname to which a local volume is tied; "" if it is not tied to one."""
    affinity = volume.spec.node_affinity
    if affinity is None or affinity.required is None:
        return ""
    for term in affinity.required.node_selector_terms:
        for expression in term.match_expressions:
            if expression.key == HOSTNAME and expression.operator == "In" and len(expression.values) == 1:
                return expression.values[0]
    return ""
