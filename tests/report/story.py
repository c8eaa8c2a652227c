"""A small run, written by hand, with something in it for every column of kubectl's tables."""

from __future__ import annotations

from typing import Any

from simulator.api.kinds import KINDS
from simulator.api.meta import Key, Object, decode, with_meta
from simulator.eventlog import Log
from simulator.units import HOUR, MINUTE, SECOND, Micros

DEFAULT = "default"
TEXTS = (
    "",
    "true",
    "Yes",
    "y",
    "on",
    "null",
    "~",
    "8",
    "-8",
    "+8",
    "010",
    "0o17",
    "0x1F",
    "0b101",
    "1_000",
    "1e3",
    "1e+3",
    "1.5",
    ".5",
    "5.",
    "-.5e-3",
    "1:20",
    "1:20.5",
    ".inf",
    "-.Inf",
    ".NaN",
    "-",
    "- a",
    "a - b",
    "a: b",
    "a:b",
    "#a",
    "a #b",
    "a#b",
    "*a",
    "&a",
    "!a",
    "@a",
    "%a",
    "`a`",
    "'a'",
    "a'b",
    '"a"',
    "{a}",
    "[a]",
    ",a",
    "?",
    "? a",
    "?a",
    ">a",
    "|a",
    " a",
    "a ",
    "two\nlines",
    "two\nlines\n",
    "\ttab",
    "tab\tbed",
    "Größe",
    "2026-01-01",
    "2026-01-01T00:00:00Z",
    "2026-1-1",
    "2026-01-01 00:00:00",
    "12h",
    "10Gi",
    "100%",
    "500m",
    "a\\b",
    "<a>&b",
    "x" * 100,
    "long " * 30,
    "a: " + "long " * 30,
    "☃",
    "\U0001f600",
    "\x07",
    "0",
    "00",
    "0.0",
    "1.",
    "0x",
    "1e",
    "e3",
    "--- a",
)


class Story:
    """Writes a log: `put` creates or changes an object from its plain form, `gone` takes it away."""

    def __init__(self, header: dict[str, Any] | None = None) -> None:
        self.log = Log(header or {"seed": 0})
        self.now: Micros = 0
        self.objects: dict[Key, Object] = {}
        self.version = 0
        self.counts: dict[tuple[Any, ...], int] = {}

    def at(self, time: Micros) -> Story:
        """Let time pass."""
        self.now = time
        return self

    def put(
        self,
        kind: str,
        name: str,
        plain: dict[str, Any] | None = None,
        *,
        actor: str = "kubectl",
        verb: str = "",
        namespace: str | None = None,
        meta: dict[str, Any] | None = None,
    ) -> Object:
        """Create an object, or replace it keeping its metadata."""
        struct = KINDS[kind]
        space = (DEFAULT if namespace is None else namespace) if struct.NAMESPACED else ""
        key = Key(kind, space, name)
        old = self.objects.get(key)
        self.version += 1
        uid = old.metadata.uid if old is not None else f"uid-{kind.lower()}-{name}-{self.version}"
        made = old.metadata.creation_timestamp if old is not None else self.now
        body = {
            "metadata": {"name": name, "namespace": space, "uid": uid, "creationTimestamp": made, **(meta or {})},
            **(plain or {}),
        }
        return self.store(decode(body, struct), actor, verb)

    def store(self, obj: Object, actor: str = "kubectl", verb: str = "") -> Object:
        """Put an object in place as it is."""
        self.version += 1
        stored = with_meta(obj, resource_version=self.version)
        old = self.objects.get(obj.key)
        self.objects[obj.key] = stored
        word = verb or ("update" if old is not None else "create" if self.now else "load")
        self.log.append(self.now, actor, word, obj.key, self.version, old=old, new=stored)
        return stored

    def gone(self, kind: str, name: str, namespace: str = DEFAULT, actor: str = "kubectl") -> None:
        """Take an object away."""
        key = Key(kind, namespace if KINDS[kind].NAMESPACED else "", name)
        self.log.append(self.now, actor, "remove", key, old=self.objects.pop(key))

    def event(self, kind: str, name: str, type_: str, reason: str, message: str, source: str) -> None:
        """Record a Kubernetes event."""
        key = Key(kind, DEFAULT if KINDS[kind].NAMESPACED else "", name)
        same = (source, key, type_, reason, message)
        self.counts[same] = self.counts.get(same, 0) + 1
        self.log.append(
            self.now,
            source,
            "event",
            key,
            detail={"type": type_, "reason": reason, "message": message, "count": self.counts[same]},
        )

    def note(self, verb: str, kind: str, name: str, detail: dict[str, Any], actor: str = "default-scheduler") -> None:
        """Record something that no API object shows."""
        self.log.append(
            self.now, actor, verb, Key(kind, DEFAULT if KINDS[kind].NAMESPACED else "", name), detail=detail
        )


def ready(status: str = "True") -> dict[str, Any]:
    """A node's status."""
    return {
        "conditions": [{"type": "Ready", "status": status, "reason": "KubeletReady", "lastTransitionTime": 0}],
        "capacity": {"cpu": "4", "memory": "8Gi", "pods": "110"},
        "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"},
    }


def local(node: str, path: str, size: str = "10Gi", **spec: Any) -> dict[str, Any]:
    """The spec of a volume that lies on one node."""
    term = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]}
    return {
        "capacity": {"storage": size},
        "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain",
        "storageClassName": "local",
        "volumeMode": "Filesystem",
        "local": {"path": path},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [term]}},
        **spec,
    }


def running(name: str, since: Micros, *, is_ready: bool = True, **more: Any) -> dict[str, Any]:
    """The status of a container that runs."""
    return {"name": name, "ready": is_ready, "started": True, "state": {"running": {"startedAt": since}}, **more}


def waiting(name: str, reason: str, message: str = "", **more: Any) -> dict[str, Any]:
    """The status of a container that waits."""
    return {"name": name, "state": {"waiting": {"reason": reason, "message": message}}, **more}


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
                        "1 node(s) had untolerated taint(s), 2 node(s) didn't find available persistent volumes to bind. no new claims "
                        "to deallocate, preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.",
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


MOMENT: Micros = 3 * HOUR + 20 * SECOND
"""When the tables of `columns_story` are looked at; the last events are still remembered only at its end."""

WATCH_FROM: Micros = SECOND
"""When the watch of `watch_story` begins."""
