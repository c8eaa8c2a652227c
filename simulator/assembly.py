"""Puts a cluster together: every component, as one Kubernetes 1.36 control plane and its machines have them."""

from __future__ import annotations

from collections.abc import Mapping

from simulator.cluster.component import Component
from simulator.controllers import local_provisioner, node_lifecycle, pod_gc, provisioner, reclaim
from simulator.controllers.disruption import Disruption
from simulator.controllers.expander import ExpandController
from simulator.controllers.garbage_collector import GarbageCollector
from simulator.controllers.kubelet import LATENCIES as KUBELET
from simulator.controllers.kubelet import Kubelet, KubeletConfig
from simulator.controllers.local_provisioner import LocalProvisioner
from simulator.controllers.local_volumes import Settings
from simulator.controllers.namespace import NamespaceController
from simulator.controllers.node_lifecycle import NodeLifecycle
from simulator.controllers.pod_gc import PodGC
from simulator.controllers.protection import ProtectionController
from simulator.controllers.provisioner import ExternalProvisioner
from simulator.controllers.statefulset import StatefulSetController
from simulator.controllers.storage_driver import StorageDriver
from simulator.controllers.taint_eviction import TaintEviction
from simulator.controllers.volume_binder import VolumeBinder
from simulator.latency import DEFAULTS, Latency
from simulator.scheduler.component import Scheduler


def control_plane(
    drivers: Mapping[str, StorageDriver] | None = None,
    kubelets: KubeletConfig | None = None,
    local_volumes: Settings | None = None,
) -> tuple[Component, ...]:
    """The components in their fixed order, which is the natural order of what happens at one moment.

    Parameters
    ----------
    drivers : external provisioners that behave otherwise than by default, by name.
    kubelets : what all kubelets have in common.
    local_volumes : how the local static provisioner is set up, if there is one.
    """
    return (
        StatefulSetController(),
        VolumeBinder(choose_resync_order=True),  # ND-6
        ExternalProvisioner(drivers),
        *((LocalProvisioner(local_volumes),) if local_volumes is not None else ()),
        ExpandController(),
        ProtectionController(),
        Scheduler(),
        Kubelet(kubelets),
        NodeLifecycle(),
        TaintEviction(),
        PodGC(),
        Disruption(),
        GarbageCollector(),
        NamespaceController(),
    )


LATENCIES: Mapping[str, Latency] = {
    **DEFAULTS,
    **KUBELET,
    **node_lifecycle.LATENCIES,
    **pod_gc.LATENCIES,
    **provisioner.LATENCIES,
    **reclaim.LATENCIES,
    **local_provisioner.LATENCIES,
}
"""Every latency by point, at Kubernetes' own or a typical value."""
