"""Queueing hints of PodTopologySpread (SC-26)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from simulator.api.core import Node, Pod, TopologySpreadConstraint


def _hard(pod: Pod) -> list[TopologySpreadConstraint]:
    """The constraints that can have refused the pod; built-in defaults have none (SC-70)."""
    return [each for each in pod.spec.topology_spread_constraints if each.when_unsatisfiable == "DoNotSchedule"]


def _selects(constraint: TopologySpreadConstraint, pod: Pod, labels: Mapping[str, str]) -> bool:
    """Whether labels are counted by a constraint of `pod` (SC-72, SC-74)."""
    if constraint.label_selector is None or not constraint.label_selector.selects(labels):
        return False
    own = pod.metadata.labels
    return all(labels.get(key) == own[key] for key in constraint.match_label_keys if key in own)


def pod_changed(pod: Pod, old: Pod | None, new: Pod | None) -> bool:
    """A pod was bound, is gone, or has other labels: does a hard constraint count it? Or the pod's own tolerations."""
    hard = _hard(pod)
    if old is not None and new is not None:
        if new.metadata.uid == pod.metadata.uid:
            changed = old.spec.tolerations != new.spec.tolerations
            if changed and any(each.node_taints_policy == "Honor" for each in hard):
                return True
        elif new.metadata.namespace != pod.metadata.namespace or not _is_bound(new):
            return False
        before, after = old.metadata.labels, new.metadata.labels
        return before != after and any(_selects(each, pod, before) != _selects(each, pod, after) for each in hard)
    other = new if new is not None else old
    if other is None or other.metadata.namespace != pod.metadata.namespace or not _is_bound(other):
        return False
    return any(_selects(each, pod, other.metadata.labels) for each in hard)


def _is_bound(pod: Pod) -> bool:
    return bool(pod.spec.node_name or pod.status.nominated_node_name)


def _has_all(node: Node, keys: Iterable[str]) -> bool:
    return all(key in node.metadata.labels for key in keys)


def node_changed(pod: Pod, old: Node | None, new: Node | None) -> bool:
    """A node that counts came, went, or lies in other domains; or a node began or ceased to count."""
    keys = [each.topology_key for each in _hard(pod)]
    if old is None or new is None:
        node = new if new is not None else old
        return node is not None and _has_all(node, keys)
    before, after = _has_all(old, keys), _has_all(new, keys)
    if before != after:
        return True
    moved = any(old.metadata.labels.get(key) != new.metadata.labels.get(key) for key in keys)
    return after and (moved or old.spec.taints != new.spec.taints)
