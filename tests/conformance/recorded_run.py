"""Carries a recorded case out: its nodes and setup, then stage after stage, each until it is as quiet as recorded."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from simulator.api.core import Node, PersistentVolume, Taint
from simulator.api.kinds import find_kind
from simulator.api.meta import Key, decode, encode, evolve
from simulator.assembly import LATENCIES, control_plane
from simulator.choices import Chooser
from simulator.cluster.component import Change
from simulator.cluster.world import World
from simulator.controllers.kubelet import Behave, Behaviour, StartNode, StopNode, stand_in
from simulator.controllers.provisioner import ExternalProvisioner
from simulator.controllers.storage_driver import StorageDriver
from simulator.controllers.volume_binder import VolumeBinder
from simulator.drivers.timed import Timed
from simulator.eventlog import CHANGES, LogEntry
from simulator.latency import Latency
from simulator.manifests.loader import Loaded
from simulator.manifests.origin import Origin
from simulator.scenario.initial import from_plain
from simulator.scenario.kubectl import (
    CLIENT,
    Action,
    Apply,
    Cordon,
    EvictPod,
    Kubectl,
    PatchObject,
    Remove,
    Scale,
    Sequel,
    TaintNode,
)
from simulator.units import HOUR, MILLISECOND, SECOND, Micros
from tests.conformance.recorded_case import SPACE, Unknown, in_space
from tests.conformance.recorded_facts import SHORT, Facts, difference, facts_of, spoken

PROVISIONER = "oracle.example/local"
SETTLE = 3 * SECOND
_UID = re.compile(r"00000000-0000-4000-8000-[0-9a-f]{12}")

Change3 = tuple[float, str, str, Facts]
"""An entry of a log: seconds since the stage began, kind, name, what changed."""


class Observed(Struct):
    """What was seen of one stage, in the recordings' words.

    Attributes
    ----------
    places : by volume, where it is.
    """

    state: dict[str, dict[str, Facts]]
    log: list[Change3]
    events: set[tuple[str, str, str, str, str]]
    answers: list[str]
    places: dict[str, str]


class Stages:
    """A world that goes through a recorded case.

    Parameters
    ----------
    idle : so long it rests after the setup; the phases of the control plane's timers depend on it.
    """

    def __init__(
        self, case: Mapping[str, Any], chooser: Chooser, latencies: Mapping[str, Latency] | None = None,
        idle: Micros = 0, watch: Callable[[Change], None] | None = None,
    ) -> None:
        kubelet = case["kubelet"]
        self.driver_config = StorageDriver(
            topology="kubernetes.io/hostname", delay=100 * MILLISECOND, delete_delay=100 * MILLISECOND, finalizer=False)
        kubelets = stand_in(round(kubelet["ready_delay"] * SECOND), round(kubelet["term_delay"] * SECOND))
        drivers = dict.fromkeys(_provisioners(case), StorageDriver(absent=True)) | {PROVISIONER: self.driver_config}
        components = tuple(
            VolumeBinder(choose_resync_order=True) if isinstance(each, VolumeBinder) else each
            for each in control_plane(drivers, kubelets)
        )
        self.world = World((*components, Kubectl()), chooser)
        self.provisioner = next(each for each in components if isinstance(each, ExternalProvisioner))
        self.world.watchers.append(self._note_change)
        if watch is not None:
            self.world.watchers.append(watch)
        self.driver = Timed(self.world, {**LATENCIES, **(latencies or {})})
        self.last_seen: Micros = 0
        self.number = 0
        self.names: dict[str, str] = {}
        space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}}
        refused = self.world.load([item.obj for item in objects_of([space, *case["nodes"]])])
        assert not refused, refused
        self.world.begin()
        self.be_quiet(quiet=SETTLE, least=0, most=60 * SECOND)
        for action in case["setup"]:
            self.act(action)
        self.be_quiet(quiet=SETTLE, least=0, most=60 * SECOND)
        if idle:
            self.wait(idle)

    def stage(self, stage: Mapping[str, Any]) -> Observed:
        """Go through one stage."""
        first, began = len(self.world.log.entries), self.world.now
        answers = [answer for action in stage["actions"] for answer in self.act(action)]
        wait = {name: round(seconds * SECOND) for name, seconds in stage["waitSeconds"].items()}
        self.be_quiet(quiet=wait["quiet"], least=wait["min"], most=wait["timeout"], since=began)
        return self._observed(self.world.log.entries[first:], began, answers)

    # --- time -------------------------------------------------------------------------------------------------------

    def be_quiet(self, quiet: Micros, least: Micros, most: Micros, since: Micros | None = None) -> None:
        """Go on until nothing has changed for a while."""
        world = self.world
        began = world.now if since is None else since
        self.last_seen = max(self.last_seen, world.now)
        armed: Micros = -1

        def is_over() -> bool:
            nonlocal armed
            due = min(max(self.last_seen + quiet, began + least), began + most)
            if world.now >= due:
                return True
            if armed != due:
                armed = due
                self.driver.wake(due)
            return False

        self.driver.run(1000 * HOUR, is_over)

    def wait(self, duration: Micros) -> None:
        """Let time pass."""
        due = self.world.now + duration
        self.driver.wake(due)
        self.driver.run(1000 * HOUR, lambda: self.world.now >= due)

    def _note_change(self, change: Change) -> None:
        if difference(facts_of(change.old), facts_of(change.new)) and (facts_of(change.old) or facts_of(change.new)):
            self.last_seen = self.world.now
        meta = change.new.metadata if change.new is not None else None
        if meta is not None:
            self.names[meta.uid] = meta.name

    # --- actions ----------------------------------------------------------------------------------------------------

    def act(self, action: Mapping[str, Any]) -> list[str]:
        """Carry out one action of a case.

        Returns
        -------
        What the API server refused, as the recordings write it.
        """
        first = len(self.world.log.entries)
        (name,) = set(action) - {"mayFail"}
        what = in_space(action[name])
        match name:
            case "sleepSeconds":
                self.wait(round(what * SECOND))
            case "stopNode":
                self._kubelet(StopNode(what, is_dead=False))
            case "startNode":
                self._kubelet(StartNode(what))
            case "removeNode":
                self._kubelet(StopNode(what, is_dead=False))
                self._client((Remove(Key("Node", "", what)),))
            case "addNode":
                self._client(_applied([what]))
                self._kubelet(StartNode(what["metadata"]["name"]))
            case "neverReady":
                self._kubelet(Behave(tuple(Key("Pod", SPACE, pod) for pod in what), Behaviour(never_ready=True)))
            case "provisionerFullOn":
                self._provision(evolve(self.driver_config, full_on=frozenset(what)))
            case "provisionerImmediateNode":
                self._provision(evolve(self.driver_config, immediate_node=what or "", immediate_anywhere=what is None))
            case _:
                self._client(_meaning(name, what, self.world))
        refused = [entry.detail or {} for entry in self.world.log.entries[first:]
                   if entry.verb == "refused" and entry.actor == "kubectl"]
        return [self.unmasked(f"{name}: {detail['code']} {detail['message']}") for detail in refused]

    def _client(self, actions: Sequence[Action]) -> None:
        self.number += 1
        number = self.number
        self.world.spawn("kubectl", "actions", CLIENT, Sequel(number, tuple(actions)))
        finished = self.world.runtimes["kubectl"].memory.finished
        self.driver.run(1000 * HOUR, lambda: number in finished)

    def _kubelet(self, what: Any) -> None:
        self.world.spawn("kubelet", "actions", Key("Kubelet", "", "all"), what)

    def _provision(self, config: StorageDriver) -> None:
        self.driver_config = config
        for told in self.provisioner.configure(PROVISIONER, config):
            self.world.tell(self.provisioner.name, told)

    # --- what was seen ----------------------------------------------------------------------------------------------

    def facts(self) -> dict[str, dict[str, Facts]]:
        """Every object that is there now, as the recorder would describe it."""
        state: dict[str, dict[str, Facts]] = {}
        store = self.world.store
        for kind in store.kinds():
            for key, obj in store.of_kind(kind).items():
                found = facts_of(obj)
                if found is not None and key.namespace in ("", SPACE):
                    state.setdefault(SHORT.get(kind, kind), {})[key.name] = found
        plain: dict[str, dict[str, Facts]] = self.unmasked(state)
        return plain

    def unmasked(self, value: Any) -> Any:
        """The same with uids as the recordings write them."""
        if isinstance(value, str):
            return _UID.sub(lambda found: f"uid({self.names.get(found[0], '?')})", spoken(value))
        if isinstance(value, dict):
            return {self.unmasked(name): self.unmasked(item) for name, item in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(self.unmasked(item) for item in value)
        return value

    def _observed(self, entries: Sequence[LogEntry], began: Micros, answers: list[str]) -> Observed:
        log: list[Change3] = []
        events: set[tuple[str, str, str, str, str]] = set()
        for entry in entries:
            kind = SHORT.get(entry.key.kind, entry.key.kind)
            detail = entry.detail or {}
            if entry.verb in CHANGES:
                old, new = facts_of(entry.old), facts_of(entry.new)
                changed = difference(old, new) if old or new else {}
                if changed and entry.key.namespace in ("", SPACE):
                    log.append(self.unmasked(((entry.time - began) / SECOND, kind, entry.key.name, changed)))
            elif entry.verb == "event":
                about = f"{kind}/{entry.key.name}"
                events.add(self.unmasked((detail["reason"], detail["type"], about, detail["message"], entry.actor)))
        places = {self.unmasked(volume.name): _place(volume) for volume in self.world.store.list(PersistentVolume)}
        return Observed(self.facts(), log, events, answers, places)


def _place(volume: PersistentVolume) -> str:
    """The first value of a volume's node affinity, "" if it can be reached from everywhere."""
    affinity = encode(volume).get("spec", {}).get("nodeAffinity", {}).get("required", {})
    for term in affinity.get("nodeSelectorTerms", ()):
        for rule in term.get("matchExpressions", ()):
            return str(rule["values"][0]) if rule.get("values") else ""
    return ""


def _provisioners(case: Mapping[str, Any]) -> list[str]:
    """The provisioners of all classes of a case; only one of them is there."""
    actions = [*case["setup"], *(action for stage in case["stages"] for action in stage["actions"])]
    applied = [raw for action in actions for raw in action.get("apply", ())]
    return sorted({raw["provisioner"] for raw in applied if raw["kind"] == "StorageClass"})


def objects_of(raws: Sequence[Mapping[str, Any]]) -> tuple[Loaded, ...]:
    """Manifests as objects.

    Raises
    ------
    Unknown
        If one is not simulated.
    """
    found = from_plain([dict(raw) for raw in raws], Origin("case", 1), SPACE)
    if found.not_simulated:
        raise Unknown(", ".join(one.kind for one in found.not_simulated))
    return found.objects


def _applied(raws: Sequence[Mapping[str, Any]]) -> tuple[Action, ...]:
    return tuple(Apply(item.obj, item.raw) for item in objects_of(raws))


def _key(kind: str, name: str) -> Key:
    struct = find_kind(kind)
    if struct is None:
        raise Unknown(kind)
    return Key(struct.KIND, SPACE if struct.NAMESPACED else "", name)


def _meaning(name: str, what: Any, world: World) -> tuple[Action, ...]:
    match name:
        case "apply":
            return _applied(what)
        case "delete":
            names = what["name"] if isinstance(what["name"], list) else [what["name"]]
            return tuple(
                Remove(_key(what["kind"], one), what.get("grace"), what.get("propagation", "Background"),
                       force=what.get("grace") == 0) for one in names)
        case "patch":
            key = _key(what["kind"], what["name"])
            part = what.get("sub") or ""
            if part not in ("", "status", "scale"):
                raise Unknown(f"patch of {part}")
            # The scale of a set is its spec.replicas: a patch of it is one of the set.
            part = "" if part == "scale" else part
            return (PatchObject(key, what["patch"], what.get("type", "merge") == "strategic", part),)
        case "scale":
            return (Scale(_key("StatefulSet", what["name"]), what["replicas"]),)
        case "cordon" | "uncordon":
            return (Cordon(_key("Node", what), name == "cordon"),)
        case "taint":
            key = _key("Node", what["node"])
            node = world.store.find(key)
            assert isinstance(node, Node)
            new = tuple(decode(taint, Taint) for taint in what["taints"])
            kept = {(taint.key, taint.effect) for taint in new}
            gone = tuple((t.key, t.effect) for t in node.spec.taints
                         if (t.key, t.effect) not in kept and not t.key.startswith("node.kubernetes.io/"))
            return (TaintNode(key, new, gone),)
        case "evict":
            return (EvictPod(_key("Pod", what)),)
        case _:
            raise Unknown(f"action {name}")
