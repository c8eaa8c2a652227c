"""What a timeline does to a cluster other than through its API: machines fail, components restart, pods use data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import UNSET

from simulator.api.meta import Key
from simulator.cluster.faults import Calls
from simulator.cluster.world import World
from simulator.controllers.kubelet import Behave, Behaviour, ReadData, StartNode, StopNode, WriteData
from simulator.flows import Note
from simulator.scenario.file import Read, Write
from simulator.scenario.timeline import Data, FailNode, Fault, NeverReady, Restart
from simulator.units import quantity

_KUBELETS: Final = Key("Kubelet", "", "all")


def _act(world: World, what: Any) -> None:
    world.spawn("kubelet", "actions", _KUBELETS, what)


def _note(world: World, entry: int, words: str, target: Key, refused: str | None = None) -> str | None:
    world.tell("kubectl", Note("action", target, {"entry": entry, "action": words, "refused": refused}))
    return refused


def _fail_node(world: World, fault: FailNode, entry: int) -> str | None:
    target = Key("Node", "", fault.node)
    if fault.stopped and world.store.find(target) is None:
        return _note(world, entry, "fail", target, f'nodes "{fault.node}" not found')
    _note(world, entry, "fail" if fault.stopped else "recover", target)
    _act(world, StopNode(fault.node) if fault.stopped else StartNode(fault.node, is_rebooted=True))
    return None


def _restart(world: World, fault: Restart, entry: int) -> str | None:
    world.restart(fault.component)
    return _note(world, entry, "restart", Key("Component", "", fault.component))


def _never_ready(world: World, fault: NeverReady, entry: int) -> str | None:
    for pod in fault.pods:
        _note(world, entry, "never ready", pod)
    _act(world, Behave(fault.pods, Behaviour(never_ready=True)))
    return None


def _fail_call(world: World, fault: Calls, entry: int) -> str | None:
    world.faults.calls.append(fault)
    words = " ".join(word for word in ("fail call", fault.component, fault.verb) if word)
    return _note(world, entry, words, Key(fault.kind or "Any", fault.namespace, fault.name))


def _data(world: World, fault: Data, entry: int) -> str | None:
    what = fault.what
    if isinstance(what, Write):
        _act(world, WriteData(fault.pod, what.volume, what.name, what.value, quantity(what.size).value))
        outcome = _last(world, "write").get("outcome")
        return _note(world, entry, f"write {what.name}", fault.pod, None if outcome in (None, "ok") else str(outcome))
    _act(world, ReadData(fault.pod, what.volume, what.name))
    found = _last(world, "read").get("value")
    return _note(world, entry, f"read {what.name}", fault.pod, _difference(what, found))


def _difference(what: Read, found: str | None) -> str | None:
    if what.expect is UNSET or found == what.expect:
        return None
    shown = "nothing" if found is None else f'"{found}"'
    return f'{what.pod} reads {shown} from {what.volume}/{what.name}, not "{what.expect}"'


def _last(world: World, verb: str) -> Mapping[str, Any]:
    entries = world.log.entries
    if entries and entries[-1].verb == verb and entries[-1].detail is not None:
        return entries[-1].detail
    return {}


FAULTS: Final[Mapping[type[Fault], Callable[[World, Any, int], str | None]]] = {
    FailNode: _fail_node,
    Restart: _restart,
    NeverReady: _never_ready,
    Calls: _fail_call,
    Data: _data,
}
"""What to do for each kind of fault; each answers with what went wrong, or None."""
