"""The scheduler's cache: nodes in tree order, and the pods on them, assumed ones included (SC-31 to SC-35).

Each change costs as much as what it touches: one node's sums, never the whole cluster. What is handed out is frozen.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import Final

from msgspec.structs import replace

from simulator.api.core import Node, Pod
from simulator.api.meta import Key
from simulator.scheduler.framework import NodeInfo, is_same_pod

_BETA: Final = "failure-domain.beta.kubernetes.io/"
_STABLE: Final = "topology.kubernetes.io/"

Zone = tuple[str, str]


def zone_of(node: Node) -> Zone:
    """Region and zone that group a node (SC-34); ("", "") if it has neither."""
    labels = node.metadata.labels

    def value(name: str) -> str:
        beta = labels.get(_BETA + name)
        return beta if beta is not None else labels.get(_STABLE + name, "")

    return value("region"), value("zone")


class SchedulerCache:
    """Nodes and the pods on them, as the scheduler believes them to be.

    Attributes
    ----------
    pods : every pod that counts, by key: assigned ones, and assumed ones with the chosen node as their ``nodeName``.
    assumed : keys of pods that the watch has not shown on a node yet (SC-31).
    """

    __slots__ = ("_homeless", "_index", "_infos", "_list", "_nodes", "_zone_of", "_zones", "assumed", "pods")

    def __init__(self) -> None:
        self.pods: dict[Key, Pod] = {}
        self.assumed: dict[Key, None] = {}
        self._infos: dict[str, NodeInfo] = {}
        self._homeless: dict[str, tuple[Pod, ...]] = {}
        self._zones: dict[Zone, tuple[str, ...]] = {}
        self._zone_of: dict[str, Zone] = {}
        self._list: list[NodeInfo] | None = []
        self._index: dict[str, int] = {}
        self._nodes: tuple[NodeInfo, ...] | None = ()

    def copy(self) -> SchedulerCache:
        """The same cache, free to go its own way."""
        twin = SchedulerCache()
        twin.pods = dict(self.pods)
        twin.assumed = dict(self.assumed)
        twin._infos = dict(self._infos)
        twin._homeless = dict(self._homeless)
        twin._zones = dict(self._zones)
        twin._zone_of = dict(self._zone_of)
        twin._list = list(self._list) if self._list is not None else None
        twin._index = self._index
        twin._nodes = self._nodes
        return twin

    # --- what a cycle sees ------------------------------------------------------------------------------------------

    def nodes(self) -> tuple[NodeInfo, ...]:
        """All nodes in the order of SC-35, as one frozen snapshot (SC-32)."""
        if self._nodes is None:
            if self._list is None:
                # SC-35: one of each group in turn. Only a node that came or went leads here, not a change of zone.
                names = [name for turn in zip_longest(*self._zones.values()) for name in turn if name is not None]
                self._list = [self._infos[name] for name in names]
                self._index = {name: position for position, name in enumerate(names)}
            self._nodes = tuple(self._list)
        return self._nodes

    def node(self, name: str) -> NodeInfo | None:
        """A node with its pods; None if there is no such node."""
        return self._infos.get(name)

    def is_assumed(self, pod: Pod) -> bool:
        """Whether this very pod is assumed."""
        key = pod.key
        return key in self.assumed and self.pods[key].metadata.uid == pod.metadata.uid

    # --- nodes ------------------------------------------------------------------------------------------------------

    def set_node(self, node: Node) -> None:
        """A node is new or has changed."""
        name = node.metadata.name
        zone = zone_of(node)
        before = self._zone_of.get(name)
        if before != zone:
            if before is not None:
                self._leave_zone(name, before)
            self._zones[zone] = (*self._zones.get(zone, ()), name)
            self._zone_of[name] = zone
        info = self._infos.get(name)
        if info is not None:
            self._put(info.with_node(node))
            return
        self._infos[name] = NodeInfo.of(node, self._homeless.pop(name, ()))
        self._list = self._nodes = None

    def remove_node(self, name: str) -> None:
        """A node is gone, and its pods stop counting at once (SC-33); they count again if it comes back."""
        info = self._infos.pop(name, None)
        if info is None:
            return
        if info.pods:
            self._homeless[name] = info.pods
        self._leave_zone(name, self._zone_of.pop(name))
        self._list = self._nodes = None

    def _leave_zone(self, name: str, zone: Zone) -> None:
        left = tuple(other for other in self._zones[zone] if other != name)
        if left:
            self._zones[zone] = left
        else:
            del self._zones[zone]

    # --- pods -------------------------------------------------------------------------------------------------------

    def set_pod(self, pod: Pod) -> None:
        """The watch shows a pod on a node: it is new, has changed, or confirms an assumed one."""
        key = pod.key
        old = self.pods.get(key)
        self.assumed.pop(key, None)
        self.pods[key] = pod
        if old is not None:
            if is_same_pod(old, pod) and old.spec.node_name == pod.spec.node_name and _counts_alike(old, pod):
                self._swap(old, pod)
                return
            self._take_off(old)
        self._put_on(pod)

    def assume(self, pod: Pod) -> None:
        """A node has been chosen for a pod, which counts there from now on (SC-98)."""
        key = pod.key
        self.assumed[key] = None
        self.pods[key] = pod
        self._put_on(pod)

    def forget(self, pod: Pod) -> bool:
        """An assumed pod will not be bound; returns whether it was assumed. One that is known to be bound stays."""
        if not self.is_assumed(pod):
            return False
        self.remove_pod(pod)
        return True

    def remove_pod(self, pod: Pod) -> None:
        """A pod is gone."""
        key = pod.key
        old = self.pods.get(key)
        if old is None or old.metadata.uid != pod.metadata.uid:
            return
        del self.pods[key]
        self.assumed.pop(key, None)
        self._take_off(old)

    def _put_on(self, pod: Pod) -> None:
        name = pod.spec.node_name
        info = self._infos.get(name)
        if info is None:
            self._homeless[name] = (*self._homeless.get(name, ()), pod)
        else:
            self._put(info.with_pod(pod))

    def _take_off(self, pod: Pod) -> None:
        name = pod.spec.node_name
        info = self._infos.get(name)
        if info is not None:
            self._put(info.without_pod(pod))
            return
        left = tuple(other for other in self._homeless.get(name, ()) if not is_same_pod(other, pod))
        if left:
            self._homeless[name] = left
        else:
            self._homeless.pop(name, None)

    def _swap(self, old: Pod, new: Pod) -> None:
        """Another version of a pod that counts as it did before: the sums stand."""
        name = new.spec.node_name
        info = self._infos.get(name)
        if info is None:
            self._homeless[name] = _swapped(self._homeless[name], old, new)
            return
        self._put(replace(
            info, pods=_swapped(info.pods, old, new),
            with_affinity=_swapped(info.with_affinity, old, new) if info.with_affinity else (),
            with_anti_affinity=_swapped(info.with_anti_affinity, old, new) if info.with_anti_affinity else (),
        ))

    def _put(self, info: NodeInfo) -> None:
        name = info.node.metadata.name
        self._infos[name] = info
        if self._list is not None:
            self._list[self._index[name]] = info
        self._nodes = None


def _swapped(pods: tuple[Pod, ...], old: Pod, new: Pod) -> tuple[Pod, ...]:
    return tuple(new if pod is old else pod for pod in pods)


def _counts_alike(old: Pod, new: Pod) -> bool:
    """Whether two versions of a pod ask for the same resources and ports, and attract and repel the same."""
    mine, its = old.spec, new.spec
    return mine is its or (
        mine.containers == its.containers and mine.init_containers == its.init_containers
        and mine.resources == its.resources and mine.overhead == its.overhead and mine.affinity == its.affinity
    )
