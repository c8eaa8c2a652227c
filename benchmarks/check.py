"""How long until ``bindsim check`` answers on a large cluster's dump? A whole process, from its start to its exit code.

The dump is written as ``kubectl get … -A -o yaml`` prints it: 500 nodes, 2000 volumes, 300 running pods with a claim
each; what is about to be applied is a set of five.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from benchmarks.measure import cpu, row
from simulator.manifests.load import load

NODES, PER_NODE, SETS, REPLICAS = 500, 4, 60, 5
APPLY = "kubectl.kubernetes.io/last-applied-configuration"
MADE, READY = "2025-11-20T08:00:00Z", "2025-11-20T08:01:10Z"
NEW_SET = """apiVersion: apps/v1
kind: StatefulSet
metadata: {name: consul}
spec:
  serviceName: consul
  replicas: 5
  selector: {matchLabels: {app: consul}}
  template:
    metadata: {labels: {app: consul}}
    spec:
      containers: [{name: consul, image: "registry.example.com/consul:1"}]
      affinity:
        podAntiAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
            - {labelSelector: {matchLabels: {app: consul}}, topologyKey: kubernetes.io/hostname}
  volumeClaimTemplates:
    - metadata: {name: data}
      spec: {storageClassName: local, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
"""


def _uid(kind: int, number: int) -> str:
    return f"{kind:08x}-6a43-4b39-94d7-{number:012x}"


def _meta(kind: int, number: int, name: str, **fields: Any) -> dict[str, Any]:
    version = str(1000 + kind * 10_000 + number)
    return {"creationTimestamp": MADE, "name": name, "resourceVersion": version, "uid": _uid(kind, number), **fields}


def _condition(kind: str, status: str, reason: str, **fields: Any) -> dict[str, Any]:
    return {"lastTransitionTime": READY, "reason": reason, "status": status, "type": kind, **fields}


def _node(number: int) -> dict[str, Any]:
    name = f"worker-{number:03}"
    beat = {"lastHeartbeatTime": "2025-11-20T10:00:00Z"}
    pressures = ("MemoryPressure", "DiskPressure", "PIDPressure")
    size = {"cpu": "16", "ephemeral-storage": "101430960Ki", "hugepages-2Mi": "0", "memory": "65842332Ki",
            "pods": "110"}
    return {
        "apiVersion": "v1", "kind": "Node",
        "metadata": _meta(1, number, name, labels={
            "beta.kubernetes.io/arch": "amd64", "beta.kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
            "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "node.kubernetes.io/instance-type": "m5.4xl",
            "topology.kubernetes.io/region": "eu", "topology.kubernetes.io/zone": f"eu-{'abc'[number % 3]}"},
            annotations={"node.alpha.kubernetes.io/ttl": "0",
                         "volumes.kubernetes.io/controller-managed-attach-detach": "true"}),
        "spec": {"podCIDR": f"10.{number // 250}.{number % 250}.0/24",
                 "podCIDRs": [f"10.{number // 250}.{number % 250}.0/24"]},
        "status": {
            "addresses": [{"address": f"192.0.2.{number % 250}", "type": "InternalIP"},
                          {"address": name, "type": "Hostname"}],
            "allocatable": size, "capacity": size,
            "conditions": [
                *(_condition(each, "False", f"KubeletHasNo{each}", message="kubelet is well", **beat)
                  for each in pressures),
                _condition("Ready", "True", "KubeletReady", message="kubelet is posting ready status", **beat)],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "images": [{"names": [f"registry.example.com/team/image-{i}@sha256:{i:064x}",
                                  f"registry.example.com/team/image-{i}:v1.{i}"], "sizeBytes": 10_000_000 + i}
                       for i in range(10)],
            "nodeInfo": {"architecture": "amd64", "bootID": _uid(8, number), "containerRuntimeVersion":
                         "containerd://2.1.4", "kernelVersion": "6.12.43", "kubeProxyVersion": "",
                         "kubeletVersion": "v1.36.2", "machineID": f"f{number:031x}", "operatingSystem": "linux",
                         "osImage": "Debian GNU/Linux 13 (trixie)", "systemUUID": _uid(9, number)},
        },
    }


def _volume(number: int, claim: int | None) -> dict[str, Any]:
    node = f"worker-{number % NODES:03}"
    bound = {} if claim is None else {"claimRef": {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": _claim_name(claim), "namespace": "data",
        "resourceVersion": "900", "uid": _uid(3, claim)}}
    annotations = {APPLY: f'{{"apiVersion":"v1","kind":"PersistentVolume","metadata":{{"name":"disk-{number:04}"}}}}\n'}
    if claim is not None:
        annotations["pv.kubernetes.io/bound-by-controller"] = "yes"
    expression = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    return {
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": _meta(2, number, f"disk-{number:04}", annotations=annotations,
                          finalizers=["kubernetes.io/pv-protection"]),
        "spec": {
            "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "100Gi"}, **bound,
            "local": {"path": f"/mnt/disks/{number // NODES}"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}},
            "persistentVolumeReclaimPolicy": "Retain", "storageClassName": "local", "volumeMode": "Filesystem"},
        "status": {"lastPhaseTransitionTime": READY, "phase": "Available" if claim is None else "Bound"},
    }


def _claim_name(number: int) -> str:
    return f"data-db{number // REPLICAS:02}-{number % REPLICAS}"


def _claim(number: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": _meta(3, number, _claim_name(number), namespace="data",
                          annotations={"pv.kubernetes.io/bind-completed": "yes"},
                          labels={"app": f"db{number // REPLICAS:02}"}, finalizers=["kubernetes.io/pvc-protection"]),
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}},
                 "storageClassName": "local", "volumeMode": "Filesystem", "volumeName": f"disk-{number:04}"},
        "status": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "100Gi"}, "phase": "Bound"},
    }


def _template(app: str) -> dict[str, Any]:
    apart = {"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": "kubernetes.io/hostname"}
    return {
        "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [apart]}},
        "containers": [{
            "image": "registry.example.com/team/image-1:v1.1", "imagePullPolicy": "IfNotPresent", "name": "db",
            "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}}, "terminationMessagePath":
            "/dev/termination-log", "terminationMessagePolicy": "File",
            "volumeMounts": [{"mountPath": "/data", "name": "data"}]}],
        "dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "schedulerName": "default-scheduler",
        "securityContext": {}, "terminationGracePeriodSeconds": 30,
    }


def _pod(number: int) -> dict[str, Any]:
    app, token = f"db{number // REPLICAS:02}", f"kube-api-access-{number:05}"
    name = f"{app}-{number % REPLICAS}"
    spec = _template(app)
    spec["containers"][0]["volumeMounts"].append(
        {"mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "name": token, "readOnly": True})
    lost = [{"effect": "NoExecute", "key": f"node.kubernetes.io/{what}", "operator": "Exists", "tolerationSeconds": 300}
            for what in ("not-ready", "unreachable")]
    owner = {"apiVersion": "apps/v1", "blockOwnerDeletion": True, "controller": True, "kind": "StatefulSet",
             "name": app, "uid": _uid(5, number // REPLICAS)}
    kinds = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    return {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": _meta(4, number, name, namespace="data", generateName=f"{app}-", ownerReferences=[owner], labels={
            "app": app, "apps.kubernetes.io/pod-index": str(number % REPLICAS), "controller-revision-hash":
            f"{app}-{_HASH}", "statefulset.kubernetes.io/pod-name": name}, generation=1),
        "spec": {
            **spec, "enableServiceLinks": True, "hostname": name, "nodeName": f"worker-{number % NODES:03}",
            "preemptionPolicy": "PreemptLowerPriority", "priority": 0, "serviceAccount": "default",
            "serviceAccountName": "default", "tolerations": lost,
            "volumes": [
                {"name": "data", "persistentVolumeClaim": {"claimName": _claim_name(number)}},
                {"name": token, "projected": {"defaultMode": 420, "sources": [
                    {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                    {"configMap": {"items": [{"key": "ca.crt", "path": "ca.crt"}], "name": "kube-root-ca.crt"}},
                    {"downwardAPI": {"items": [{"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"},
                                                "path": "namespace"}]}}]}}]},
        "status": {
            "conditions": [{"lastProbeTime": None, "lastTransitionTime": READY, "observedGeneration": 1,
                            "status": "True", "type": kind} for kind in kinds],
            "containerStatuses": [{
                "containerID": f"containerd://{number:064x}", "image": "registry.example.com/team/image-1:v1.1",
                "imageID": f"registry.example.com/team/image-1@sha256:{1:064x}", "lastState": {}, "name": "db",
                "ready": True, "restartCount": 0, "started": True, "state": {"running": {"startedAt": READY}}}],
            "hostIP": f"192.0.2.{number % 250}", "hostIPs": [{"ip": f"192.0.2.{number % 250}"}],
            "phase": "Running", "podIP": f"10.1.{number // 250}.{number % 250}",
            "podIPs": [{"ip": f"10.1.{number // 250}.{number % 250}"}], "qosClass": "Burstable", "startTime": MADE},
    }


_HASH = "6d5f8c7b9d"


def _set(number: int) -> dict[str, Any]:
    app = f"db{number:02}"
    revision = f"{app}-{_HASH}"
    return {
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": _meta(5, number, app, namespace="data", generation=1, labels={"app": app}),
        "spec": {
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
            "podManagementPolicy": "OrderedReady", "replicas": REPLICAS, "revisionHistoryLimit": 10,
            "selector": {"matchLabels": {"app": app}}, "serviceName": app,
            "template": {"metadata": {"labels": {"app": app}}, "spec": _template(app)},
            "updateStrategy": {"rollingUpdate": {"partition": 0}, "type": "RollingUpdate"},
            "volumeClaimTemplates": [{
                "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"},
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}},
                         "storageClassName": "local", "volumeMode": "Filesystem"},
                "status": {"phase": "Pending"}}]},
        "status": {"availableReplicas": REPLICAS, "collisionCount": 0, "currentReplicas": REPLICAS, "currentRevision":
                   revision, "observedGeneration": 1, "readyReplicas": REPLICAS, "replicas": REPLICAS,
                   "updateRevision": revision, "updatedReplicas": REPLICAS},
    }


def _class(mode: str) -> dict[str, Any]:
    return {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": _meta(6, 0, "local"),
            "provisioner": "kubernetes.io/no-provisioner", "reclaimPolicy": "Delete", "volumeBindingMode": mode}


def _items(mode: str) -> Iterator[dict[str, Any]]:
    pods = SETS * REPLICAS
    yield from (_node(number) for number in range(NODES))
    yield _class(mode)
    yield from (_volume(number, number if number < pods else None) for number in range(NODES * PER_NODE))
    yield from (_claim(number) for number in range(pods))
    yield from (_set(number) for number in range(SETS))
    yield from (_pod(number) for number in range(pods))


class _NoAliases(yaml.CSafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def write_dump(path: Path, mode: str = "WaitForFirstConsumer") -> None:
    """Write the cluster as kubectl prints it."""
    dump = {"apiVersion": "v1", "items": list(_items(mode)), "kind": "List", "metadata": {"resourceVersion": ""}}
    with path.open("w") as file:
        yaml.dump(dump, file, Dumper=_NoAliases, default_flow_style=False)


def _wall(arguments: list[str], times: int = 3) -> float:
    """The best wall time of a fresh process, in seconds; the first one writes the bytecode."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    taken = []
    for _ in range(times + 1):
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, env=environment, check=False)
        taken.append(time.perf_counter() - start)
    return min(taken[1:])


def rows() -> list[dict[str, Any]]:
    """The whole answer, beside only reading the dump."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        new = Path(folder) / "consul.yaml"
        new.write_text(NEW_SET)
        for mode in ("WaitForFirstConsumer", "Immediate"):
            dump = Path(folder) / f"{mode}.yaml"
            write_dump(dump, mode)
            whole = _wall(["-m", "simulator", "check", str(dump), str(new)])
            reading = cpu(lambda: load([str(dump)]), 1)  # noqa: B023 (called at once)
            found.append(row(f"check, {NODES} nodes, {NODES * PER_NODE} volumes, 300 pods, {mode}", whole, "s",
                             "reading the dump", whole / reading, 3))
    return found
