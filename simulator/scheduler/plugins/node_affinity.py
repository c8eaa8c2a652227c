"""NodeAffinity: node selectors, and required and preferred node affinity (SC-55 to SC-57, SC-87)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from msgspec import Struct

from simulator.api.core import Affinity, Node, Pod, PreferredSchedulingTerm
from simulator.api.core import NodeAffinity as NodeAffinityRule
from simulator.api.selectors import NodeSelector, node_selector_matches, term_matches
from simulator.scheduler.framework import (
    SUCCESS,
    FilterDefaults,
    NodeInfo,
    PreFilterResult,
    Snapshot,
    Status,
    default_normalize,
    skip,
    unresolvable,
)

NAME: Final = "NodeAffinity"
REFUSED: Final = unresolvable(NAME, "node(s) didn't match Pod's node affinity/selector")
REFUSED_BY_PROFILE: Final = unresolvable(NAME, "node(s) didn't match scheduler-enforced node affinity")
CONFLICT: Final = unresolvable(NAME, "pod affinity terms conflict")


def _rule(affinity: Affinity | None) -> NodeAffinityRule:
    return affinity.node_affinity or NodeAffinityRule() if affinity is not None else NodeAffinityRule()


class RequiredNodes(Struct, frozen=True):
    """Which nodes a pod's own selector and required affinity allow; both must match (SC-55)."""

    selector: tuple[tuple[str, str], ...] = ()
    affinity: NodeSelector | None = None

    @classmethod
    def of(cls, pod: Pod) -> RequiredNodes:
        """What the pod requires."""
        return cls(tuple(pod.spec.node_selector.items()), _rule(pod.spec.affinity).required)

    @property
    def is_anything(self) -> bool:
        """Whether every node is allowed."""
        return not self.selector and self.affinity is None

    def allows(self, node: Node) -> bool:
        """Whether a node is allowed."""
        labels = node.metadata.labels
        for key, value in self.selector:
            if labels.get(key) != value:
                return False
        return self.affinity is None or node_selector_matches(self.affinity, labels, node.metadata.name)


class NodeAffinity(FilterDefaults, Struct, frozen=True):
    """Refuses nodes that the pod, or the profile, does not select, and ranks the rest by preference.

    Attributes
    ----------
    added : ``addedAffinity`` of the profile; its requirement is checked first, its preferences count with the pod's.
    """

    name: ClassVar[str] = NAME

    added: NodeAffinityRule = NodeAffinityRule()

    def pre_filter(self, pod: Pod, snapshot: Snapshot) -> PreFilterResult:
        """What the pod requires; nodes that every term names by name are the only ones looked at (SC-57)."""
        required = RequiredNodes.of(pod)
        if required.is_anything and self.added.required is None:
            return PreFilterResult(skip(NAME))
        names = _named_nodes(required.affinity)
        if names is not None and not names:
            return PreFilterResult(CONFLICT)
        return PreFilterResult(state=required, node_names=names)

    def filter(self, state: RequiredNodes, pod: Pod, node: NodeInfo, snapshot: Snapshot) -> Status:
        """Whether profile and pod allow the node."""
        added = self.added.required
        if added is not None and not node_selector_matches(added, node.node.metadata.labels, node.name):
            return REFUSED_BY_PROFILE
        return SUCCESS if state.allows(node.node) else REFUSED

    def pre_score(self, pod: Pod, nodes: Sequence[NodeInfo], snapshot: Snapshot) -> PreFilterResult:
        """The preferred terms that can match (SC-87)."""
        terms = tuple(
            term
            for term in (*self.added.preferred, *_rule(pod.spec.affinity).preferred)
            if term.weight and (term.preference.match_expressions or term.preference.match_fields)
        )
        return PreFilterResult(state=terms) if terms else PreFilterResult(skip(NAME))

    def score(
        self, state: tuple[PreferredSchedulingTerm, ...], pod: Pod, node: NodeInfo, snapshot: Snapshot
    ) -> int:
        """Sum of the weights of the terms that the node satisfies."""
        labels, name = node.node.metadata.labels, node.name
        return sum(term.weight for term in state if term_matches(term.preference, labels, name))

    def normalize(
        self, state: tuple[PreferredSchedulingTerm, ...], pod: Pod, scores: Sequence[int], nodes: Sequence[NodeInfo]
    ) -> list[int]:
        """The best node gets 100."""
        return default_normalize(scores, reverse=False)


def _named_nodes(selector: NodeSelector | None) -> frozenset[str] | None:
    """Union over the terms of the node names each demands; None if a term demands none, or there is no term."""
    if selector is None or not selector.node_selector_terms:
        return None
    union: set[str] = set()
    for term in selector.node_selector_terms:
        demanded = [set(f.values) for f in term.match_fields if f.key == "metadata.name" and f.operator == "In"]
        if not demanded:
            return None
        union |= set.intersection(*demanded)
    return frozenset(union)
