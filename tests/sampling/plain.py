"""A small plain cluster for which a closed form holds, to be changed by tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from simulator.manifests.origin import Origin
from simulator.scenario.file import Spec, TimelineEntry
from simulator.scenario.initial import from_plain, together, with_namespaces
from simulator.scenario.load import Scenario
from simulator.scenario.timeline import parse_timeline
from simulator.testing.builders import apart, on_nodes

HERE = Origin("drawn", 1)


def node(name: str, **spec: Any) -> dict[str, Any]:
    labels = {"kubernetes.io/hostname": name}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "spec": spec}


def local_class(name: str = "local", **fields: Any) -> dict[str, Any]:
    return {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name},
            "provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": "Immediate", **fields}


def volume(name: str, where: str, size: str = "10Gi", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name},
        "spec": {"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"], "storageClassName": "local",
                 "persistentVolumeReclaimPolicy": "Retain", "local": {"path": f"/mnt/{name}"},
                 "nodeAffinity": on_nodes(where), **spec},
    }


def volumes(counts: Sequence[int], size: str = "10Gi", **spec: Any) -> list[dict[str, Any]]:
    """So many volumes on node1, node2 and so on."""
    return [
        volume(f"pv{spec.get('storageClassName', '')}-{size.lower()}-{where}-{number}", f"node{where}", size, **spec)
        for where, count in enumerate(counts, 1) for number in range(count)
    ]


def template(name: str = "data", request: str = "1Gi", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {
        "accessModes": ["ReadWriteOnce"], "storageClassName": "local",
        "resources": {"requests": {"storage": request}}, **spec}}


def stateful_set(
    replicas: int = 3, templates: Sequence[dict[str, Any]] | None = None, *, pod: dict[str, Any] | None = None,
    name: str = "web", **spec: Any,
) -> dict[str, Any]:
    container = {"name": "main", "image": "registry.example.com/main:1"}
    return {
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": name},
        "spec": {
            "replicas": replicas, "serviceName": name, "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}},
                         "spec": {"containers": [container], "affinity": apart(name), **(pod or {})}},
            "volumeClaimTemplates": list(templates) if templates is not None else [template()], **spec,
        },
    }


def nodes(count: int) -> list[dict[str, Any]]:
    return [node(f"node{number}") for number in range(1, count + 1)]


def scenario_of(
    objects: Sequence[dict[str, Any]], *applied: dict[str, Any], spec: Spec | None = None, at: str = "1s",
    entries: Sequence[TimelineEntry] = (), latencies: dict[str, Any] | None = None,
) -> Scenario:
    """Initial objects, and what is applied one after another."""
    timeline = (*(TimelineEntry(at=at, apply=each) for each in applied), *entries)
    return Scenario(
        name="plain", path="", spec=spec or Spec(), initial=with_namespaces(together([from_plain(objects, HERE)])),
        timeline=parse_timeline(timeline, Path("drawn"), HERE), latencies=latencies or {},
    )


def plain(counts: Sequence[int] = (2, 2, 2), *, pods: dict[str, Any] | None = None, **more: Any) -> Scenario:
    """Nodes with so many volumes each, and a set."""
    return scenario_of([*nodes(len(counts)), local_class(), *volumes(counts)], pods or stateful_set(), **more)
