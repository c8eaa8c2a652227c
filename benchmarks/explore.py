"""How fast is every run explored? The time to the exact answer, and steps a second with a fingerprint each."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.measure import cpu, row
from simulator.exploration.explore import explore
from simulator.scenario.load import Scenario, load_scenario

_STATES = 4000


def scene(nodes: int, volumes: int, replicas: int, policy: str, mode: str = "Immediate") -> Scenario:
    """Equal nodes with equal local volumes, and one set whose pods may not share a node."""
    labels = {"app": "web"}
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": labels}}
    pod = {
        "containers": [{"name": "web", "image": "web", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}],
        "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}},
    }
    request = {"requests": {"storage": "1Gi"}}
    claim = {"accessModes": ["ReadWriteOnce"], "storageClassName": "local", "resources": request}
    sts = {
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "web"},
        "spec": {
            "serviceName": "web", "replicas": replicas, "podManagementPolicy": policy,
            "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}],
        },
    }
    storage = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "local"},
               "provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": mode}
    spec = {
        "nodes": {"count": nodes}, "manifests": [storage],
        "volumes": {"perNode": volumes, "storageClassName": "local"}, "timeline": [{"at": "0s", "apply": sts}],
    }
    with TemporaryDirectory() as folder:
        path = Path(folder, "scenario.yaml")
        path.write_text(json.dumps({"apiVersion": "bindsim/v1", "kind": "Scenario", "metadata": {"name": "scene"},
                                    "spec": spec}))
        return load_scenario(path)


def rows() -> list[dict[str, Any]]:
    """Seconds to the exact answer; and how many steps a second, each with its fingerprint, nothing left out."""
    found = []
    for name, made in (("5 × 4 × 5 Parallel", scene(5, 4, 5, "Parallel")),
                       ("100 × 4 × 8 OrderedReady", scene(100, 4, 8, "OrderedReady"))):
        for interleavings in ("ties", "syncs"):
            seconds = cpu(partial(explore, made, interleavings=interleavings), 3)
            found.append(row(f"explore, {interleavings}: {name}", seconds, "s", "goal", seconds, 1))
    for name, interleavings, lag, made in (
        ("3 × 3 × 3 Parallel", "writes", 0, scene(3, 3, 3, "Parallel")),
        ("2 × 2 × 2 OrderedReady, lag 1", "writes", 1, scene(2, 2, 2, "OrderedReady")),
    ):
        seconds = cpu(partial(explore, made, interleavings=interleavings, lag=lag), 1)
        found.append(row(f"explore, {interleavings}: {name}, complete", seconds, "s", "goal", seconds, 10))
    raw = scene(3, 3, 3, "Parallel")
    steps = explore(raw, interleavings="writes", is_reduced=False, most_states=_STATES).transitions
    seconds = cpu(lambda: explore(raw, interleavings="writes", is_reduced=False, most_states=_STATES), 1)
    rate = steps / seconds
    found.append(row("writes: steps with their fingerprint, 3 × 3 × 3", rate, "/s", "goal", rate / 20_000, 20_000,
                     is_rate=True))
    return found
