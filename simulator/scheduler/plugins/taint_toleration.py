"""TaintToleration: taints repel pods that do not tolerate them (SC-53, SC-54, SC-86)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from simulator.api.core import Pod, Taint, Toleration
from simulator.scheduler.framework import (
    SUCCESS,
    FilterDefaults,
    NodeInfo,
    PreFilterResult,
    Snapshot,
    Status,
    default_normalize,
    unresolvable,
)

NAME: Final = "TaintToleration"
REFUSED: Final = unresolvable(NAME, "node(s) had untolerated taint(s)")
HARD_EFFECTS: Final = ("NoSchedule", "NoExecute")


def tolerates(tolerations: Iterable[Toleration], taint: Taint) -> bool:
    """Whether any of the tolerations stands the taint (SC-54)."""
    for toleration in tolerations:
        if toleration.effect and toleration.effect != taint.effect:
            continue
        if toleration.key and toleration.key != taint.key:
            continue
        if toleration.operator == "Exists":
            return True
        # Lt and Gt belong to a gate that is off in 1.36: they match nothing.
        if toleration.operator in ("", "Equal") and toleration.value == taint.value:
            return True
    return False


def has_untolerated_taint(pod: Pod, taints: Iterable[Taint]) -> bool:
    """Whether a taint with effect NoSchedule or NoExecute keeps the pod away (SC-53)."""
    tolerations = pod.spec.tolerations
    return any(taint.effect in HARD_EFFECTS and not tolerates(tolerations, taint) for taint in taints)


class TaintToleration(FilterDefaults):
    """Refuses nodes with a hard taint that the pod does not tolerate, and ranks nodes by their soft ones."""

    __slots__ = ()
    name = NAME

    def filter(self, state: None, pod: Pod, node: NodeInfo, snapshot: Snapshot) -> Status:
        """Whether the pod tolerates all hard taints of the node."""
        taints = node.node.spec.taints
        if not taints or not has_untolerated_taint(pod, taints):
            return SUCCESS
        return REFUSED

    def pre_score(self, pod: Pod, nodes: Sequence[NodeInfo], snapshot: Snapshot) -> PreFilterResult:
        """The tolerations that count against soft taints (SC-86)."""
        soft = tuple(each for each in pod.spec.tolerations if each.effect in ("", "PreferNoSchedule"))
        return PreFilterResult(state=soft)

    def score(self, state: tuple[Toleration, ...], pod: Pod, node: NodeInfo, snapshot: Snapshot) -> int:
        """How many soft taints the pod does not tolerate."""
        taints = node.node.spec.taints
        if not taints:
            return 0
        return sum(taint.effect == "PreferNoSchedule" and not tolerates(state, taint) for taint in taints)

    def normalize(
        self, state: tuple[Toleration, ...], pod: Pod, scores: Sequence[int], nodes: Sequence[NodeInfo]
    ) -> list[int]:
        """The fewer, the better; no soft taint anywhere gives every node 100."""
        return default_normalize(scores, reverse=True)
