"""Clusters as ``kubectl get … -A -o yaml`` prints them, object by object, for tests."""

from __future__ import annotations

from typing import Any

import yaml

MADE, READY = "2025-11-20T08:00:00Z", "2025-11-20T08:01:10Z"
Plain = dict[str, Any]


def uid(kind: str, name: str) -> str:
    """A uid that tests can foresee."""
    text = (kind + name).encode().hex().ljust(32, "0")[-32:]
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def meta(kind: str, name: str, version: int = 1000, **fields: Any) -> Plain:
    """Metadata as the API server fills it in; managedFields as with --show-managed-fields."""
    return {
        "creationTimestamp": MADE,
        "managedFields": [{"apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {".": {}}},
                           "manager": "kube-controller-manager", "operation": "Update", "time": READY}],
        "name": name, "resourceVersion": str(version), "uid": uid(kind, name), **fields,
    }


def condition(kind: str, status: str = "True", **fields: Any) -> Plain:
    """A condition."""
    return {"lastTransitionTime": READY, "message": "", "reason": "Because", "status": status, "type": kind, **fields}


def node(name: str, *, ready: str = "True", **spec: Any) -> Plain:
    """A node."""
    size = {"cpu": "16", "ephemeral-storage": "101430960Ki", "memory": "65842332Ki", "pods": "110"}
    return {
        "apiVersion": "v1", "kind": "Node",
        "metadata": meta("Node", name, labels={"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"},
                         annotations={"node.alpha.kubernetes.io/ttl": "0"}),
        "spec": {"podCIDR": "10.244.1.0/24", **spec},
        "status": {"addresses": [{"address": name, "type": "Hostname"}], "allocatable": size, "capacity": size,
                   "conditions": [condition("MemoryPressure", "False"), condition("Ready", ready)],
                   "nodeInfo": {"kubeletVersion": "v1.36.2", "operatingSystem": "linux"}},
    }


def storage_class(name: str = "local", mode: str = "WaitForFirstConsumer", **fields: Any) -> Plain:
    """A class of volumes made by hand."""
    return {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": meta("StorageClass", name),
            "provisioner": "kubernetes.io/no-provisioner", "reclaimPolicy": "Delete", "volumeBindingMode": mode,
            **fields}


def volume(name: str, on: str, *, claim: str = "", namespace: str = "default", phase: str = "", size: str = "10Gi",
           class_name: str = "local", **spec: Any) -> Plain:
    """A local volume; of the claim that is named."""
    bound = {} if not claim else {"claimRef": {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": claim, "namespace": namespace,
        "resourceVersion": "900", "uid": uid("PersistentVolumeClaim", claim)}}
    expression = {"key": "kubernetes.io/hostname", "operator": "In", "values": [on]}
    return {
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": meta("PersistentVolume", name, finalizers=["kubernetes.io/pv-protection"],
                         annotations={"pv.kubernetes.io/bound-by-controller": "yes"} if claim else {}),
        "spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": size}, "local": {"path": f"/mnt/{name}"},
                 "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}},
                 "persistentVolumeReclaimPolicy": "Retain", "storageClassName": class_name, "volumeMode": "Filesystem",
                 **bound, **spec},
        "status": {"lastPhaseTransitionTime": READY, "phase": phase or ("Bound" if claim else "Available")},
    }


def claim(name: str, to: str, *, namespace: str = "default", phase: str = "Bound", version: int = 1000) -> Plain:
    """A claim bound to a volume."""
    return {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": meta("PersistentVolumeClaim", name, version, namespace=namespace,
                         annotations={"pv.kubernetes.io/bind-completed": "yes",
                                      "pv.kubernetes.io/bound-by-controller": "yes"},
                         finalizers=["kubernetes.io/pvc-protection"]),
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
                 "storageClassName": "local", "volumeMode": "Filesystem", "volumeName": to},
        "status": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "10Gi"}, "phase": phase},
    }


def template(app: str) -> Plain:
    """A pod template's spec with all that the API server fills in."""
    apart = {"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": "kubernetes.io/hostname"}
    return {
        "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [apart]}},
        "containers": [{"image": "registry.example.com/db:1", "imagePullPolicy": "IfNotPresent", "name": "db",
                        "resources": {}, "terminationMessagePath": "/dev/termination-log",
                        "terminationMessagePolicy": "File", "volumeMounts": [{"mountPath": "/data", "name": "data"}]}],
        "dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "schedulerName": "default-scheduler",
        "securityContext": {}, "terminationGracePeriodSeconds": 30,
    }


def stateful_set(app: str, replicas: int = 3, *, namespace: str = "default", ready: int | None = None) -> Plain:
    """A set with anti-affinity by hostname and a claim template; all up, unless said otherwise."""
    up = replicas if ready is None else ready
    return {
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": meta("StatefulSet", app, namespace=namespace, generation=1),
        "spec": {
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
            "podManagementPolicy": "OrderedReady", "replicas": replicas, "revisionHistoryLimit": 10,
            "selector": {"matchLabels": {"app": app}}, "serviceName": app,
            "template": {"metadata": {"creationTimestamp": None, "labels": {"app": app}}, "spec": template(app)},
            "updateStrategy": {"rollingUpdate": {"partition": 0}, "type": "RollingUpdate"},
            "volumeClaimTemplates": [{
                "apiVersion": "v1", "kind": "PersistentVolumeClaim",
                "metadata": {"creationTimestamp": None, "name": "data"},
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
                         "storageClassName": "local", "volumeMode": "Filesystem"}, "status": {"phase": "Pending"}}]},
        "status": {"availableReplicas": up, "collisionCount": 0, "currentReplicas": up, "currentRevision":
                   f"{app}-6d5f8c7b9d", "observedGeneration": 1, "readyReplicas": up, "replicas": up,
                   "updateRevision": f"{app}-6d5f8c7b9d", "updatedReplicas": up},
    }


def pod(app: str, ordinal: int, on: str, *, namespace: str = "default") -> Plain:
    """A pod of a set, running and ready, with all that admission and the kubelet have added."""
    name, token = f"{app}-{ordinal}", "kube-api-access-x7k2p"
    spec = template(app)
    spec["containers"][0]["volumeMounts"].append(
        {"mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "name": token, "readOnly": True})
    owner = {"apiVersion": "apps/v1", "blockOwnerDeletion": True, "controller": True, "kind": "StatefulSet",
             "name": app, "uid": uid("StatefulSet", app)}
    return {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": meta("Pod", name, namespace=namespace, generateName=f"{app}-", ownerReferences=[owner], labels={
            "app": app, "apps.kubernetes.io/pod-index": str(ordinal), "controller-revision-hash": f"{app}-6d5f8c7b9d",
            "statefulset.kubernetes.io/pod-name": name}, generation=1),
        "spec": {
            **spec, "enableServiceLinks": True, "hostname": name, "subdomain": app, "nodeName": on,
            "preemptionPolicy": "PreemptLowerPriority", "priority": 0, "serviceAccount": "default",
            "serviceAccountName": "default",
            "tolerations": [{"effect": "NoExecute", "key": f"node.kubernetes.io/{what}", "operator": "Exists",
                             "tolerationSeconds": 300} for what in ("not-ready", "unreachable")],
            "volumes": [
                {"name": "data", "persistentVolumeClaim": {"claimName": f"data-{name}"}},
                {"name": token, "projected": {"defaultMode": 420, "sources": [
                    {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                    {"configMap": {"items": [{"key": "ca.crt", "path": "ca.crt"}], "name": "kube-root-ca.crt"}}]}}]},
        "status": {
            "conditions": [condition(kind, lastProbeTime=None) for kind in (
                "PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")],
            "containerStatuses": [{
                "containerID": "containerd://0f", "image": "registry.example.com/db:1", "imageID": "sha256:1",
                "lastState": {}, "name": "db", "ready": True, "restartCount": 0, "started": True,
                "state": {"running": {"startedAt": READY}}}],
            "hostIP": "192.0.2.1", "phase": "Running", "podIP": "10.1.0.1", "podIPs": [{"ip": "10.1.0.1"}],
            "qosClass": "BestEffort", "startTime": MADE},
    }


def running(app: str = "db", nodes: tuple[str, ...] = ("node1", "node2", "node3")) -> list[Plain]:
    """A set that is up, a pod on each node, with claims and volumes."""
    found: list[Plain] = [stateful_set(app, len(nodes))]
    for ordinal, name in enumerate(nodes):
        found += [volume(f"{app}-disk-{ordinal}", name, claim=f"data-{app}-{ordinal}"),
                  claim(f"data-{app}-{ordinal}", f"{app}-disk-{ordinal}"), pod(app, ordinal, name)]
    return found


def three_nodes(mode: str = "WaitForFirstConsumer", free: int = 2) -> list[Plain]:
    """Three nodes, a class, a set of three that is up, and so many free volumes on each node."""
    names = ("node1", "node2", "node3")
    return [*(node(name) for name in names), storage_class(mode=mode), *running(),
            *(volume(f"free-{name}-{number}", name) for name in names for number in range(free))]


def dump(*items: Plain) -> str:
    """The objects as kubectl prints them: one List, keys sorted."""
    whole = {"apiVersion": "v1", "items": list(items), "kind": "List", "metadata": {"resourceVersion": ""}}

    class Plainly(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    return yaml.dump(whole, Dumper=Plainly, default_flow_style=False)


def manifest(*objects: Plain) -> str:
    """Objects as people write them: several documents."""
    return "---\n".join(yaml.safe_dump(obj, sort_keys=False) for obj in objects)


def new_set(name: str = "web", replicas: int = 2, **fields: Any) -> Plain:
    """A set as people write it: claims of class local, never two pods on a node."""
    term = {"labelSelector": {"matchLabels": {"app": name}}, "topologyKey": "kubernetes.io/hostname"}
    return {
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": name},
        "spec": {
            "serviceName": name, "replicas": replicas, "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {
                "containers": [{"name": "main", "image": "registry.example.com/web:1"}],
                "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {
                "storageClassName": "local", "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}}}}],
            **fields},
    }
