"""InterPodAffinity: pods that must, should, should not or must not share a domain (SC-80 to SC-83, SC-94).

Counts are kept per topology key and value of the node's label: key, then value, then how many. A count that falls to
zero is dropped, for "nothing matches anywhere" is a case of its own (the first pod of a group, SC-82).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Final

from msgspec import Struct
from msgspec.structs import replace

from simulator.api.core import Namespace, Pod, PodAffinity, PodAffinityTerm
from simulator.api.meta import Labels
from simulator.api.selectors import LabelSelector
from simulator.cluster.component import View
from simulator.scheduler.framework import (
    MAX_SCORE,
    SUCCESS,
    FilterDefaults,
    NodeInfo,
    PreFilterResult,
    Snapshot,
    Status,
    skip,
    unresolvable,
    unschedulable,
)

NAME: Final = "InterPodAffinity"
AFFINITY: Final = unresolvable(NAME, "node(s) didn't match pod affinity rules")
ANTI_AFFINITY: Final = unschedulable(NAME, "node(s) didn't match pod anti-affinity rules")
EXISTING_ANTI_AFFINITY: Final = unschedulable(NAME, "node(s) didn't satisfy existing pods anti-affinity rules")

Counts = dict[str, dict[str, int]]
_NO_RULES: Final = PodAffinity()
_NO_LABELS: Final[Labels] = {}


class Term(Struct, frozen=True):
    """One affinity term with its namespaces worked out (SC-80)."""

    key: str
    namespaces: frozenset[str]
    namespace_selector: LabelSelector | None
    selector: LabelSelector | None
    pairs: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, term: PodAffinityTerm, owner: Pod) -> Term:
        """The term as it stands; no namespaces and no namespace selector mean the owner's namespace."""
        names = frozenset(term.namespaces)
        if not names and term.namespace_selector is None:
            names = frozenset((owner.metadata.namespace,))
        selector = term.label_selector
        pairs = tuple(selector.match_labels.items()) if selector is not None else ()
        return cls(term.topology_key, names, term.namespace_selector, selector, pairs)

    def resolved(self, view: View) -> Term:
        """The term with a namespace selector replaced by the names it selects now; an empty one stays: it means all."""
        selector = self.namespace_selector
        if selector is None or selector.is_empty:
            return self
        found = [each.metadata.name for each in view.list(Namespace) if selector.selects(each.metadata.labels)]
        return replace(self, namespaces=self.namespaces | set(found), namespace_selector=None)

    def matches(self, pod: Pod, namespace_labels: Labels) -> bool:
        """Whether a pod, in a namespace with these labels, is meant by the term."""
        meta = pod.metadata
        labels = meta.labels
        for key, value in self.pairs:
            if labels.get(key) != value:
                return False
        if self.selector is None or (self.selector.match_expressions and not self.selector.selects(labels)):
            return False
        if meta.namespace in self.namespaces:
            return True
        return self.namespace_selector is not None and self.namespace_selector.selects(namespace_labels)


def pod_affinity(pod: Pod) -> PodAffinity:
    """The pod's affinity to pods, empty if it has none."""
    affinity = pod.spec.affinity
    return affinity.pod_affinity or _NO_RULES if affinity is not None else _NO_RULES


def pod_anti_affinity(pod: Pod) -> PodAffinity:
    """The pod's anti-affinity to pods, empty if it has none."""
    affinity = pod.spec.affinity
    return affinity.pod_anti_affinity or _NO_RULES if affinity is not None else _NO_RULES


def namespace_labels(namespace: str, view: View) -> Labels:
    """The labels of a namespace; none if it is not there."""
    found = view.get(Namespace, namespace)
    return found.metadata.labels if found is not None else _NO_LABELS


class Matches(Struct, frozen=True):
    """What was counted for one pod (SC-81).

    Attributes
    ----------
    affinity_terms, anti_affinity_terms : the pod's own required terms.
    labels : of the pod's namespace.
    affinity : existing pods that match all own affinity terms; `anti_affinity` : any own anti-affinity term;
        `existing` : existing pods with an anti-affinity term that the pod matches.
    is_own_peer : whether the pod matches all its own affinity terms.
    """

    affinity_terms: tuple[Term, ...]
    anti_affinity_terms: tuple[Term, ...]
    labels: Labels
    affinity: Counts
    anti_affinity: Counts
    existing: Counts
    is_own_peer: bool

    def counting(self, pod: Pod, other: Pod, node_labels: Labels, sign: int) -> Matches:
        """The counts with `other` on a node with these labels, or without it."""
        affinity, anti_affinity, existing = _copy(self.affinity), _copy(self.anti_affinity), _copy(self.existing)
        _count_peers(affinity, anti_affinity, self, other, node_labels, sign)
        for term in pod_anti_affinity(other).required:
            if Term.of(term, other).matches(pod, self.labels):
                _count(existing, term.topology_key, node_labels, sign)
        return replace(self, affinity=affinity, anti_affinity=anti_affinity, existing=existing)


class InterPodAffinity(FilterDefaults, Struct, frozen=True):
    """Keeps pods together and apart, by required terms in `filter` and by preferred ones in `score`.

    Attributes
    ----------
    hard_pod_affinity_weight : what a required affinity term of an existing pod counts in scores (SC-94).
    ignore_preferred_terms_of_existing_pods : score only pods that have preferred terms themselves.
    """

    name: ClassVar[str] = NAME

    hard_pod_affinity_weight: int = 1
    ignore_preferred_terms_of_existing_pods: bool = False

    def pre_filter(self, pod: Pod, snapshot: Snapshot) -> PreFilterResult:
        """Count who matches whom, per domain."""
        view = snapshot.view
        labels = namespace_labels(pod.metadata.namespace, view)
        affinity_terms = tuple(Term.of(term, pod).resolved(view) for term in pod_affinity(pod).required)
        anti_terms = tuple(Term.of(term, pod).resolved(view) for term in pod_anti_affinity(pod).required)
        existing = _existing_anti_affinity(pod, labels, snapshot.nodes)
        if not existing and not affinity_terms and not anti_terms:
            return PreFilterResult(skip(NAME))
        matches = Matches(
            affinity_terms=affinity_terms, anti_affinity_terms=anti_terms, labels=labels, affinity={},
            anti_affinity={}, existing=existing, is_own_peer=_matches_all(affinity_terms, pod),
        )
        if affinity_terms or anti_terms:
            for info in snapshot.nodes:
                if info.pods:
                    node_labels = info.node.metadata.labels
                    for other in info.pods:
                        _count_peers(matches.affinity, matches.anti_affinity, matches, other, node_labels, 1)
        return PreFilterResult(state=matches)

    def filter(self, state: Matches, pod: Pod, node: NodeInfo, snapshot: Snapshot) -> Status:
        """Whether own affinity, own anti-affinity and that of the pods already there allow the node (SC-82)."""
        labels = node.node.metadata.labels
        if state.affinity_terms and not _affinity_allows(state, labels):
            return AFFINITY
        if state.anti_affinity:
            for term in state.anti_affinity_terms:
                if _count_at(state.anti_affinity, term.key, labels) > 0:
                    return ANTI_AFFINITY
        for key in state.existing:
            if _count_at(state.existing, key, labels) > 0:
                return EXISTING_ANTI_AFFINITY
        return SUCCESS

    def add_pod(self, state: Matches, pod: Pod, other: Pod, node: NodeInfo, snapshot: Snapshot) -> Matches:
        """The counts with `other` on `node` as well."""
        return state.counting(pod, other, node.node.metadata.labels, 1)

    def remove_pod(self, state: Matches, pod: Pod, other: Pod, node: NodeInfo, snapshot: Snapshot) -> Matches:
        """The counts without `other`."""
        return state.counting(pod, other, node.node.metadata.labels, -1)

    def pre_score(self, pod: Pod, nodes: Sequence[NodeInfo], snapshot: Snapshot) -> PreFilterResult:
        """Add up, per domain, what attracts and what repels (SC-94); skipped if nothing does."""
        view = snapshot.view
        own = [
            (Term.of(term.pod_affinity_term, pod).resolved(view), sign * term.weight)
            for sign, rules in ((1, pod_affinity(pod)), (-1, pod_anti_affinity(pod)))
            for term in rules.preferred
        ]
        if self.ignore_preferred_terms_of_existing_pods and not own:
            return PreFilterResult(skip(NAME))
        labels = namespace_labels(pod.metadata.namespace, view)
        totals: Counts = {}
        # Pods of one template share their rules: what one of them contributes is what the next one does.
        known_rules, known_namespace, known = None, "", _NOTHING
        for info in snapshot.nodes:
            node_labels = info.node.metadata.labels
            for other in info.pods if own else info.with_affinity:
                for term, weight in own:
                    if term.matches(other, _NO_LABELS):
                        _weigh(totals, term.key, node_labels, weight)
                rules = other.spec.affinity
                if rules is None:
                    continue
                if rules is not known_rules or other.metadata.namespace != known_namespace:
                    known_rules, known_namespace = rules, other.metadata.namespace
                    known = tuple(self._contributions(other, pod, labels))
                for key, weight in known:
                    _weigh(totals, key, node_labels, weight)
        return PreFilterResult(state=totals) if totals else PreFilterResult(skip(NAME))

    def _contributions(self, other: Pod, pod: Pod, labels: Labels) -> Iterable[tuple[str, int]]:
        """Topology key and weight of each term of an existing pod that `pod` matches."""
        attracting = pod_affinity(other)
        if self.hard_pod_affinity_weight > 0:
            for required in attracting.required:
                if Term.of(required, other).matches(pod, labels):
                    yield required.topology_key, self.hard_pod_affinity_weight
        for sign, rules in ((1, attracting), (-1, pod_anti_affinity(other))):
            for preferred in rules.preferred:
                term = preferred.pod_affinity_term
                if Term.of(term, other).matches(pod, labels):
                    yield term.topology_key, sign * preferred.weight

    def score(self, state: Counts, pod: Pod, node: NodeInfo, snapshot: Snapshot) -> int:
        """The sum over the domains that the node is in."""
        labels = node.node.metadata.labels
        return sum(_count_at(state, key, labels) for key in state)

    def normalize(self, state: Counts, pod: Pod, scores: Sequence[int], nodes: Sequence[NodeInfo]) -> list[int]:
        """The least gets 0, the most 100; all 0 if they are equal."""
        least, most = min(scores), max(scores)
        if most == least:
            return [0] * len(scores)
        return [int(MAX_SCORE * ((score - least) / (most - least))) for score in scores]


_NOTHING: Final[tuple[tuple[str, int], ...]] = ()


def _affinity_allows(state: Matches, labels: Labels) -> bool:
    together = True
    for term in state.affinity_terms:
        if term.key not in labels:
            return False
        together = together and _count_at(state.affinity, term.key, labels) > 0
    # The first pod of a group has no peer anywhere, and may start it on any node with the keys.
    return together or (not state.affinity and state.is_own_peer)


def _existing_anti_affinity(pod: Pod, labels: Labels, nodes: Iterable[NodeInfo]) -> Counts:
    """Existing pods that want to be apart from `pod`, per domain; only those with such terms are looked at."""
    counts: Counts = {}
    known_rules, known_namespace = None, ""
    keys: tuple[str, ...] = ()
    for info in nodes:
        for other in info.with_anti_affinity:
            rules = other.spec.affinity
            if rules is not known_rules or other.metadata.namespace != known_namespace:
                known_rules, known_namespace = rules, other.metadata.namespace
                terms = pod_anti_affinity(other).required
                keys = tuple(term.topology_key for term in terms if Term.of(term, other).matches(pod, labels))
            for key in keys:
                _count(counts, key, info.node.metadata.labels, 1)
    return counts


def _matches_all(terms: Sequence[Term], pod: Pod) -> bool:
    return bool(terms) and all(term.matches(pod, _NO_LABELS) for term in terms)


def _count_peers(
    affinity: Counts, anti_affinity: Counts, own: Matches, other: Pod, node_labels: Labels, sign: int
) -> None:
    if own.affinity_terms and _matches_all(own.affinity_terms, other):
        for term in own.affinity_terms:
            _count(affinity, term.key, node_labels, sign)
    for term in own.anti_affinity_terms:
        if term.matches(other, _NO_LABELS):
            _count(anti_affinity, term.key, node_labels, sign)


def _count(counts: Counts, key: str, node_labels: Labels, by: int) -> None:
    value = node_labels.get(key)
    if value is None:
        return
    values = counts.setdefault(key, {})
    values[value] = values.get(value, 0) + by
    if values[value] == 0:
        del values[value]
        if not values:
            del counts[key]


def _weigh(totals: Counts, key: str, node_labels: Labels, weight: int) -> None:
    value = node_labels.get(key)
    if value is not None:
        values = totals.setdefault(key, {})
        values[value] = values.get(value, 0) + weight


def _count_at(counts: Mapping[str, Mapping[str, int]], key: str, labels: Labels) -> int:
    values, value = counts.get(key), labels.get(key)
    return values.get(value, 0) if values is not None and value is not None else 0


def _copy(counts: Counts) -> Counts:
    return {key: dict(values) for key, values in counts.items()}
