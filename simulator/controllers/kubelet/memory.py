"""What the kubelets remember: the pods that they run, the nodes that are not well, and what is on the disks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from simulator.api.core import Node
from simulator.api.meta import Key
from simulator.controllers.kubelet.config import MIN_STOP, WELL, Behaviour
from simulator.units import SECOND, Micros

ADMITTED: Final = "admitted"  # seen and admitted; its containers are being started
WAITING: Final = "waiting"  # its volumes, image or runtime are not usable
STARTED: Final = "started"  # its containers run, and that is not posted yet
RUNNING: Final = "running"  # posted as Running
BACKOFF: Final = "backoff"  # its containers have exited and will be started again
REBOOTED: Final = "rebooted"  # its containers went down with the machine
STOPPING: Final = "stopping"  # TERM was sent
STOPPED: Final = "stopped"  # its containers have ended, and that is not posted yet
ENDED: Final = "ended"  # posted as Succeeded or Failed; the object can be removed
FAILED: Final = "failed"  # rejected, evicted or finished: nothing left to do

ALIVE: Final = frozenset({STARTED, RUNNING, STOPPING})
"""Stages in which containers run."""


class Problem(Struct, frozen=True):
    """Why a pod cannot be started yet; `kind` is sync, mount, image or runtime."""

    kind: str
    reason: str
    message: str


class PodWork(Struct, frozen=True):
    """A pod as its kubelet knows it.

    Attributes
    ----------
    since : when the stage began.
    due : STOPPING: when the containers are killed; BACKOFF: when they are started again.
    grace : the grace period last seen, in seconds.
    started_at : when the containers were last started; 0 before the first time.
    ready_from : when the probes succeed for the first time; None if they never do.
    ready_since : when Ready was posted as True; None if it is not.
    restarts, crashes : starts after the first; exits in a row, for the back-off.
    exited_at : when the containers last exited.
    evicted : why the kubelet itself ends the pod.
    was_killed : whether the grace period ran out.
    """

    uid: str
    node: str
    stage: str
    since: Micros = 0
    due: Micros = 0
    grace: int = 30
    problem: Problem | None = None
    started_at: Micros = 0
    ready_from: Micros | None = None
    ready_since: Micros | None = None
    restarts: int = 0
    crashes: int = 0
    exited_at: Micros = 0
    evicted: str = ""
    was_killed: bool = False


class NodeWork(Struct, frozen=True):
    """A node that is, or was, not well.

    Attributes
    ----------
    stopped_at : since when the kubelet does nothing; None if it runs.
    is_dead : whether the whole machine is down, with the programs on it.
    broken : why the container runtime does not work; "" if it does.
    under_pressure : whether its disk is, or lately was, too full.
    eased_at : since when the disk is no longer too full; None while it is.
    is_reclaimed : whether unused images have been removed.
    """

    stopped_at: Micros | None = None
    is_dead: bool = False
    broken: str = ""
    under_pressure: bool = False
    eased_at: Micros | None = None
    is_reclaimed: bool = False


HEALTHY: Final = NodeWork()


class DiskKey(NamedTuple):
    """A place where data lie: ``dir`` on a node at a path, or a volume reachable over the network."""

    kind: str
    where: str
    path: str


class Datum(Struct, frozen=True):
    """One thing written."""

    value: str
    size: int


class Leftover(Struct, frozen=True):
    """Containers that still run although their pod object is gone (WL-100); `until` None: until the kubelet is back."""

    key: Key
    node: str
    claims: tuple[str, ...]
    until: Micros | None


# --- what flows ask to be remembered --------------------------------------------------------------------------------


class Begun(Struct, frozen=True):
    """The kubelet has taken a pod on."""

    key: Key
    work: PodWork


class Changed(Struct, frozen=True):
    """Some fields of a pod's work change, if it is still that pod; a new stage begins now."""

    key: Key
    uid: str
    changes: Mapping[str, Any]


class Gone(Struct, frozen=True):
    """A pod object is gone; what still runs is left over."""

    key: Key
    uid: str
    claims: tuple[str, ...]


class NodeChanged(Struct, frozen=True):
    """Some fields of a node's work change; `stopped_at` True means now."""

    node: str
    changes: Mapping[str, Any]


class Returned(Struct, frozen=True):
    """A node's kubelet runs again, and leftovers are killed."""

    node: str
    is_rebooted: bool


class Deregistered(Struct, frozen=True):
    """A Node object was deleted, or is there again (None); its kubelet does not notice (WL-133)."""

    name: str
    node: Node | None


class Behaves(Struct, frozen=True):
    """These pods behave so from now on."""

    pods: tuple[Key, ...]
    behaviour: Behaviour


class Stored(Struct, frozen=True):
    """Something was written to a disk."""

    disk: DiskKey
    name: str
    datum: Datum


class Scratched(Struct, frozen=True):
    """Something was written to a pod's own space: an emptyDir by name, or "" for its containers' layers."""

    uid: str
    volume: str
    name: str
    datum: Datum


class Wiped(Struct, frozen=True):
    """Disks are empty."""

    disks: tuple[DiskKey, ...]


class KubeletMemory:
    """All kubelets' memory.

    Attributes
    ----------
    pods : by key of the pod.
    waiting : pods in stage WAITING, and their nodes.
    nodes : those that are not simply healthy.
    lost : Node objects that were deleted while their machines are there (WL-133).
    behaviours : by key of the pod: the behaviour and since when.
    disks : what is on them, by name. A disk without data is absent.
    scratch : by uid of the pod, by volume ("" for the containers' own layers), by name.
    leftovers : by uid of the pod.
    """

    __slots__ = ("behaviours", "disks", "leftovers", "lost", "nodes", "pods", "scratch", "waiting")

    def __init__(self) -> None:
        self.pods: dict[Key, PodWork] = {}
        self.waiting: dict[Key, str] = {}
        self.nodes: dict[str, NodeWork] = {}
        self.lost: dict[str, Node] = {}
        self.behaviours: dict[Key, tuple[Behaviour, Micros]] = {}
        self.disks: dict[DiskKey, Mapping[str, Datum]] = {}
        self.scratch: dict[str, Mapping[str, Mapping[str, Datum]]] = {}
        self.leftovers: dict[str, Leftover] = {}

    def copy(self) -> KubeletMemory:
        """A copy; all values are frozen and shared."""
        twin = KubeletMemory()
        for name in self.__slots__:
            setattr(twin, name, dict(getattr(self, name)))
        return twin

    def node(self, name: str) -> NodeWork:
        """The node's work."""
        return self.nodes.get(name, HEALTHY)

    def behaviour(self, key: Key) -> tuple[Behaviour, Micros]:
        """How the pod of that name behaves, and since when."""
        return self.behaviours.get(key, (WELL, 0))

    def remember(self, what: Any, now: Micros) -> None:
        """Change as asked."""
        match what:
            case Changed():
                work = self.pods.get(what.key)
                if work is not None and work.uid == what.uid:
                    began: dict[str, Any] = {"since": now} if "stage" in what.changes else {}
                    self._place(what.key, replace(work, **{**began, **what.changes}))
            case Begun():
                self._place(what.key, what.work)
            case Gone():
                self._drop(what, now)
            case NodeChanged():
                changes = dict(what.changes)
                if changes.get("stopped_at") is True:
                    changes["stopped_at"] = now
                self._place_node(what.node, replace(self.node(what.node), **changes))
            case Returned():
                self._return(what, now)
            case Deregistered():
                if what.node is None:
                    self.lost.pop(what.name, None)
                else:
                    self.lost[what.name] = what.node
            case Behaves():
                for key in what.pods:
                    self.behaviours[key] = (what.behaviour, now)
            case Stored():
                self.disks[what.disk] = {**self.disks.get(what.disk, {}), what.name: what.datum}
            case Scratched():
                mine = self.scratch.get(what.uid, {})
                volume = {**mine.get(what.volume, {}), what.name: what.datum}
                self.scratch[what.uid] = {**mine, what.volume: volume}
            case Wiped():
                for disk in what.disks:
                    self.disks.pop(disk, None)

    def _place(self, key: Key, work: PodWork) -> None:
        self.pods[key] = work
        if work.stage == WAITING:
            self.waiting[key] = work.node
        else:
            self.waiting.pop(key, None)
        if work.stage in (ENDED, FAILED):
            self.scratch.pop(work.uid, None)

    def _place_node(self, name: str, work: NodeWork) -> None:
        if work == HEALTHY:
            self.nodes.pop(name, None)
        else:
            self.nodes[name] = work

    def _drop(self, gone: Gone, now: Micros) -> None:
        work = self.pods.get(gone.key)
        if work is None or work.uid != gone.uid:
            return
        del self.pods[gone.key]
        self.waiting.pop(gone.key, None)
        self.scratch.pop(gone.uid, None)
        node = self.node(work.node)
        if work.stage in ALIVE and not node.is_dead:  # WL-100
            until = now + max(work.grace * SECOND, MIN_STOP) if node.stopped_at is None else None
            self.leftovers[gone.uid] = Leftover(gone.key, work.node, gone.claims, until)

    def _return(self, what: Returned, now: Micros) -> None:
        self._place_node(what.node, replace(self.node(what.node), stopped_at=None, is_dead=False, broken=""))
        for uid, leftover in list(self.leftovers.items()):
            if leftover.node == what.node:  # WL-130
                del self.leftovers[uid]
        if what.is_rebooted:
            for key, work in list(self.pods.items()):
                if work.node == what.node and work.stage in (STARTED, RUNNING, BACKOFF):
                    self.pods[key] = replace(work, stage=REBOOTED, since=now, ready_since=None)
