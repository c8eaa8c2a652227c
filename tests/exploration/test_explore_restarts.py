"""A component that loses its memory while a flow of its own is under way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from simulator import load_scenario
from simulator.exploration.explore import NEVER, explore

STORAGE = {
    "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "slow"},
    "provisioner": "csi.example", "volumeBindingMode": "WaitForFirstConsumer",
}
CLAIM = {
    "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "slow",
             "resources": {"requests": {"storage": "1Gi"}}},
}
POD = {
    "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"},
    "spec": {"containers": [{"name": "web", "image": "web"}],
             "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]},
}


@pytest.mark.parametrize("is_reduced", [True, False])
@pytest.mark.parametrize("interleavings", ["ties", "syncs", "writes"])
def test_a_scheduler_that_waits_for_volumes_may_be_restarted(
    tmp_path: Path, interleavings: str, is_reduced: bool
) -> None:
    """Nobody makes the volume; the binding that waits for it dies with the scheduler, and another one waits instead."""
    path = tmp_path / "scenario.json"
    path.write_text(json.dumps({
        "apiVersion": "bindsim/v1", "kind": "Scenario", "metadata": {"name": "restarted"},
        "spec": {
            "nodes": {"count": 1}, "provisioners": [{"name": "csi.example", "absent": True}],
            "manifests": [STORAGE, CLAIM, POD], "timeline": [{"at": "5s", "restart": "scheduler"}],
        },
    }), encoding="utf-8")
    found = explore(load_scenario(path), interleavings=interleavings, is_reduced=is_reduced)
    assert (found.verdict, found.is_complete) == (NEVER, True)
    (end,) = found.ends
    assert set(end.waiting) == {"Pod/default/web", "PersistentVolumeClaim/default/data"}
    assert found.trace(end).entries[-1].detail
