"""Snapshots for tests of the scheduler's plug-ins, from plain objects."""

from __future__ import annotations

from typing import Any

from simulator.api.core import Node, Pod
from simulator.api.meta import Object, evolve
from simulator.cluster.store import Store
from simulator.scheduler.framework import SUCCESS, Code, FilterPlugin, NodeInfo, ScorePlugin, Snapshot, Status


class StoreView:
    """A view that shows a store as it is."""

    memory: Any = None
    argument: Any = None

    def __init__(self, store: Store, now: int = 0) -> None:
        self.now = now
        self.get = store.get
        self.list = store.list
        self.by = store.by


def on(pod: Pod, node: str) -> Pod:
    """The pod on a node."""
    return evolve(pod, spec=evolve(pod.spec, node_name=node))


def snapshot_of(*objects: Object, now: int = 0) -> Snapshot:
    """A snapshot of these objects; pods with a node name are on that node."""
    store = Store()
    for obj in objects:
        store.put(obj)
    nodes = tuple(NodeInfo.of(node, store.by("pods-by-node", node.name)) for node in store.list(Node))
    return Snapshot(nodes, StoreView(store, now))  # type: ignore[arg-type]


def answers(plugin: FilterPlugin, pod: Pod, snapshot: Snapshot) -> dict[str, Status] | Status:
    """The answer of every node, or PreFilter's where that is not success."""
    prepared = plugin.pre_filter(pod, snapshot)
    if prepared.status is not SUCCESS:
        return prepared.status
    return {info.name: plugin.filter(prepared.state, pod, info, snapshot) for info in snapshot.nodes}


def reasons(plugin: FilterPlugin, pod: Pod, snapshot: Snapshot) -> Any:
    """Per node: "ok", or its reasons; or "skip"; or PreFilter's reasons."""
    found = answers(plugin, pod, snapshot)
    if isinstance(found, Status):
        return "skip" if found.code is Code.SKIP else list(found.reasons)
    return {name: "ok" if status is SUCCESS else list(status.reasons) for name, status in found.items()}


def scores(plugin: ScorePlugin, pod: Pod, snapshot: Snapshot, *candidates: str) -> dict[str, int] | str:
    """Normalised score per candidate (all nodes if none is named), or "skip"."""
    nodes = [info for info in snapshot.nodes if not candidates or info.name in candidates]
    prepared = plugin.pre_score(pod, nodes, snapshot)
    if prepared.status.code is Code.SKIP:
        return "skip"
    raw = [plugin.score(prepared.state, pod, info, snapshot) for info in nodes]
    return dict(zip((info.name for info in nodes), plugin.normalize(prepared.state, pod, raw, nodes), strict=True))
