"""The end of a run as the beginning of others: objects with their status and uids, and what the log says beside them.

An experiment starts where the run got stuck: bound claims, running pods, Released volumes and taints stay as they are.
Components begin without memory, as after a restart of the control plane.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from simulator.api.core import PersistentVolume, Pod
from simulator.api.kinds import KINDS
from simulator.api.meta import AnyObject, Key, Object, decode, encode, evolve, with_meta
from simulator.binding.names import PROTECTS_VOLUME
from simulator.eventlog import Log
from simulator.explanation.evidence import Evidence
from simulator.latency import Latency
from simulator.manifests.loader import Loaded
from simulator.manifests.origin import Origin
from simulator.scenario.file import Provisioner, Spec
from simulator.scenario.initial import Initial
from simulator.scenario.kubectl import Drain
from simulator.scenario.load import Scenario
from simulator.scenario.timeline import Entry, FailNode, NeverReady
from simulator.units import MILLISECOND, SECOND, Micros

_TIMES: Final = frozenset({
    "creationTimestamp", "deletionTimestamp", "lastTransitionTime", "lastHeartbeatTime", "lastProbeTime",
    "lastUpdateTime", "timeAdded", "startTime", "startedAt", "finishedAt", "renewTime", "acquireTime",
    "lastPhaseTransitionTime",
})
"""Fields that are points in time: they lie in the past of an experiment, which begins at 0."""
DRAIN_RETRY: Final[Micros] = 10 * SECOND
"""A drain that is held up tries again every 5 s (WL-139)."""
_HERE: Final = Origin("the end of the run", 1)
_ADDED: Final = "00000000-0000-4000-a000-"
"""How the uids of objects begin that an experiment adds; the store's own begin otherwise."""


class Draft:
    """A cluster at a moment, to be changed and then run.

    Attributes
    ----------
    objects : by key, in the order in which they are loaded.
    stopped : nodes whose kubelet is silent.
    never_ready : pods whose programs never say that they are ready.
    provisioners : external provisioners that do not behave as by default, by name.
    spec : the rest of what the scenario says about how things behave.
    drains : nodes that are being drained; that goes on last.
    """

    def __init__(
        self, objects: dict[Key, Object], stopped: dict[str, None], never_ready: dict[Key, None],
        provisioners: dict[str, Provisioner], spec: Spec, latencies: Mapping[str, Latency],
    ) -> None:
        self.objects = objects
        self.stopped = stopped
        self.never_ready = never_ready
        self.provisioners = provisioners
        self.spec = spec
        self.latencies = latencies
        self.drains: tuple[str, ...] = ()
        self._added = 0

    def copy(self) -> Draft:
        """A copy that can be changed alone; the objects are shared."""
        twin = Draft(dict(self.objects), dict(self.stopped), dict(self.never_ready), dict(self.provisioners),
                     self.spec, self.latencies)
        twin.drains, twin._added = self.drains, self._added
        return twin

    def get(self, kind: type[AnyObject], name: str, namespace: str = "") -> AnyObject | None:
        """The object of that kind and name, or None."""
        return self.objects.get(Key(kind.KIND, namespace, name))  # type: ignore[return-value]

    def list(self, kind: type[AnyObject]) -> list[AnyObject]:
        """All objects of a kind, oldest first."""
        return [obj for obj in self.objects.values() if isinstance(obj, kind)]

    def put(self, obj: Object) -> None:
        """Replace an object, or add one, which gets a uid."""
        if not obj.metadata.uid:
            self._added += 1
            obj = with_meta(obj, uid=f"{_ADDED}{self._added:012x}")
        if isinstance(obj, PersistentVolume) and not obj.status.phase:
            obj = evolve(with_meta(obj, finalizers=(PROTECTS_VOLUME,)), status=evolve(obj.status, phase="Available"))
        self.objects[obj.key] = obj

    def remove(self, key: Key) -> None:
        """Take an object away, if it is there."""
        self.objects.pop(key, None)

    def scenario(self, timeline: tuple[Entry, ...] = ()) -> Scenario:
        """A scenario that begins here.

        Parameters
        ----------
        timeline : what is done then.
        """
        ranks = {kind: rank for rank, kind in enumerate(KINDS)}
        ordered = sorted(self.objects.values(), key=lambda obj: ranks[obj.KIND])
        beside = []
        stopped = [name for name in self.stopped if Key("Node", "", name) in self.objects]
        if stopped or self.never_ready:
            faults = (*(FailNode(name, stopped=True) for name in stopped),
                      *((NeverReady(tuple(self.never_ready)),) if self.never_ready else ()))
            beside.append(Entry(0, "as it was", MILLISECOND, (), faults=faults))  # once kubelets know their pods
        after = [Entry(len(timeline) + number, "drain", None, (), actions=(Drain(
            Key("Node", "", node), force=True, ignore_daemonsets=True, delete_emptydir_data=True),))
            for number, node in enumerate(self.drains, 1)]
        spec = evolve(self.spec, provisioners=tuple(self.provisioners.values()))
        return Scenario(
            name="experiment", path="", spec=spec, timeline=(*beside, *timeline, *after), latencies=self.latencies,
            initial=Initial(tuple(Loaded(obj, {}, _HERE) for obj in ordered)),
        )


def draft_of(evidence: Evidence, log: Log, spec: Spec, latencies: Mapping[str, Latency]) -> Draft:
    """The end of a log as a draft.

    Parameters
    ----------
    spec : of the scenario that was run, as far as it is known: its provisioners and its tie policy.
    """
    end = log.end
    objects = {
        key: _earlier(obj, end)
        for kind in KINDS if kind != "Event"
        for key in evidence.state.keys(kind)
        if (obj := evidence.state.find(key)) is not None
    }
    never_ready = {
        entry.key: None for entry in log.entries
        if entry.verb == "action" and entry.detail is not None and entry.detail.get("action") == "never ready"
    }
    blocked = {entry.key: entry.time for entry in log.entries if entry.verb == "evict-blocked"}
    pods = [pod for key, time in blocked.items() if time >= end - DRAIN_RETRY
            and isinstance(pod := evidence.state.find(key), Pod)]
    ends = Spec(provisioners=spec.provisioners, local_provisioner=spec.local_provisioner, ties=spec.ties)
    draft = Draft(objects, dict.fromkeys(evidence.stopped), never_ready,
                  {one.name: one for one in spec.provisioners}, ends, latencies)
    draft.drains = tuple(dict.fromkeys(pod.spec.node_name for pod in pods if pod.spec.node_name))
    return draft


def _earlier(obj: Object, by: Micros) -> Object:
    """The object with all its times moved into the past."""
    return decode(_shifted(encode(obj), by), type(obj))


def _shifted(value: Any, by: Micros) -> Any:
    if isinstance(value, dict):
        return {
            name: item - by if name in _TIMES and isinstance(item, int) else _shifted_times(item, by)
            if name == "disruptedPods" else _shifted(item, by)
            for name, item in value.items()
        }
    return [_shifted(item, by) for item in value] if isinstance(value, (list, tuple)) else value


def _shifted_times(value: Any, by: Micros) -> Any:
    return {name: time - by for name, time in value.items()} if isinstance(value, dict) else value

