"""Pods that keep another pod off a node, by where they run and by the rules of affinity and spread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from simulator.api.core import Node, Pod
from simulator.api.meta import Key, evolve
from simulator.api.placement import PodAffinityTerm
from simulator.diagnosis import relax
from simulator.diagnosis.fact import Fact
from simulator.explanation.evidence import Evidence
from simulator.explanation.words import domain, selector_text, short
from simulator.scheduler.plugins.inter_pod_affinity import Term, namespace_labels, pod_affinity, pod_anti_affinity
from simulator.scheduler.plugins.pod_topology_spread import HARD


def there_fact(pod: Pod) -> Fact:
    """A pod is on its node."""
    node = pod.spec.node_name
    verb = "runs on" if not pod.metadata.is_terminating else "is being deleted, and still on"
    return Fact(f"there {pod.key}", f"{short(pod)} {verb} {node}", (pod.key,), "if it ran elsewhere",
                lambda draft: relax.move_away(draft, [pod.key]), "", (node,), kind="there")


def spread_facts(evidence: Evidence, pod: Pod, node: Node) -> Iterator[Fact]:
    """The hard spread constraints, and the pods of the node's domain that count for them."""
    for number, constraint in enumerate(pod.spec.topology_spread_constraints):
        if constraint.when_unsatisfiable != HARD:
            continue
        where = domain(constraint.topology_key)
        yield Fact(
            f"spread {number} {pod.key}",
            f"pods with {selector_text(constraint.label_selector)} must be spread over each {where}, with at most "
            f"{constraint.max_skew} more in one than in another", (pod.key,), "if they need not",
            lambda draft, constraint=constraint: relax.change_pod(  # type: ignore[misc]
                draft, pod.key, lambda spec: evolve(spec, topology_spread_constraints=tuple(
                    other for other in spec.topology_spread_constraints if other != constraint))),
            f"spec.topologySpreadConstraints[{number}]", (node.name,), kind="spread",
        )
        if constraint.topology_key not in node.metadata.labels:
            continue
        selector = constraint.label_selector
        peers = [
            other for other in _in_domain(evidence, node, constraint.topology_key)
            if other.namespace == pod.namespace and selector is not None and selector.selects(other.metadata.labels)
        ]
        yield from (evolve(there_fact(other), nodes=(node.name,)) for other in peers)


def peer_facts(evidence: Evidence, pod: Pod, node: Node) -> Iterator[Fact]:
    """Who may not share a domain with whom, whose rule it is, and who is in the node's domains."""
    neighbours = _neighbours(evidence, pod)
    labels = node.metadata.labels
    for term, by_value in neighbours.own:
        others = by_value.get(labels.get(term.topology_key, ""), ())
        if others:
            yield _apart(pod, term, node)
            yield from (evolve(there_fact(other), nodes=(node.name,)) for other in others)
    for key in neighbours.keys:
        for owner, term in neighbours.opponents.get((key, labels.get(key, "")), ()):
            yield _apart(owner, term, node)
            yield evolve(there_fact(owner), nodes=(node.name,))
    for term, by_value in neighbours.wanted:
        if not by_value.get(labels.get(term.topology_key, "")):
            yield Fact(
                f"together {pod.key} {term.topology_key} {selector_text(term.label_selector)}",
                f"{short(pod)} must share a {domain(term.topology_key)} with {selector_text(term.label_selector)}",
                (pod.key,), "if it need not",
                lambda draft, term=term: relax.change_pod(  # type: ignore[misc]
                    draft, pod.key, lambda spec: relax.without_together(spec, term)),
                "spec.affinity.podAffinity", (node.name,), kind="together",
            )


ByValue = dict[str, list[Pod]]


class _Neighbours(Struct, frozen=True):
    """The pods that matter to a pod's place, by the value of a node label.

    Attributes
    ----------
    own : the pod's anti-affinity terms, with the pods that they mean.
    wanted : its affinity terms, likewise.
    opponents : (label, value) → pods there whose own anti-affinity means this pod, with the term.
    """

    pod: Pod
    own: tuple[tuple[PodAffinityTerm, ByValue], ...]
    wanted: tuple[tuple[PodAffinityTerm, ByValue], ...]
    opponents: dict[tuple[str, str], list[tuple[Pod, PodAffinityTerm]]]

    @property
    def keys(self) -> list[str]:
        """The labels that opponents look at."""
        return list(dict.fromkeys(key for key, _ in self.opponents))


def _neighbours(evidence: Evidence, pod: Pod) -> _Neighbours:
    """Worked out once for each pod: going through all pods for each node would take too long."""
    known = evidence.remembered.get("neighbours")
    if isinstance(known, _Neighbours) and known.pod is pod:
        return known
    view = evidence.snapshot.view
    placed = [(info.node.metadata.labels, other) for info in evidence.snapshot.nodes for other in info.pods]
    labels = namespace_labels(pod.namespace, view)

    def meant(terms: Sequence[PodAffinityTerm]) -> tuple[tuple[PodAffinityTerm, ByValue], ...]:
        found = []
        for term in terms:
            own, by_value = Term.of(term, pod).resolved(view), ByValue()
            for where, other in placed:
                if other.key != pod.key and own.matches(other, {}) and term.topology_key in where:
                    by_value.setdefault(where[term.topology_key], []).append(other)
            found.append((term, by_value))
        return tuple(found)

    opponents: dict[tuple[str, str], list[tuple[Pod, PodAffinityTerm]]] = {}
    for where, other in placed:
        for term in pod_anti_affinity(other).required if other.key != pod.key else ():
            if term.topology_key in where and Term.of(term, other).matches(pod, labels):
                opponents.setdefault((term.topology_key, where[term.topology_key]), []).append((other, term))
    known = evidence.remembered["neighbours"] = _Neighbours(
        pod, meant(pod_anti_affinity(pod).required), meant(pod_affinity(pod).required), opponents)
    return known


def _apart(pod: Pod, term: PodAffinityTerm, node: Node) -> Fact:
    controller = pod.metadata.controller
    owner = pod.key
    if controller is not None and controller.kind == "StatefulSet":
        owner = Key("StatefulSet", pod.namespace, controller.name)
    who = short(pod) if owner == pod.key else f"pods of {short(owner)}"
    return Fact(
        f"apart {owner} {term.topology_key} {selector_text(term.label_selector)}",
        f"{who} may not share a {domain(term.topology_key)} with {selector_text(term.label_selector)}",
        (owner, pod.key), "if they might" if owner != pod.key else "if it might",
        lambda draft: relax.without_rule_everywhere(draft, owner, term),
        ("spec." if owner == pod.key else "spec.template.spec.") + "affinity.podAntiAffinity", (node.name,),
        kind="apart",
    )


def _in_domain(evidence: Evidence, node: Node, topology_key: str) -> list[Pod]:
    value = node.metadata.labels.get(topology_key)
    if value is None:
        return []
    return [
        other
        for near in evidence.nodes_with(topology_key, value)
        for other in evidence.state.by("pods-by-node", near.name)
        if not other.is_finished
    ]
