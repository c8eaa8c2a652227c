"""The node lifecycle controller: who is silent, which taints nodes get for it, and what becomes of their pods (WL §9).

Kubernetes looks at all nodes every 5 s. Here a pass takes place only when it could find something: when a node is not
simply Ready, when a lease has fallen silent, when a node goes. The passes that do take place lie on one 5 s grid.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any, Final

from msgspec.structs import replace

from simulator.api.core import Condition, Node, Pod, set_condition
from simulator.api.meta import Key, evolve
from simulator.api.policy import Lease
from simulator.cluster.component import Change, Periodic, View
from simulator.controllers.node_health import (
    PERIOD,
    Begun,
    GridBegins,
    Memory,
    Passed,
    Silent,
    Suspected,
    Tainted,
)
from simulator.controllers.node_zones import FULL, NEVER, changed_limits, zone_of, zone_states
from simulator.controllers.taints import (
    NO_EXECUTE,
    NO_SCHEDULE,
    NOT_READY,
    UNREACHABLE,
    has_taint,
    mirrored,
    swapped,
)
from simulator.flows import (
    DONE,
    Emit,
    Enqueue,
    Flow,
    Get,
    Intent,
    ListLive,
    Patch,
    Poll,
    Refused,
    Remember,
    Retry,
    Sleep,
    Tell,
    Told,
    UpdateStatus,
)
from simulator.latency import Latency, constant, uniform
from simulator.units import MILLISECOND, SECOND, Micros

GRACE: Final[Micros] = 50 * SECOND
STARTUP_GRACE: Final[Micros] = 60 * SECOND
LATE: Final[Micros] = SECOND  # a pass that a busy machine begins so much later is still the one of the grid
SOURCE: Final = "node-controller"

LATENCIES: Final[Mapping[str, Latency]] = {
    "node-monitor-phase": constant(2500 * MILLISECOND),  # when the 5 s grid begins, after it is first needed
    "noexecute-pass": constant(50 * MILLISECOND),  # to the next look at the queue of nodes to taint, every 100 ms
}
RANGES: Final[Mapping[str, Latency]] = {
    "node-monitor-phase": uniform(0, PERIOD),
    "noexecute-pass": uniform(0, 100 * MILLISECOND),
}

PASS: Final = Key("NodeMonitor", "", "pass")
_UNKNOWN: Final = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")


class NodeLifecycle:
    """The node lifecycle controller."""

    name = "node-lifecycle-controller"
    queues: Mapping[str, int] = {"nodes": 8, "passes": 1, "grid": 1, "taints": 1, "zones": 1}
    watches = frozenset({"Node", "Lease"})
    periodics: Sequence[Periodic] = ()

    def new_memory(self) -> Memory:
        """No node is suspected."""
        return Memory()

    def check(self, poll: Poll, view: View) -> Any:
        """The controller polls nothing."""
        return None

    def observe(self, change: Change, view: View) -> Iterable[Told]:
        """Nodes whose taints or health may have to change, and leases that fall silent or are renewed."""
        if change.key.kind == "Node":
            return _observe_node(change, view)
        if change.key.kind == "Lease":
            lease = change.new
            since = lease.spec.renew_time if isinstance(lease, Lease) else None
            node = change.key.name
            if since is None and node not in view.memory.silent:
                return ()
            return (Remember(Silent(node, since)), Remember(Suspected(node)), *_look(view))
        return ()

    def sync(self, queue: str, key: Key, view: View) -> Flow:
        """The flow of a queue's key."""
        match queue:
            case "nodes":
                return mirror_conditions(key, view)
            case "passes":
                return monitor(view)
            case "grid":
                return _begin_grid(view)
            case "taints":
                return _await_taints(key)
            case _:
                return taint_zone(key, view)

    def remember(self, memory: Memory, what: Any, now: Micros) -> None:
        """See `Memory.remember`."""
        memory.remember(what, now)


# --- what is noticed ------------------------------------------------------------------------------------------------


def _observe_node(change: Change, view: View) -> list[Told]:
    new, old = change.new, change.old
    name = change.key.name
    if not isinstance(new, Node):
        told: list[Told] = [Remember(Silent(name, None)), Remember(Suspected(name)), *_look(view)]
        text = f"Node {name} event: Removing Node {name} from Controller"
        return [*told, Emit(change.key, "Normal", "RemovingNode", text, SOURCE)]
    told = []
    began: Micros | None = view.memory.began
    if began is None:
        told.append(Remember(Begun()))
    elif old is None and (new.metadata.creation_timestamp or 0) > began:
        text = f"Node {name} event: Registered Node {name} in Controller"
        told.append(Emit(change.key, "Normal", "RegisteredNode", text, SOURCE))
    if any(mirrored(new)):
        told.append(Enqueue("nodes", change.key))
    if _is_suspect(new) or (isinstance(old, Node) and _is_suspect(old)) or _zone_moved(old, new):
        told.append(Remember(Suspected(name)))
        told.extend(_look(view))
    return told


def _is_suspect(node: Node) -> bool:
    """Whether a pass would do something about the node, or count it as not ready."""
    ready = node.condition("Ready")
    if ready is None or ready.status != "True":
        return True
    return has_taint(node, NOT_READY, NO_EXECUTE) or has_taint(node, UNREACHABLE, NO_EXECUTE)


def _zone_moved(old: Any, new: Node) -> bool:
    return isinstance(old, Node) and zone_of(old) != zone_of(new)


def _look(view: View) -> tuple[Told, ...]:
    """Ask for a pass: at the next moment of the grid, or when there is a grid."""
    memory: Memory = view.memory
    if memory.grid is None:
        return (Enqueue("grid", PASS),)
    return (Enqueue("passes", PASS, memory.next_pass(view.now) - view.now),)


def _begin_grid(view: View) -> Flow:
    if view.memory.grid is None:
        yield Sleep("node-monitor-phase")
        yield Tell(Remember(GridBegins()))
    yield Tell(Enqueue("passes", PASS))
    return DONE


# --- NoSchedule taints ----------------------------------------------------------------------------------------------


def mirror_conditions(key: Key, view: View) -> Flow:
    """Taints of effect NoSchedule follow the node's conditions at once (WL-120)."""
    node = view.get(key)
    if not isinstance(node, Node):
        return DONE
    add, remove = mirrored(node)
    if not add and not remove:
        return DONE
    answer = yield Patch(key, swapped, (NO_SCHEDULE, add, remove, view.now), uid=node.metadata.uid, rule="WL-120")
    if isinstance(answer, Refused) and answer.reason != "NotFound":
        return Retry(str(answer))
    return DONE


# --- the pass -------------------------------------------------------------------------------------------------------


def monitor(view: View) -> Flow:
    """Look at every suspect: declare the silent ones Unknown, and see to NoExecute taints (WL-115 to WL-123)."""
    memory: Memory = view.memory
    now = view.now
    if memory.grid is None:
        yield Tell(Enqueue("grid", PASS))
        return DONE
    if (now - memory.grid) % PERIOD > LATE:
        yield Tell(Enqueue("passes", PASS, memory.next_pass(now) - now))
        return DONE
    nodes = {node.metadata.name: node for node in view.list(Node)}
    suspects = [name for name in memory.suspects if name in nodes]
    looked_at, again = tuple(memory.suspects), []
    queued: list[tuple[str, str]] = []
    ready: list[str] = []
    wakes: list[Micros] = []
    for name in suspects:
        node, clock = nodes[name], memory.health_clock(name)
        before = _ready_status(node)
        if clock is None and before == "" and name not in memory.silent:
            clock = node.metadata.creation_timestamp or 0
        if clock is not None:
            clock = max(clock, _last_beat(memory, node, now))
        deadline = clock + (GRACE if before else STARTUP_GRACE) if clock is not None else None
        if deadline is not None and now < deadline:
            wakes.append(deadline)
            again.append(name)
        elif deadline is not None and before != "Unknown":
            answer = yield from _declare_unknown(node, now)
            if not isinstance(answer, Node):
                again.append(name)
                continue
            nodes[name] = node = answer
        status = _ready_status(node)
        if status == "True":
            if (yield from _clear(node)):
                again.append(name)
            ready.append(name)
        elif status:
            wants, opposite = (NOT_READY, UNREACHABLE) if status == "False" else (UNREACHABLE, NOT_READY)
            if has_taint(node, opposite, NO_EXECUTE):  # swapped at once (WL-121)
                change = (NO_EXECUTE, (wants,), (opposite,), now)
                answer = yield Patch(node.key, swapped, change, uid=node.metadata.uid, rule="WL-121")
                if isinstance(answer, Refused):
                    again.append(name)
            elif not has_taint(node, wants, NO_EXECUTE):
                queued.append((name, zone_of(node)))
        if before == "True" and status == "Unknown":
            text = f"Node {name} status is now: NodeNotReady"
            yield Tell(Emit(node.key, "Normal", "NodeNotReady", text, SOURCE))
            yield from _mark_pods(name, now)
    passed = Passed(looked_at, tuple(again), tuple(queued), tuple(ready))
    yield from _handle_disruption(memory, nodes, passed, now)
    if wakes:
        yield Tell(Enqueue("passes", PASS, memory.next_pass(min(wakes)) - now))
    elif again:
        yield Tell(Enqueue("passes", PASS, PERIOD))
    return DONE


def _ready_status(node: Node) -> str:
    condition = node.condition("Ready")
    return condition.status if condition is not None else ""


def _last_beat(memory: Memory, node: Node, now: Micros) -> Micros:
    """When a pass first saw the node's own last word on its readiness; it counts like a lease (WL-115)."""
    ready = node.condition("Ready")
    beat = ready.last_heartbeat_time if ready is not None and ready.status != "Unknown" else None
    return memory.next_pass(beat) if beat is not None and beat <= now else -STARTUP_GRACE


def unknown(node: Node, now: Micros) -> Node:
    """The node with the conditions of a kubelet that has fallen silent (WL-115)."""
    conditions = node.status.conditions
    for kind in _UNKNOWN:
        old = node.condition(kind)
        if old is None:
            reason, message = "NodeStatusNeverUpdated", "Kubelet never posted node status."
        elif old.status != "Unknown":
            reason, message = "NodeStatusUnknown", "Kubelet stopped posting node status."
        else:
            continue
        beat = old.last_heartbeat_time if old is not None else node.metadata.creation_timestamp
        new = Condition(type=kind, status="Unknown", reason=reason, message=message, last_heartbeat_time=beat)
        conditions = set_condition(conditions, new, now)
    return evolve(node, status=evolve(node.status, conditions=conditions))


def _declare_unknown(node: Node, now: Micros) -> Generator[Intent, Any, Any]:
    """Write the Unknown conditions, up to five times on conflict; answers with the node, or anything else."""
    for _ in range(5):
        answer = yield UpdateStatus(unknown(node, now), "WL-115")
        if not isinstance(answer, Refused):
            return answer
        current = yield Get(node.key)
        if not isinstance(current, Node) or current.metadata.uid != node.metadata.uid:
            return None
        node = current
    return None


def _clear(node: Node) -> Generator[Intent, Any, bool]:
    """Take both NoExecute taints away (WL-121); says whether that failed."""
    present = tuple(key for key in (NOT_READY, UNREACHABLE) if has_taint(node, key, NO_EXECUTE))
    if not present:
        return False
    answer = yield Patch(node.key, swapped, (NO_EXECUTE, (), present, None), uid=node.metadata.uid, rule="WL-121")
    return isinstance(answer, Refused) and answer.reason != "NotFound"


def unready(pod: Pod, now: Micros) -> Pod:
    """The pod with condition Ready False, all else left alone (WL-118), so that it looks as if it ran (WL-119)."""
    old = pod.condition("Ready")
    if old is None or old.status == "False":
        return pod
    new = evolve(old, status="False")
    return evolve(pod, status=evolve(pod.status, conditions=set_condition(pod.status.conditions, new, now)))


def _mark_pods(node: str, now: Micros) -> Generator[Intent, Any, None]:
    """Mark the pods of a node that has fallen silent; they are listed live, as this happens rarely."""
    for pod in (yield ListLive("Pod")):
        old = pod.condition("Ready") if pod.spec.node_name == node else None
        if old is None or old.status == "False":
            continue
        answer = yield Patch(pod.key, unready, (now,), "status", pod.metadata.uid, "WL-118")
        if not isinstance(answer, Refused):
            yield Tell(Emit(pod.key, "Warning", "NodeNotReady", "Node is not ready", SOURCE))


def _handle_disruption(
    memory: Memory, nodes: Mapping[str, Node], passed: Passed, now: Micros
) -> Generator[Intent, Any, None]:
    """Slow tainting down, or stop it, when many nodes are not ready (WL-122, WL-123)."""
    states = zone_states(nodes.values())
    is_outage = bool(states) and all(state == FULL for state, _ in states.values())
    was_outage = bool(states) and all(
        zone in memory.zones and memory.zones[zone].state == FULL for zone in states
    )
    limits = changed_limits(memory.zones, states, now, is_outage=is_outage, was_outage=was_outage)
    if is_outage and not was_outage:
        for node in nodes.values():
            yield from _clear(node)
    ends = was_outage and not is_outage
    yield Tell(Remember(replace(passed, zones=limits, clocks_restart=ends)))
    zones = {**memory.zones, **limits}
    waiting = dict.fromkeys([*memory.queue.values(), *(zone for _, zone in passed.queued)])
    for zone in waiting:
        if zone in zones and zones[zone].interval != NEVER:
            yield Tell(Enqueue("taints", Key("Zone", "", zone)))


# --- NoExecute taints, zone by zone ---------------------------------------------------------------------------------


def _await_taints(key: Key) -> Flow:
    yield Sleep("noexecute-pass")
    yield Tell(Enqueue("zones", key))
    return DONE


def taint_zone(key: Key, view: View) -> Flow:
    """Give one node of a zone its NoExecute taint, as often as the zone's rate allows (WL-121)."""
    memory: Memory = view.memory
    now, zone = view.now, key.name
    work = memory.zones.get(zone)
    names = [name for name, where in memory.queue.items() if where == zone]
    if work is None or work.interval == NEVER or not names:
        return DONE
    if now < work.next_at:
        yield Tell(Enqueue("zones", key, work.next_at - now))
        return DONE
    name = names[0]
    node = view.get(Node, name)
    status = _ready_status(node) if node is not None else ""
    if node is not None and status in ("False", "Unknown"):
        wants, opposite = (NOT_READY, UNREACHABLE) if status == "False" else (UNREACHABLE, NOT_READY)
        change = (NO_EXECUTE, (wants,), (opposite,), now)
        answer = yield Patch(node.key, swapped, change, uid=node.metadata.uid, rule="WL-121")
        if isinstance(answer, Refused) and answer.reason != "NotFound":
            return Retry(str(answer))
    yield Tell(Remember(Tainted(zone, name, now + work.interval)))
    if len(names) > 1:
        yield Tell(Enqueue("zones", key, work.interval))
    return DONE
