"""Puts a cluster together: the API server and every component, as one Kubernetes 1.36 control plane has them."""

from __future__ import annotations

from collections.abc import Sequence

from simulator.cluster.component import Component
from simulator.latency import Latency


def control_plane() -> tuple[Component, ...]:
    """The components in their fixed order, which is the natural order of things that happen at one moment."""
    from simulator.controllers.disruption import Disruption
    from simulator.controllers.garbage_collector import GarbageCollector
    from simulator.controllers.kubelet import Kubelet
    from simulator.controllers.namespace import NamespaceController
    from simulator.controllers.node_lifecycle import NodeLifecycle
    from simulator.controllers.pod_gc import PodGC
    from simulator.controllers.protection import ProtectionController
    from simulator.controllers.provisioner import ExternalProvisioner
    from simulator.controllers.statefulset import StatefulSetController
    from simulator.controllers.volume_binder import VolumeBinder
    from simulator.scheduler import Scheduler

    return (
        StatefulSetController(), VolumeBinder(), ExternalProvisioner(), ProtectionController(), Scheduler(), Kubelet(),
        NodeLifecycle(), PodGC(), Disruption(), GarbageCollector(), NamespaceController(),
    )


def latency_points() -> dict[str, Latency]:
    """The latencies that components have of their own, by point."""
    return {}


__all__ = ["Sequence", "control_plane", "latency_points"]
