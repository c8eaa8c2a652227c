"""Whole runs of small scenarios that are built in memory, and what users see in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from simulator.api.core import PersistentVolume, PersistentVolumeClaim, Pod
from simulator.api.meta import Key, Object, encode_json
from simulator.choices import Chooser
from simulator.cluster.component import Component
from simulator.cluster.faults import Calls
from simulator.controllers.provisioner_memory import Configured
from simulator.controllers.storage_driver import StorageDriver
from simulator.eventlog import LogEntry
from simulator.flows import Remember
from simulator.latency import parse_latency
from simulator.manifests.origin import Origin
from simulator.scenario.file import Spec
from simulator.scenario.initial import from_plain, with_namespaces
from simulator.scenario.load import Scenario
from simulator.scenario.timeline import parse_timeline
from simulator.simulation import Cluster, Run, run
from simulator.testing.builders import make_class, make_node
from simulator.units import parse_duration

ORIGIN = Origin("small.yaml", 1)
STUCK = "the cluster is stuck"
CSI = "csi.example.com"
HOSTNAME = "kubernetes.io/hostname"
CLASSES = (
    make_class("now"),
    make_class("wait", mode="WaitForFirstConsumer"),
    make_class("made", mode="WaitForFirstConsumer", provisioner=CSI),
)
"""Local volumes bound at once, local volumes bound with their pod, and volumes that a provisioner makes."""


def plain(obj: Object | Mapping[str, Any]) -> dict[str, Any]:
    """An object as a manifest says it."""
    if isinstance(obj, Mapping):
        return dict(obj)
    return {"apiVersion": obj.API_VERSION, "kind": obj.KIND, **msgspec.json.decode(encode_json(obj))}


def nodes(count: int, **fields: Any) -> list[Object]:
    """Nodes n1, n2, …"""
    return [make_node(f"n{number}", **fields) for number in range(1, count + 1)]


def apply(*objects: Object | Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    """An entry of a timeline that applies these."""
    return {"apply": [plain(obj) for obj in objects], **fields}


def release(volume: str, **fields: Any) -> dict[str, Any]:
    """An entry of a timeline that takes a volume's claimRef away."""
    return {"patch": f"PersistentVolume/{volume}", "to": {"spec": {"claimRef": None}}, **fields}


def small_scenario(
    objects: Iterable[Object | Mapping[str, Any]], timeline: Sequence[Mapping[str, Any]] = (), **spec: Any
) -> Scenario:
    """A scenario of objects that are there from the beginning, and what is done then."""
    typed = msgspec.convert({"timeline": list(timeline), **spec}, Spec)
    return Scenario(
        name="small", path="", spec=typed,
        initial=with_namespaces(from_plain([plain(obj) for obj in objects], ORIGIN)),
        timeline=parse_timeline(typed.timeline, Path("small.yaml"), ORIGIN),
        latencies={point: parse_latency(value) for point, value in typed.latency.items()},
    )


class Played:
    """A run, and questions about it.

    Attributes
    ----------
    entries : the log up to the entry of the timeline that was named, or all of it.
    """

    def __init__(self, run: Run, entries: Sequence[LogEntry] | None = None) -> None:
        self.run = run
        self.entries = run.log.entries if entries is None else entries

    def before(self, number: int) -> Played:
        """The same run, seen from the moment at which an entry of the timeline began."""
        entries = self.run.log.entries
        for entry in entries:
            if entry.verb == "action" and entry.detail is not None and entry.detail["entry"] >= number:
                place = next(e.seq for e in entries if e.time == entry.time and e.actor == "kubectl")
                return Played(self.run, entries[:place])
        raise AssertionError(f"entry {number} of the timeline was never begun")

    def events(self, name: str, reason: str = "") -> list[str]:
        """The messages of the events about an object, oldest first."""
        return [
            entry.detail["message"] for entry in self.entries
            if entry.verb == "event" and entry.detail is not None and entry.key.name == name
            and reason in ("", entry.detail["reason"])
        ]

    def refusal(self, pod: str) -> str:
        """Why a pod was refused last: the nodes' part of the message."""
        return reasons_of(self.events(pod, "FailedScheduling")[-1])

    def object(self, kind: str, name: str, namespace: str = "default") -> Any:
        """An object as it was at that moment; None if it was gone."""
        key = Key(kind, namespace if kind in ("Pod", "PersistentVolumeClaim", "StatefulSet") else "", name)
        for entry in reversed(self.entries):
            if entry.key == key and (entry.old is not None or entry.new is not None):
                return entry.new
        return None

    def pod(self, name: str) -> Pod:
        """A pod as it was at that moment."""
        found = self.object("Pod", name)
        assert isinstance(found, Pod)
        return found

    def claim(self, name: str) -> PersistentVolumeClaim:
        """A claim as it was at that moment."""
        found = self.object("PersistentVolumeClaim", name)
        assert isinstance(found, PersistentVolumeClaim)
        return found

    def volume(self, name: str) -> PersistentVolume:
        """A volume as it was at that moment."""
        found = self.object("PersistentVolume", name)
        assert isinstance(found, PersistentVolume)
        return found

    def node_of(self, pod: str) -> str:
        """Where a pod was, "" if nowhere."""
        return self.pod(pod).spec.node_name

    def volume_of(self, claim: str) -> str:
        """The volume that a claim named, "" if none."""
        return self.claim(claim).spec.volume_name

    def phase(self, kind: str, name: str) -> str:
        """The phase of an object at that moment, "gone" if it was."""
        found = self.object(kind, name)
        return found.status.phase if found is not None else "gone"


def play(
    objects: Iterable[Object | Mapping[str, Any]], timeline: Sequence[Mapping[str, Any]] = (), *,
    faults: Sequence[Calls] = (), drivers: Mapping[str, StorageDriver] | None = None, until: str | None = None,
    chooser: Chooser | None = None, components: Sequence[Component] = (),
    prepare: Callable[[Cluster], None] = lambda cluster: None, **spec: Any,
) -> Played:
    """Run a small scenario to its end, or to a time.

    Parameters
    ----------
    faults : API calls that go wrong.
    drivers : how provisioners behave.
    chooser : instead of one with the seed and the tie policy of the scenario.
    components : in addition to those of the control plane.
    """

    def ready(cluster: Cluster) -> None:
        cluster.world.faults.calls.extend(faults)
        for name, driver in (drivers or {}).items():
            cluster.world.tell("external-provisioner", Remember(Configured(name, driver)))
        prepare(cluster)

    scenario = small_scenario(objects, timeline, **spec)
    horizon = parse_duration(until) if until else None
    played = Played(run(scenario, until=horizon, prepare=ready, chooser=chooser, components=components))
    assert not played.run.failures, played.run.failures
    return played


def reasons_of(message: str) -> str:
    """The part of a FailedScheduling message that tells of the nodes, or the whole of an error."""
    return message.partition("nodes are available: ")[2].partition(". ")[0] if message.startswith("0/") else message
