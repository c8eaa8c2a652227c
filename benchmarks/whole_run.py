"""How does a whole run grow with the number of pods, and what does a log entry cost beside a bare simpy event?"""

from __future__ import annotations

from typing import Any

import simpy

from benchmarks.measure import cpu, row
from simulator import run
from simulator.manifests.origin import Origin
from simulator.scenario.file import NodeGenerator, Spec, VolumeGenerator
from simulator.scenario.generators import generate_nodes, generate_volumes
from simulator.scenario.initial import from_plain, together
from simulator.scenario.load import Scenario

EVENTS = 100_000


def scenario(pods: int) -> Scenario:
    """Sets of ten, one claim each, WaitForFirstConsumer, hostname anti-affinity; a machine a pod, two volumes each."""
    here = Origin("benchmark", 1)
    nodes = from_plain(generate_nodes([NodeGenerator(count=pods)]), here)
    volumes = VolumeGenerator(per_node=2, storage_class_name="local")
    objects: list[dict[str, Any]] = [{
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "local"},
        "provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": "WaitForFirstConsumer",
    }]
    objects += [_set(f"db{number}") for number in range(pods // 10)]
    parts = [nodes, from_plain(generate_volumes([volumes], nodes.open_nodes), here), from_plain(objects, here)]
    return Scenario(name="whole-run", path="", spec=Spec(), initial=together(parts))


def _set(name: str) -> dict[str, Any]:
    labels = {"app": name}
    apart = {"labelSelector": {"matchLabels": labels}, "topologyKey": "kubernetes.io/hostname"}
    return {
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": name},
        "spec": {
            "serviceName": name, "replicas": 10, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {
                "containers": [{"name": "db", "image": "registry.example.com/db:1"}],
                "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [apart]}}}},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {
                "storageClassName": "local", "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}}}}],
        },
    }


def _simpy() -> None:
    clock = simpy.Environment()

    def tick() -> Any:
        for _ in range(EVENTS):
            yield clock.timeout(1)

    clock.process(tick())
    clock.run()


def rows() -> list[dict[str, Any]]:
    """Whole runs of 20 and 100 pods."""
    event = cpu(_simpy, 3) / EVENTS
    found = []
    for pods in (20, 100):
        cluster = scenario(pods)
        entries = len(run(cluster, seed=1).log.entries)
        ours = cpu(lambda: run(cluster, seed=1), 3)  # noqa: B023 (called at once)
        found.append(row(f"{pods} pods, {pods} nodes, whole run", ours * 1e3, "ms", f"{entries} bare simpy events",
                         ours / entries / event, pods * 10.0))
    return found
