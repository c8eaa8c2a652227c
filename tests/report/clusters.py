"""Two clusters written by hand: one with something in it for every column of kubectl's tables, one to watch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from simulator.units import HOUR, MINUTE, SECOND, Micros
from tests.report.story import Story, local, ready, running, waiting

TEXTS: Final[list[str]] = json.loads((Path(__file__).parent / "kubectl" / "texts.json").read_text(encoding="utf-8"))
"""Texts that YAML quotes in one way or another."""

MOMENT: Micros = 3 * HOUR + 20 * SECOND
"""When the tables of `columns_story` are looked at; the last events are still remembered only at its end."""

WATCH_FROM: Micros = SECOND
"""When the watch of `watch_story` begins."""


def columns_story() -> Story:
    """A cluster after a few hours, with every kind in several conditions."""
    story = Story()
    host = "kubernetes.io/hostname"
    info = {
        "kubeletVersion": "v1.36.2",
        "osImage": "Debian GNU/Linux 13 (trixie)",
        "kernelVersion": "6.12.0",
        "containerRuntimeVersion": "containerd://2.1.4",
        "architecture": "amd64",
    }
    story.put("Namespace", "default", {"status": {"phase": "Active"}})
    story.put("Namespace", "db-old", {"status": {"phase": "Terminating"}}, meta={"deletionTimestamp": SECOND})
    story.put(
        "Namespace",
        "db",
        {"status": {"phase": "Active"}},
        meta={"annotations": {f"quoting-{number}": text for number, text in enumerate(TEXTS)}},
    )
    story.put(
        "Node",
        "node1",
        {
            "status": {
                **ready(),
                "nodeInfo": info,
                "addresses": [
                    {"type": "InternalIP", "address": "10.0.0.1"},
                    {"type": "ExternalIP", "address": "192.0.2.1"},
                ],
            },
            "spec": {"taints": [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]},
        },
        meta={"labels": {host: "node1", "node-role.kubernetes.io/control-plane": ""}},
    )
    story.put("Node", "node2", {"status": ready()}, meta={"labels": {host: "node2"}})
    story.put(
        "Node",
        "node10",
        {"status": ready("Unknown"), "spec": {"unschedulable": True}},
        meta={"labels": {host: "node10", "kubernetes.io/role": "worker", "node-role.kubernetes.io/storage": ""}},
    )
    story.put(
        "StorageClass",
        "local",
        {
            "provisioner": "kubernetes.io/no-provisioner",
            "reclaimPolicy": "Retain",
            "volumeBindingMode": "WaitForFirstConsumer",
        },
    )
    story.put(
        "StorageClass",
        "fast",
        {"provisioner": "csi.example.com", "allowVolumeExpansion": True},
        meta={"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
    )
    story.put("PriorityClass", "high", {"value": 1000, "preemptionPolicy": "PreemptLowerPriority"})
    story.put(
        "CSIDriver", "csi.example.com", {"spec": {"storageCapacity": True, "volumeLifecycleModes": ["Persistent"]}}
    )
    story.put("CSINode", "node2", {"spec": {"drivers": [{"name": "csi.example.com", "nodeID": "n2"}]}})
    story.put("CSIStorageCapacity", "cap-1", {"storageClassName": "fast", "capacity": "100Gi"})
    story.put("VolumeAttributesClass", "gold", {"driverName": "csi.example.com"})
    story.put(
        "Service",
        "web",
        {
            "spec": {
                "selector": {"tier": "front", "app": "web"},
                "type": "ClusterIP",
                "clusterIP": "None",
                "clusterIPs": ["None"],
                "ports": [{"port": 80, "protocol": "TCP"}, {"port": 443, "nodePort": 30443}],
            }
        },
    )
    story.put("Service", "outside", {"spec": {"type": "LoadBalancer"}})
    story.put(
        "ResourceQuota",
        "limits",
        {
            "status": {
                "hard": {"requests.storage": "10Gi", "pods": "5", "limits.cpu": "4"},
                "used": {"pods": "3", "limits.cpu": "500m"},
            }
        },
    )
    story.put(
        "Lease",
        "node2",
        {"spec": {"holderIdentity": "node2", "leaseDurationSeconds": 40, "renewTime": 5_250_000}},
        namespace="kube-node-lease",
    )
    claim = {"kind": "PersistentVolumeClaim", "apiVersion": "v1", "namespace": "default"}
    story.put("PersistentVolume", "pv-free", {"spec": local("node1", "/mnt/a"), "status": {"phase": "Available"}})
    story.put(
        "PersistentVolume",
        "pv-b",
        {
            "spec": {
                **local("node2", "/mnt/b"),
                "accessModes": ["ReadWriteMany", "ReadOnlyMany", "ReadWriteOnce"],
                "claimRef": {**claim, "name": "data-web-0", "uid": "u1", "resourceVersion": 7},
            },
            "status": {"phase": "Bound", "lastPhaseTransitionTime": 3 * SECOND},
        },
    )
    story.put(
        "PersistentVolume",
        "pv-old",
        {
            "spec": {
                **local("node2", "/mnt/c", "1.5Ti"),
                "persistentVolumeReclaimPolicy": "Delete",
                "claimRef": {**claim, "name": "data-gone-0", "uid": "u9"},
            },
            "status": {"phase": "Failed", "reason": "DeleteFailed", "message": "no volume plugin matched"},
        },
    )
    story.put(
        "PersistentVolume",
        "pv-leaving",
        {
            "spec": {**local("node2", "/mnt/d"), "volumeAttributesClassName": "gold", "volumeMode": "Block"},
            "status": {"phase": "Bound"},
        },
        meta={"deletionTimestamp": 9 * SECOND, "finalizers": ["kubernetes.io/pv-protection"]},
    )
    request = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        "volumeMode": "Filesystem",
        "storageClassName": "local",
    }
    story.put(
        "PersistentVolumeClaim",
        "data-web-0",
        {
            "spec": {**request, "volumeName": "pv-b"},
            "status": {
                "phase": "Bound",
                "accessModes": ["ReadWriteOnce", "ReadOnlyMany"],
                "capacity": {"storage": "10Gi"},
            },
        },
        meta={"labels": {"app": "web"}},
    )
    story.put("PersistentVolumeClaim", "data-web-1", {"spec": request, "status": {"phase": "Pending"}})
    story.put(
        "PersistentVolumeClaim",
        "data-web-10",
        {"spec": {**request, "volumeName": "pv-x"}, "status": {"phase": "Pending"}},
    )
    story.put(
        "PersistentVolumeClaim",
        "leaving",
        {"spec": request, "status": {"phase": "Bound"}},
        meta={"deletionTimestamp": 8 * SECOND},
    )
    story.put("PersistentVolumeClaim", "elsewhere", {"spec": request, "status": {"phase": "Pending"}}, namespace="db")
    _pods(story)
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {
            "containers": [
                {"name": "main", "image": "registry.example.com/web:1"},
                {"name": "log", "image": "registry.example.com/log:2"},
            ]
        },
    }
    web = story.put(
        "StatefulSet",
        "web",
        {
            "spec": {
                "replicas": 3,
                "serviceName": "web",
                "selector": {"matchLabels": {"app": "web"}},
                "template": template,
                "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": request}],
            },
            "status": {"replicas": 3, "readyReplicas": 1},
        },
    )
    story.put(
        "ControllerRevision",
        "web-5b4f6b7d8c",
        {"revision": 2, "data": {"spec": {"replace": True}}},
        meta={
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "kind": "StatefulSet",
                    "name": "web",
                    "uid": web.metadata.uid,
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ]
        },
    )
    story.put("ControllerRevision", "stray", {"revision": 1})
    story.put("PodDisruptionBudget", "web", {"spec": {"minAvailable": "50%"}, "status": {"disruptionsAllowed": 1}})
    story.put("PodDisruptionBudget", "db", {"spec": {"maxUnavailable": 0}})
    story.at(3 * HOUR - 9 * MINUTE).event(
        "PersistentVolumeClaim",
        "data-web-1",
        "Normal",
        "WaitForFirstConsumer",
        "waiting for first consumer to be created before binding",
        "persistentvolume-controller",
    )
    story.at(3 * HOUR + 5 * SECOND).event(
        "PersistentVolumeClaim",
        "data-web-1",
        "Normal",
        "WaitForFirstConsumer",
        "waiting for first consumer to be created before binding",
        "persistentvolume-controller",
    )
    story.at(3 * HOUR + 18 * SECOND).event(
        "Pod", "web-1", "Warning", "FailedMount", "MountVolume.SetUp failed:\nno such path", "kubelet"
    )
    story.event(
        "Node",
        "node2",
        "Normal",
        "RegisteredNode",
        "Node node2 event: Registered Node node2 in Controller",
        "node-controller",
    )
    return story


def _pods(story: Story) -> None:
    main = {"name": "main", "image": "registry.example.com/web:1"}
    ended = {"terminated": {"exitCode": 1, "reason": "Error", "startedAt": 2 * MINUTE, "finishedAt": 5 * MINUTE}}
    is_ready = {"type": "Ready", "status": "True", "lastTransitionTime": 4 * SECOND}
    story.put(
        "Pod",
        "web-0",
        {
            "spec": {
                "containers": [main, {"name": "log", "image": "registry.example.com/log:2"}],
                "nodeName": "node2",
                "readinessGates": [{"conditionType": "example.com/ok"}, {"conditionType": "Ready"}],
            },
            "status": {
                "phase": "Running",
                "podIP": "10.244.1.7",
                "startTime": 2 * SECOND,
                "conditions": [is_ready],
                "containerStatuses": [running("main", 3 * SECOND), running("log", 3 * SECOND, is_ready=False)],
            },
        },
        meta={"labels": {"app": "web", "apps.kubernetes.io/pod-index": "0"}},
    )
    story.put(
        "Pod",
        "web-1",
        {
            "spec": {"containers": [main]},
            "status": {
                "phase": "Pending",
                "nominatedNodeName": "node2",
                "conditions": [
                    {
                        "type": "PodScheduled",
                        "status": "False",
                        "reason": "Unschedulable",
                        "message": "0/3 nodes are available: "
                        "1 node(s) had untolerated taint(s), 2 node(s) didn't find available persistent volumes to "
                        "bind. no new claims to deallocate, preemption: 0/3 nodes are available: 3 Preemption is not "
                        "helpful for scheduling.",
                    }
                ],
            },
        },
    )
    story.put(
        "Pod",
        "web-10",
        {
            "spec": {"containers": [main], "nodeName": "node2"},
            "status": {
                "phase": "Running",
                "containerStatuses": [waiting("main", "CrashLoopBackOff", "back-off", restartCount=4, lastState=ended)],
            },
        },
    )
    story.put(
        "Pod",
        "creating",
        {
            "spec": {"containers": [main], "nodeName": "node2"},
            "status": {"phase": "Pending", "containerStatuses": [waiting("main", "ContainerCreating")]},
        },
    )
    story.put(
        "Pod",
        "done",
        {
            "spec": {"containers": [main], "nodeName": "node2"},
            "status": {
                "phase": "Succeeded",
                "containerStatuses": [
                    {"name": "main", "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}
                ],
            },
        },
    )
    story.put(
        "Pod",
        "evicted",
        {
            "spec": {"containers": [main], "nodeName": "node2"},
            "status": {
                "phase": "Failed",
                "reason": "Evicted",
                "message": "The node was low on resource: ephemeral-storage.",
            },
        },
    )
    story.put(
        "Pod",
        "gated",
        {
            "spec": {"containers": [main], "schedulingGates": [{"name": "example.com/wait"}]},
            "status": {
                "phase": "Pending",
                "conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}],
            },
        },
    )
    story.put(
        "Pod",
        "init",
        {
            "spec": {
                "containers": [main],
                "nodeName": "node2",
                "initContainers": [
                    {"name": "first", "image": "a"},
                    {"name": "side", "image": "b", "restartPolicy": "Always"},
                    {"name": "second"},
                ],
            },
            "status": {
                "phase": "Pending",
                "initContainerStatuses": [
                    {"name": "first", "state": {"terminated": {"exitCode": 0}}},
                    running("side", SECOND),
                    running("second", SECOND, is_ready=False),
                ],
            },
        },
    )
    story.put(
        "Pod",
        "leaving",
        {
            "spec": {"containers": [main], "nodeName": "node10"},
            "status": {"phase": "Running", "conditions": [is_ready], "containerStatuses": [running("main", SECOND)]},
        },
        meta={"deletionTimestamp": 40 * SECOND, "deletionGracePeriodSeconds": 30},
    )
    story.put("Pod", "db-0", {"spec": {"containers": [main]}, "status": {"phase": "Pending"}}, namespace="db")


def watch_story() -> Story:
    """A pod with a claim comes up, beside another that is there from the start and goes away."""
    story = Story()
    main = {"name": "main", "image": "registry.example.com/web:1"}
    spec = {"containers": [main]}
    story.put(
        "Pod",
        "old-0",
        {
            "spec": {**spec, "nodeName": "node2"},
            "status": {"phase": "Running", "containerStatuses": [running("main", 0)]},
        },
    )
    story.at(2 * SECOND).put(
        "PersistentVolumeClaim",
        "data-web-0",
        {"spec": {"accessModes": ["ReadWriteOnce"]}, "status": {"phase": "Pending"}},
    )
    story.event(
        "PersistentVolumeClaim",
        "data-web-0",
        "Normal",
        "FailedBinding",
        "no persistent volumes available for this claim and no storage class is set",
        "persistentvolume-controller",
    )
    story.at(2_500_000).put("Pod", "web-0", {"spec": spec, "status": {"phase": "Pending"}})
    story.at(3 * SECOND).put(
        "Pod",
        "web-0",
        {"spec": {**spec, "nodeName": "a-node-with-a-long-name"}, "status": {"phase": "Pending"}},
        verb="bind",
    )
    story.put(
        "Pod",
        "web-0",
        {
            "spec": {**spec, "nodeName": "a-node-with-a-long-name"},
            "status": {"phase": "Pending", "containerStatuses": [waiting("main", "ContainerCreating")]},
        },
    )
    story.at(4 * SECOND).put(
        "Pod",
        "web-0",
        {
            "spec": {**spec, "nodeName": "a-node-with-a-long-name"},
            "status": {"phase": "Running", "podIP": "10.244.1.9", "containerStatuses": [running("main", 4 * SECOND)]},
        },
    )
    story.at(17 * SECOND).event(
        "PersistentVolumeClaim",
        "data-web-0",
        "Normal",
        "FailedBinding",
        "no persistent volumes available for this claim and no storage class is set",
        "persistentvolume-controller",
    )
    story.put(
        "Pod",
        "old-0",
        {
            "spec": {**spec, "nodeName": "node2"},
            "status": {"phase": "Running", "containerStatuses": [running("main", 0)]},
        },
        meta={"deletionTimestamp": 47 * SECOND},
    )
    story.at(150 * SECOND).gone("Pod", "old-0")
    story.put("Pod", "elsewhere", {"spec": spec, "status": {"phase": "Pending"}}, namespace="db")
    return story
