"""Why pods keep another pod off a node: spread over domains, affinity and anti-affinity, their own or the pod's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from simulator.api.core import Node, Pod
from simulator.explanation.evidence import Evidence
from simulator.explanation.words import count, domain, listing, selector_text, short
from simulator.scheduler.plugins.inter_pod_affinity import Term, namespace_labels, pod_affinity, pod_anti_affinity
from simulator.scheduler.plugins.pod_topology_spread import PodTopologySpread, Spread


class Clause(Struct, frozen=True):
    """Why one node refuses: its name, `verb` and `rest`; and, after "and", what holds for all that refuse for this."""

    verb: str
    rest: str
    tail: str = ""


def spread(evidence: Evidence, pod: Pod, node: Node, reasons: Sequence[str]) -> Clause | None:
    """The hard constraint that one more pod here would break (SC-73)."""
    counted = PodTopologySpread().pre_filter(pod, evidence.snapshot).state
    if not isinstance(counted, Spread):
        return None
    for position, constraint in enumerate(counted.constraints):
        here = node.metadata.labels.get(constraint.key)
        matching = selector_text(constraint.selector)
        if here is None:
            return Clause("has", f"no label {constraint.key}", f"{short(pod)} must be spread over it")
        found, least = counted.counts[position].get(here, 0), counted.least[position]
        if found + counted.own[position] - least > constraint.max_skew:
            where = domain(constraint.key)
            head = f"{count(found, 'pod')} with {matching}" + ("" if where == "node" else f" in its {where} {here}")
            return Clause("has", head, f"the emptiest {where} has {least}, so that one more would break the spread of "
                          f"at most {constraint.max_skew} (maxSkew)")
    return None


def affinity(evidence: Evidence, pod: Pod, node: Node, reasons: Sequence[str]) -> Clause | None:
    """Own affinity, own anti-affinity, and that of the pods already there (SC-82)."""
    view = evidence.snapshot.view
    name = short(pod)
    said = " ".join(reasons)
    if "pod affinity rules" in said:
        for term in pod_affinity(pod).required:
            where = domain(term.topology_key)
            wanted = selector_text(term.label_selector)
            if term.topology_key not in node.metadata.labels:
                return Clause("has", f"no label {term.topology_key}", f"{name} must share a {where} with {wanted}")
            peers = Term.of(term, pod).resolved(view)
            if not any(peers.matches(other, {}) for other in _in_domain(evidence, node, term.topology_key)):
                return Clause("has", f"no pod with {wanted}" + ("" if where == "node" else f" in its {where}"),
                              f"{name} must share a {where} with one")
        return None
    if "existing pods" in said:
        labels = namespace_labels(pod.metadata.namespace, view)
        for other, topology_key, selector in _opponents(evidence, pod, node, labels):
            return _apart(node, topology_key, [other], f"{short(other)} may not share a {domain(topology_key)} with "
                          f"{selector}")
        return None
    for term in pod_anti_affinity(pod).required:
        own = Term.of(term, pod).resolved(view)
        others = [other for other in _in_domain(evidence, node, term.topology_key)
                  if other.key != pod.key and own.matches(other, {})]
        if others:
            return _apart(node, term.topology_key, others, f"{name} may not share a {domain(term.topology_key)} with "
                          f"{selector_text(term.label_selector)}")
    return None


def _apart(node: Node, topology_key: str, others: Sequence[Pod], tail: str) -> Clause:
    names = listing(short(other) for other in others)
    if domain(topology_key) == "node":
        return Clause("already runs", names, tail)
    where = f"{domain(topology_key)} {node.metadata.labels.get(topology_key, '')}"
    return Clause("lies in", f"{where}, where {names} {'runs' if len(others) == 1 else 'run'} already", tail)


def _opponents(evidence: Evidence, pod: Pod, node: Node, labels: Mapping[str, str]) -> Iterator[tuple[Pod, str, str]]:
    """Pods in the node's domains that do not want the pod there, with the domain and whom they refuse."""
    for owner in evidence.state.list(Pod):
        for term in pod_anti_affinity(owner).required if owner.spec.node_name and owner.key != pod.key else ():
            is_meant = Term.of(term, owner).matches(pod, labels)
            if is_meant and owner in _in_domain(evidence, node, term.topology_key):
                yield owner, term.topology_key, selector_text(term.label_selector)


def _in_domain(evidence: Evidence, node: Node, topology_key: str) -> list[Pod]:
    """The pods on all nodes that share the node's value of a label, finished ones left out."""
    value = node.metadata.labels.get(topology_key)
    if value is None:
        return []
    return [
        pod
        for other in evidence.nodes_with(topology_key, value)
        for pod in evidence.state.by("pods-by-node", other.name)
        if not pod.is_finished
    ]
