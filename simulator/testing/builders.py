"""Small makers of objects for tests: they fill in what does not matter."""

from __future__ import annotations

from typing import Any

from simulator.api.apps import StatefulSet
from simulator.api.core import Node, PersistentVolume, PersistentVolumeClaim, Pod
from simulator.api.meta import decode
from simulator.api.nodes import HOSTNAME
from simulator.api.storage import NO_PROVISIONER, StorageClass


def on_nodes(*names: str) -> dict[str, Any]:
    """A volume's nodeAffinity for some nodes, by hostname label."""
    expression = {"key": HOSTNAME, "operator": "In", "values": list(names)}
    return {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}}


def apart(app: str) -> dict[str, Any]:
    """Required anti-affinity on the hostname against pods labelled ``app=…``."""
    term = {"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": HOSTNAME}
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def make_node(name: str, *, labels: dict[str, str] | None = None, cpu: str = "8", memory: str = "32Gi",
              pods: str = "110", **spec: Any) -> Node:
    """A Ready node with a hostname label."""
    resources = {"cpu": cpu, "memory": memory, "pods": pods, "ephemeral-storage": "100Gi"}
    return decode({
        "metadata": {"name": name, "labels": {HOSTNAME: name, **(labels or {})}},
        "spec": spec,
        "status": {"capacity": resources, "allocatable": resources,
                   "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]},
    }, Node)


def make_class(name: str, *, mode: str = "Immediate", provisioner: str = NO_PROVISIONER, **fields: Any) -> StorageClass:
    """A storage class."""
    return decode({"metadata": {"name": name}, "provisioner": provisioner, "volumeBindingMode": mode, **fields},
                  StorageClass)


def make_volume(name: str, *, node: str | None = None, capacity: str = "10Gi", storage_class: str = "",
                modes: tuple[str, ...] = ("ReadWriteOnce",), phase: str = "", **spec: Any) -> PersistentVolume:
    """A volume: local to a node if one is named, else reachable from everywhere."""
    source: dict[str, Any] = {"csi": {"driver": "csi.example.com", "volumeHandle": name}}
    if node is not None:
        source = {"local": {"path": f"/mnt/{name}"}, "nodeAffinity": on_nodes(node)}
    return decode({
        "metadata": {"name": name},
        "spec": {"capacity": {"storage": capacity}, "accessModes": list(modes), "storageClassName": storage_class,
                 "persistentVolumeReclaimPolicy": "Retain", **source, **spec},
        "status": {"phase": phase} if phase else {},
    }, PersistentVolume)


def make_claim(name: str, *, request: str = "1Gi", storage_class: str | None = None, namespace: str = "default",
               modes: tuple[str, ...] = ("ReadWriteOnce",), uid: str = "", **spec: Any) -> PersistentVolumeClaim:
    """A claim; without a class it takes the default."""
    if storage_class is not None:
        spec["storageClassName"] = storage_class
    return decode({
        "metadata": {"name": name, "namespace": namespace, "uid": uid},
        "spec": {"accessModes": list(modes), "resources": {"requests": {"storage": request}}, **spec},
    }, PersistentVolumeClaim)


def make_pod(name: str, *, namespace: str = "default", labels: dict[str, str] | None = None,
             claims: tuple[str, ...] = (), cpu: str | None = None, memory: str | None = None, uid: str = "",
             **spec: Any) -> Pod:
    """A pod with one container and a volume for each claim named."""
    requests = {name: amount for name, amount in (("cpu", cpu), ("memory", memory)) if amount is not None}
    volumes = [{"name": claim, "persistentVolumeClaim": {"claimName": claim}} for claim in claims]
    return decode({
        "metadata": {"name": name, "namespace": namespace, "labels": labels or {}, "uid": uid},
        "spec": {"containers": [{"name": "main", "image": "registry.example.com/main:1",
                                 "resources": {"requests": requests}}], "volumes": volumes, **spec},
    }, Pod)


def make_set(name: str, *, replicas: int = 3, templates: tuple[str, ...] = ("data",), request: str = "1Gi",
             storage_class: str | None = None, namespace: str = "default", anti_affinity: bool = True,
             pod_spec: dict[str, Any] | None = None, **spec: Any) -> StatefulSet:
    """A set labelled ``app=NAME``, with a claim template for each name and required anti-affinity on the hostname."""
    claim: dict[str, Any] = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": request}}}
    if storage_class is not None:
        claim["storageClassName"] = storage_class
    container = {"name": "main", "image": "registry.example.com/main:1",
                 "volumeMounts": [{"name": template, "mountPath": f"/{template}"} for template in templates]}
    return decode({
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": replicas, "serviceName": name, "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}},
                         "spec": {"containers": [container], **({"affinity": apart(name)} if anti_affinity else {}),
                                  **(pod_spec or {})}},
            "volumeClaimTemplates": [{"metadata": {"name": template}, "spec": claim} for template in templates],
            **spec,
        },
    }, StatefulSet)
