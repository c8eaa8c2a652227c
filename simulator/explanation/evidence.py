"""What the explanations look at: the last state of a run, and what was said last about each object."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from msgspec import Struct

from simulator.api.core import Node, PersistentVolume, PersistentVolumeClaim, Pod
from simulator.api.meta import Key
from simulator.api.storage import StorageClass
from simulator.binding.reference import class_of
from simulator.cluster.component import View
from simulator.eventlog import Log
from simulator.explanation.state import State
from simulator.scheduler.framework import NodeInfo, Snapshot
from simulator.scheduler.plugins.free_volumes import Reach
from simulator.units import Micros


class Failure(Struct, frozen=True):
    """The last scheduling attempt of a pod that failed.

    Attributes
    ----------
    nodes : node → plug-in, code, then Kubernetes' reasons.
    message : as in the FailedScheduling event.
    """

    time: Micros
    nodes: Mapping[str, tuple[str, ...]]
    message: str


class Said(Struct, frozen=True):
    """The last Kubernetes event of a reason about an object."""

    time: Micros
    type: str
    reason: str
    message: str
    source: str


class Evidence(Struct):
    """What is known at the end of a log.

    Attributes
    ----------
    state : the objects.
    failures : pods whose last scheduling attempt failed.
    events : object → reason → the last event of it.
    stopped : nodes whose kubelet was stopped by the scenario.
    remembered : what those who look at it have worked out, by a name of theirs.
    """

    state: State
    failures: dict[Key, Failure]
    events: dict[Key, dict[str, Said]]
    stopped: dict[str, Micros]
    seen: Snapshot | None = None
    labelled: dict[str, dict[str, list[Node]]] = {}
    remembered: dict[str, Any] = {}

    @property
    def nodes(self) -> list[Node]:
        """All nodes."""
        return list(self.state.list(Node))

    def nodes_with(self, label: str, value: str) -> Sequence[Node]:
        """The nodes whose label has a value."""
        by_value = self.labelled.get(label)
        if by_value is None:
            by_value = self.labelled[label] = {}
            for node in self.nodes:
                if (own := node.metadata.labels.get(label)) is not None:
                    by_value.setdefault(own, []).append(node)
        return by_value.get(value, ())

    def reach(self, volume: PersistentVolume) -> Sequence[str]:
        """The nodes from which a volume can be reached; local volumes are looked up by their node's label."""
        found = Reach.of(volume)
        if found.label:
            return [node.name for value in found.values for node in self.nodes_with(found.label, value)]
        return [node.name for node in self.nodes if found.includes(node.metadata.labels)]

    @property
    def snapshot(self) -> Snapshot:
        """Nodes and pods as the scheduler would see them now."""
        if self.seen is None:
            infos = [NodeInfo.of(node, [pod for pod in self.state.by("pods-by-node", node.name) if not pod.is_finished])
                     for node in self.nodes]
            self.seen = Snapshot(tuple(infos), cast("View", self.state))  # it answers all that plug-ins ask
        return self.seen

    def event(self, about: Key, *reasons: str) -> Said | None:
        """The latest event about an object among some reasons."""
        known = self.events.get(about, {})
        found = [known[reason] for reason in reasons if reason in known]
        return max(found, key=lambda said: said.time, default=None)

    def claims_of(self, pod: Pod) -> list[tuple[str, PersistentVolumeClaim | None]]:
        """The pod's claims by name, None for those that do not exist."""
        space = pod.metadata.namespace
        return [(name, self.state.get(PersistentVolumeClaim, name, space)) for name in pod.claim_names]

    def class_of(self, claim: PersistentVolumeClaim) -> StorageClass | None:
        """The claim's class, if it exists."""
        name = class_of(claim)
        return self.state.get(StorageClass, name) if name else None

    def users_of(self, claim: PersistentVolumeClaim) -> list[Pod]:
        """The pods that use a claim."""
        return list(self.state.by("pods-by-claim", (claim.metadata.namespace, claim.metadata.name)))


def gather(log: Log) -> Evidence:
    """Go through a log once and keep what explains its end."""
    evidence = Evidence(State(has_events=False), {}, {}, {})
    for entry in log.entries:
        evidence.state.apply(entry)
        detail: Mapping[str, Any] = entry.detail or {}
        match entry.verb:
            case "schedule-failed":
                evidence.failures[entry.key] = Failure(entry.time, _refusals(detail.get("nodes") or {}),
                                                       detail.get("message", ""))
            case "event":
                said = Said(entry.time, detail["type"], detail["reason"], detail["message"], entry.actor)
                evidence.events.setdefault(entry.key, {})[said.reason] = said
            case "node-stopped":
                evidence.stopped[entry.key.name] = entry.time
            case "node-started":
                evidence.stopped.pop(entry.key.name, None)
            case "bind" | "remove":
                evidence.failures.pop(entry.key, None)
    return evidence


def _refusals(nodes: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    return {node: tuple(refusal) for node, refusal in nodes.items()}
