"""Logs written by hand, for tests of what is made from logs."""

from __future__ import annotations

from typing import Any

from simulator.api.kinds import KINDS
from simulator.api.meta import Key, Object, decode, with_meta
from simulator.eventlog import Log
from simulator.units import Micros

DEFAULT = "default"


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
