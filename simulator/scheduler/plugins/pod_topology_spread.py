"""PodTopologySpread: spread matching pods evenly over the domains of a label (SC-70 to SC-79, SC-93)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Context, Decimal
from functools import lru_cache
from typing import ClassVar, Final

from msgspec import Struct
from msgspec.structs import replace

from simulator.api.apps import StatefulSet
from simulator.api.core import Node, Pod, Service, TopologySpreadConstraint
from simulator.api.meta import Labels
from simulator.api.nodes import HOSTNAME
from simulator.api.selectors import LabelSelector, LabelSelectorRequirement
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
from simulator.scheduler.plugins.node_affinity import RequiredNodes
from simulator.scheduler.plugins.shape import round_half_up
from simulator.scheduler.plugins.taint_toleration import has_untolerated_taint

NAME: Final = "PodTopologySpread"
REFUSED: Final = unschedulable(NAME, "node(s) didn't match pod topology spread constraints")
MISSING_LABEL: Final = unresolvable(
    NAME, "node(s) didn't match pod topology spread constraints (missing required label)"
)
HARD: Final = "DoNotSchedule"
SOFT: Final = "ScheduleAnyway"
SYSTEM_DEFAULTS: Final = (
    TopologySpreadConstraint(max_skew=3, topology_key=HOSTNAME, when_unsatisfiable=SOFT),
    TopologySpreadConstraint(max_skew=5, topology_key="topology.kubernetes.io/zone", when_unsatisfiable=SOFT),
)


class Constraint(Struct, frozen=True):
    """A constraint of one pod, defaults filled in."""

    max_skew: int
    key: str
    selector: LabelSelector | None
    min_domains: int
    honors_affinity: bool
    honors_taints: bool

    def admits(self, node: Node, pod: Pod, required: RequiredNodes) -> bool:
        """Whether the node's pods count (SC-71)."""
        if self.honors_affinity and not required.allows(node):
            return False
        return not (self.honors_taints and has_untolerated_taint(pod, node.spec.taints))

    def counts(self, pod: Pod) -> bool:
        """Whether an existing pod of the namespace is selected; an empty selector counts none (SC-72)."""
        selector = self.selector
        return selector is not None and not selector.is_empty and selector.selects(pod.metadata.labels)


class Spread(Struct, frozen=True):
    """What was counted for one pod (SC-72): matching pods per domain, the least of them, and whether the pod counts."""

    constraints: tuple[Constraint, ...]
    counts: tuple[dict[str, int], ...]
    least: tuple[int, ...]
    own: tuple[int, ...]
    required: RequiredNodes


class SoftSpread(Struct, frozen=True):
    """What was counted for the score of one pod (SC-93).

    Attributes
    ----------
    constraints : those that can make a difference.
    counts : matching pods per domain; None for the hostname, where each node is asked for its own.
    ignored : nodes that lack a key and get 0.
    """

    constraints: tuple[Constraint, ...]
    counts: tuple[dict[str, int] | None, ...]
    weights: tuple[float, ...]
    ignored: frozenset[str]


class PodTopologySpread(FilterDefaults, Struct, frozen=True):
    """Refuses nodes by hard constraints, and ranks nodes by soft ones.

    Attributes
    ----------
    default_constraints : for pods that list no constraint, with the selector of their services and set (SC-79).
    is_system_defaulted : whether these are Kubernetes' own, which do not ask nodes to have all the labels.
    """

    name: ClassVar[str] = NAME

    default_constraints: tuple[TopologySpreadConstraint, ...] = SYSTEM_DEFAULTS
    is_system_defaulted: bool = True

    def _constraints(self, pod: Pod, action: str, view: View) -> tuple[Constraint, ...]:
        listed = pod.spec.topology_spread_constraints
        if listed:
            return tuple(_constraint(each, pod) for each in listed if each.when_unsatisfiable == action)
        defaults = [each for each in self.default_constraints if each.when_unsatisfiable == action]
        selector = _default_selector(pod, view) if defaults else LabelSelector()
        if selector.is_empty:
            return ()
        return tuple(replace(_constraint(each, pod), selector=selector) for each in defaults)

    def pre_filter(self, pod: Pod, snapshot: Snapshot) -> PreFilterResult:
        """Count matching pods per domain over the nodes that count."""
        constraints = self._constraints(pod, HARD, snapshot.view)
        if not constraints:
            return PreFilterResult(skip(NAME))
        required = RequiredNodes.of(pod)
        counts: tuple[dict[str, int], ...] = tuple({} for _ in constraints)
        for info in snapshot.nodes:
            labels = info.node.metadata.labels
            if not _has_all_keys(labels, constraints):
                continue
            for constraint, domains in zip(constraints, counts, strict=True):
                if constraint.admits(info.node, pod, required):
                    domain = labels[constraint.key]
                    domains[domain] = domains.get(domain, 0) + _matching(info.pods, pod, constraint)
        return PreFilterResult(state=Spread(
            constraints=constraints, counts=counts, least=_least(constraints, counts),
            own=tuple(_selects_own(constraint, pod) for constraint in constraints), required=required,
        ))

    def filter(self, state: Spread, pod: Pod, node: NodeInfo, snapshot: Snapshot) -> Status:
        """Whether the pod would not make any domain too full; constraint by constraint (SC-73)."""
        labels = node.node.metadata.labels
        for place, constraint in enumerate(state.constraints):
            domain = labels.get(constraint.key)
            if domain is None:
                return MISSING_LABEL
            # SC-75: a node that does not count itself is judged all the same, by what others bring into its domain.
            if state.counts[place].get(domain, 0) + state.own[place] - state.least[place] > constraint.max_skew:
                return REFUSED
        return SUCCESS

    def add_pod(self, state: Spread, pod: Pod, other: Pod, node: NodeInfo, snapshot: Snapshot) -> Spread:
        """The counts with `other` on `node` as well."""
        return _counting(state, pod, other, node.node, 1)

    def remove_pod(self, state: Spread, pod: Pod, other: Pod, node: NodeInfo, snapshot: Snapshot) -> Spread:
        """The counts without `other`; a terminating one is taken off although it never counted (SC-76)."""
        return _counting(state, pod, other, node.node, -1)

    def pre_score(self, pod: Pod, nodes: Sequence[NodeInfo], snapshot: Snapshot) -> PreFilterResult:
        """Count matching pods per domain of the feasible nodes, and weigh each constraint by its domains."""
        constraints = self._constraints(pod, SOFT, snapshot.view)
        if not constraints:
            return PreFilterResult(skip(NAME))
        needs_all_keys = bool(pod.spec.topology_spread_constraints) or not self.is_system_defaulted
        scored, ignored = list(nodes), frozenset[str]()
        if needs_all_keys:
            scored = [info for info in nodes if _has_all_keys(info.node.metadata.labels, constraints)]
            ignored = frozenset(info.name for info in nodes) - {info.name for info in scored}
        required = RequiredNodes.of(pod)
        kept: list[Constraint] = []
        counts: list[dict[str, int] | None] = []
        weights: list[float] = []
        for constraint in constraints:
            if not any(constraint.key in info.node.metadata.labels for info in scored):
                continue  # no feasible node has the label, so that the constraint adds nothing to any
            kept.append(constraint)
            if constraint.key == HOSTNAME:
                counts.append(None)
                weights.append(_log(len(scored) + 2))
                continue
            # A node without the label counts as one of a domain without a name.
            domains = {info.node.metadata.labels.get(constraint.key, ""): 0 for info in scored}
            weights.append(_log(len(domains) + 2))
            for info in snapshot.nodes:
                labels = info.node.metadata.labels
                domain = labels.get(constraint.key, "")
                if domain not in domains or (needs_all_keys and not _has_all_keys(labels, constraints)):
                    continue
                if constraint.admits(info.node, pod, required):
                    domains[domain] += _matching(info.pods, pod, constraint)
            counts.append(domains)
        return PreFilterResult(state=SoftSpread(tuple(kept), tuple(counts), tuple(weights), ignored))

    def score(self, state: SoftSpread, pod: Pod, node: NodeInfo, snapshot: Snapshot) -> int:
        """How full the node's domains are, the fewer domains there are the less it weighs."""
        if state.ignored and node.name in state.ignored:
            return 0
        labels = node.node.metadata.labels
        total = 0.0
        for constraint, domains, weight in zip(state.constraints, state.counts, state.weights, strict=True):
            domain = labels.get(constraint.key)
            if domain is not None:
                count = _matching(node.pods, pod, constraint) if domains is None else domains[domain]
                total += count * weight + (constraint.max_skew - 1)
        return round_half_up(total)

    def normalize(
        self, state: SoftSpread, pod: Pod, scores: Sequence[int], nodes: Sequence[NodeInfo]
    ) -> list[int]:
        """The fewest matching pods get the most; ignored nodes get 0."""
        rated = [score for score, info in zip(scores, nodes, strict=True) if info.name not in state.ignored]
        least, most = min(rated, default=0), max(rated, default=0)
        return [
            0 if info.name in state.ignored else MAX_SCORE if most == 0 else MAX_SCORE * (most + least - score) // most
            for score, info in zip(scores, nodes, strict=True)
        ]


def _constraint(constraint: TopologySpreadConstraint, pod: Pod) -> Constraint:
    """Defaults filled in (SC-71, SC-73), and the values of matchLabelKeys ANDed to the selector (SC-74)."""
    selector = constraint.label_selector
    labels = pod.metadata.labels
    own = tuple(
        LabelSelectorRequirement(key=key, operator="In", values=(labels[key],))
        for key in constraint.match_label_keys
        if key in labels
    )
    if own:
        selector = selector or LabelSelector()
        selector = replace(selector, match_expressions=(*selector.match_expressions, *own))
    return Constraint(
        max_skew=constraint.max_skew, key=constraint.topology_key, selector=selector,
        min_domains=constraint.min_domains if constraint.min_domains is not None else 1,
        honors_affinity=constraint.node_affinity_policy in (None, "Honor"),
        honors_taints=constraint.node_taints_policy == "Honor",
    )


def _default_selector(pod: Pod, view: View) -> LabelSelector:
    """What the services that select the pod, and the set that controls it, all ask for (SC-79)."""
    labels = pod.metadata.labels
    wanted: dict[str, str] = {}
    for service in view.list(Service, pod.metadata.namespace):
        selector = service.spec.selector
        if all(labels.get(key) == value for key, value in selector.items()):
            wanted.update(selector)
    expressions: tuple[LabelSelectorRequirement, ...] = ()
    owner = pod.metadata.controller
    if owner is not None and owner.kind == StatefulSet.KIND:
        owning = view.get(StatefulSet, owner.name, pod.metadata.namespace)
        if owning is not None and owning.spec.selector is not None:
            its = owning.spec.selector
            expressions = its.match_expressions + tuple(
                LabelSelectorRequirement(key=key, operator="In", values=(value,))
                for key, value in its.match_labels.items()
            )
    return LabelSelector(match_labels=wanted, match_expressions=expressions)


def _has_all_keys(labels: Labels, constraints: Iterable[Constraint]) -> bool:
    return all(constraint.key in labels for constraint in constraints)


def _matching(pods: Iterable[Pod], pod: Pod, constraint: Constraint) -> int:
    """Pods of the same namespace, not terminating, that the constraint selects (SC-72, SC-77)."""
    namespace = pod.metadata.namespace
    count = 0
    for other in pods:
        meta = other.metadata
        if meta.namespace == namespace and meta.deletion_timestamp is None and constraint.counts(other):
            count += 1
    return count


def _selects_own(constraint: Constraint, pod: Pod) -> int:
    return int(constraint.selector is not None and constraint.selector.selects(pod.metadata.labels))


def _least(constraints: Sequence[Constraint], counts: Sequence[dict[str, int]]) -> tuple[int, ...]:
    """The emptiest domain's count; 0 while there are too few domains (SC-73)."""
    return tuple(
        min(domains.values()) if domains and len(domains) >= constraint.min_domains else 0
        for constraint, domains in zip(constraints, counts, strict=True)
    )


def _counting(state: Spread, pod: Pod, other: Pod, node: Node, by: int) -> Spread:
    labels = node.metadata.labels
    if other.metadata.namespace != pod.metadata.namespace or not _has_all_keys(labels, state.constraints):
        return state
    counts = list(state.counts)
    for place, constraint in enumerate(state.constraints):
        if constraint.selector is None or not constraint.selector.selects(other.metadata.labels):
            continue
        if constraint.admits(node, pod, state.required):
            domain = labels[constraint.key]
            counts[place] = {**counts[place], domain: counts[place].get(domain, 0) + by}
    return replace(state, counts=tuple(counts), least=_least(state.constraints, counts))


@lru_cache(maxsize=4096)
def _log(value: int) -> float:
    """The natural logarithm, correctly rounded: the C library's last digit differs between machines."""
    return float(Decimal(value).ln(Context(prec=30)))
