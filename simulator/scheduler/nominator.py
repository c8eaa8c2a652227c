"""Which pods are nominated to which nodes: where a preemptor has made room, or a pod is about to be bound (SC-22)."""

from __future__ import annotations

from simulator.api.core import Pod


class Nominator:
    """Pods nominated to a node and not on it yet, by node; a pod is nominated to one node at most."""

    __slots__ = ("_by_node", "_node_of")

    def __init__(self) -> None:
        self._by_node: dict[str, dict[str, Pod]] = {}
        self._node_of: dict[str, str] = {}

    def copy(self) -> Nominator:
        """The same nominations, free to go their own way."""
        twin = Nominator()
        twin._by_node = {node: dict(pods) for node, pods in self._by_node.items()}
        twin._node_of = dict(self._node_of)
        return twin

    def add(self, pod: Pod, node: str | None = None) -> None:
        """Enter a pod.

        Parameters
        ----------
        pod : as it is now.
        node : overrides ``status.nominatedNodeName``; "" takes the nomination away, None leaves it to the status.
        """
        self.remove(pod)
        name = pod.status.nominated_node_name if node is None else node
        if name:
            self._node_of[pod.metadata.uid] = name
            self._by_node.setdefault(name, {})[pod.metadata.uid] = pod

    def update(self, old: Pod, new: Pod) -> None:
        """A pod has changed; a nomination that only memory knows is kept."""
        kept = None
        if not old.status.nominated_node_name and not new.status.nominated_node_name:
            kept = self._node_of.get(old.metadata.uid)
        self.remove(old)
        self.add(new, kept)

    def remove(self, pod: Pod) -> None:
        """Forget a pod's nomination."""
        node = self._node_of.pop(pod.metadata.uid, None)
        if node is not None:
            pods = self._by_node[node]
            del pods[pod.metadata.uid]
            if not pods:
                del self._by_node[node]

    def node_of(self, uid: str) -> str:
        """The node that a pod is nominated to, or ""."""
        return self._node_of.get(uid, "")

    def pods(self, node: str) -> tuple[Pod, ...]:
        """The pods nominated to a node, in order of nomination."""
        found = self._by_node.get(node)
        return tuple(found.values()) if found else ()

    def by_node(self) -> dict[str, tuple[Pod, ...]]:
        """All nominations."""
        return {node: tuple(pods.values()) for node, pods in self._by_node.items()}
