"""Queueing hints of InterPodAffinity (SC-26)."""

from __future__ import annotations

from simulator.api.core import Node, Pod, PodAffinityTerm


def _terms(pod: Pod) -> tuple[PodAffinityTerm, ...]:
    affinity = pod.spec.affinity
    rule = affinity.pod_affinity if affinity is not None else None
    return rule.required if rule is not None else ()


def _anti_terms(pod: Pod) -> tuple[PodAffinityTerm, ...]:
    affinity = pod.spec.affinity
    rule = affinity.pod_anti_affinity if affinity is not None else None
    return rule.required if rule is not None else ()


def _matches(term: PodAffinityTerm, owner: Pod, other: Pod) -> bool:
    """Whether a term of `owner` is about `other`; a hint does not look at the labels of namespaces (SC-80)."""
    where = term.namespaces
    if not where and term.namespace_selector is None:
        where = (owner.metadata.namespace,)
    by_label = term.namespace_selector is not None and term.namespace_selector.selects({})
    if other.metadata.namespace not in where and not by_label:
        return False
    return term.label_selector is not None and term.label_selector.selects(other.metadata.labels)


def _matches_all(terms: tuple[PodAffinityTerm, ...], owner: Pod, other: Pod) -> bool:
    return bool(terms) and all(_matches(term, owner, other) for term in terms)


def pod_changed(pod: Pod, old: Pod | None, new: Pod | None) -> bool:
    """A pod that attracts was bound or relabelled, one that repels is gone or relabelled; or the pod's own labels."""
    if old is not None and new is not None:
        if new.metadata.uid == pod.metadata.uid:
            return True
        if not new.spec.node_name:
            return False
        terms, anti = _terms(pod), _anti_terms(pod)
        attracts = not _matches_all(terms, pod, old) and _matches_all(terms, pod, new)
        return attracts or (_matches_all(anti, pod, old) and not _matches_all(anti, pod, new))
    if new is not None:
        return bool(new.spec.node_name) and _matches_all(_terms(pod), pod, new)
    if old is None:
        return False
    return _matches_all(_anti_terms(pod), pod, old) or _matches_all(_anti_terms(old), old, pod)


def node_changed(pod: Pod, old: Node | None, new: Node) -> bool:
    """A node brings a domain for affinity, or leaves one of anti-affinity."""
    after = new.metadata.labels
    if old is None:
        return bool(_anti_terms(pod)) or any(term.topology_key in after for term in _terms(pod))
    before = old.metadata.labels
    for term in _terms(pod):
        key = term.topology_key
        if key in after and before.get(key) != after[key]:
            return True
    return any(term.topology_key in before and before[term.topology_key] != after.get(term.topology_key)
               for term in _anti_terms(pod))
