"""Nodes and volumes by number, for scenarios that need many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from simulator.api.nodes import HOSTNAME, ZONE
from simulator.scenario.file import NodeGenerator, VolumeGenerator


def parse_taint(written: str) -> dict[str, str]:
    """A taint as ``kubectl taint`` has it: ``key=value:Effect`` or ``key:Effect``.

    Raises
    ------
    ValueError
        If the effect is missing or unknown.
    """
    rest, _, effect = written.rpartition(":")
    key, _, value = rest.partition("=")
    if not key or effect not in ("NoSchedule", "PreferNoSchedule", "NoExecute"):
        raise ValueError(
            f'"{written}" is not a taint; write key=value:NoSchedule, key:PreferNoSchedule or key:NoExecute'
        )
    return {"key": key, "effect": effect, **({"value": value} if value else {})}


def _filled(pattern: str, **values: Any) -> str:
    """A pattern such as ``node{i}`` with its places filled in."""
    try:
        return pattern.format(**values)
    except (LookupError, ValueError, AttributeError):
        places = " and ".join(f"{{{name}}}" for name in values)
        raise ValueError(f'"{pattern}" cannot be filled in; it may hold {places}, as in "{{i:02}}" too') from None


def generate_nodes(generators: Sequence[NodeGenerator]) -> Iterator[dict[str, Any]]:
    """The manifests of nodes that generators ask for.

    Raises
    ------
    ValueError
        If a name, label or taint is malformed.
    """
    for generator in generators:
        for i in range(generator.first, generator.first + generator.count):
            name = _filled(generator.name, i=i)
            labels = {HOSTNAME: name}
            if generator.zones:
                labels[ZONE] = generator.zones[(i - generator.first) % len(generator.zones)]
            labels.update({key: _filled(value, i=i) for key, value in generator.labels.items()})
            resources = {"cpu": generator.cpu, "memory": generator.memory, "pods": str(generator.pods),
                         "ephemeral-storage": "100Gi"}
            yield {
                "apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels},
                "spec": {"taints": [parse_taint(taint) for taint in generator.taints]} if generator.taints else {},
                "status": {"capacity": resources, "allocatable": resources,
                           "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady",
                                           "message": "kubelet is posting ready status"}]},
            }


def generate_volumes(generators: Sequence[VolumeGenerator], open_nodes: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The manifests of local volumes that generators ask for.

    Parameters
    ----------
    open_nodes : the nodes meant when a generator names none.

    Raises
    ------
    ValueError
        If a name or path is malformed, or no capacity is given.
    """
    for generator in generators:
        nodes = generator.nodes or tuple(open_nodes)
        numbers = range(1, generator.per_node + 1)
        if generator.order == "round-robin":
            places = [(node, i) for i in numbers for node in nodes]
        else:
            places = [(node, i) for node in nodes for i in numbers]
        sizes = (generator.capacity,) if isinstance(generator.capacity, str) else generator.capacity
        if not sizes:
            raise ValueError("capacity is an empty list; give one size, or one for each volume of a node")
        for node, i in places:
            name = _filled(generator.name, node=node, i=i)
            expression = {"key": HOSTNAME, "operator": "In", "values": [node]}
            yield {
                "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name},
                "spec": {
                    "capacity": {"storage": sizes[(i - 1) % len(sizes)]},
                    "accessModes": list(generator.access_modes),
                    "persistentVolumeReclaimPolicy": generator.reclaim_policy,
                    **({"storageClassName": generator.storage_class_name} if generator.storage_class_name else {}),
                    "local": {"path": _filled(generator.path, name=name, node=node, i=i)},
                    "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}},
                },
            }
