"""Where a pod may run: affinities, tolerations, spread constraints; what is wrong with them, and their label keys."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from simulator.api.core import Affinity, PodAffinity, PodAffinityTerm, PodSpec, Toleration, TopologySpreadConstraint
from simulator.api.meta import Labels, evolve
from simulator.api.selectors import LabelSelector, LabelSelectorRequirement
from simulator.cluster.admission.metadata import (
    key_errors,
    label_selector_errors,
    node_selector_errors,
    node_term_errors,
)
from simulator.cluster.admission.names import label_name, label_value
from simulator.cluster.admission.nodes import effect_errors
from simulator.cluster.admission.refusals import duplicate, invalid, required, unsupported

_WHEN: Final = ("DoNotSchedule", "ScheduleAnyway")
_POLICIES: Final = ("Honor", "Ignore")
_WEIGHT: Final = "must be in the range 1-100"


def affinity_errors(affinity: Affinity) -> list[str]:
    """What is wrong with the affinities of a pod."""
    errors: list[str] = []
    path = "spec.affinity"
    if (nodes := affinity.node_affinity) is not None:
        if nodes.required is not None:
            errors += node_selector_errors(
                nodes.required, f"{path}.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution")
        for number, wish in enumerate(nodes.preferred):
            here = f"{path}.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[{number}]"
            if not 1 <= wish.weight <= 100:
                errors.append(invalid(f"{here}.weight", wish.weight, _WEIGHT))
            errors += node_term_errors(wish.preference, f"{here}.preference", strict=False)
    if affinity.pod_affinity is not None:
        errors += _pod_affinity_errors(affinity.pod_affinity, f"{path}.podAffinity")
    if affinity.pod_anti_affinity is not None:
        errors += _pod_affinity_errors(affinity.pod_anti_affinity, f"{path}.podAntiAffinity")
    return errors


def _pod_affinity_errors(affinity: PodAffinity, path: str) -> list[str]:
    errors: list[str] = []
    for number, term in enumerate(affinity.required):
        errors += _term_errors(term, f"{path}.requiredDuringSchedulingIgnoredDuringExecution[{number}]")
    for number, wish in enumerate(affinity.preferred):
        here = f"{path}.preferredDuringSchedulingIgnoredDuringExecution[{number}]"
        if not 1 <= wish.weight <= 100:
            errors.append(invalid(f"{here}.weight", wish.weight, _WEIGHT))
        errors += _term_errors(wish.pod_affinity_term, f"{here}.podAffinityTerm")
    return errors


def _term_errors(term: PodAffinityTerm, path: str) -> list[str]:
    errors = label_selector_errors(term.label_selector, f"{path}.labelSelector")
    errors += label_selector_errors(term.namespace_selector, f"{path}.namespaceSelector")
    errors += [invalid(f"{path}.namespace", name, why) for name in term.namespaces for why in label_name(name)]
    if term.label_selector is None:
        errors += [invalid(f"{path}.{field}", list(keys), "must not be specified when labelSelector is not set")
                   for field, keys in (("matchLabelKeys", term.match_label_keys),
                                       ("mismatchLabelKeys", term.mismatch_label_keys)) if keys]
    errors += [invalid(f"{path}.matchLabelKeys[{number}]", key, "exists in both matchLabelKeys and mismatchLabelKeys")
               for number, key in enumerate(term.match_label_keys) if key in term.mismatch_label_keys]
    if not term.topology_key:
        errors.append(required(f"{path}.topologyKey", "can not be empty"))
    return errors + key_errors(term.topology_key, f"{path}.topologyKey")


def tolerations_errors(tolerations: tuple[Toleration, ...]) -> list[str]:
    """What is wrong with the tolerations of a pod."""
    errors: list[str] = []
    for number, toleration in enumerate(tolerations):
        path = f"spec.tolerations[{number}]"
        if toleration.key:
            errors += key_errors(toleration.key, f"{path}.key")
        elif toleration.operator != "Exists":
            errors.append(invalid(
                f"{path}.operator", toleration.operator,
                'operator must be Exists when `key` is empty, which means "match all values and all keys"'))
        if toleration.toleration_seconds is not None and toleration.effect != "NoExecute":
            errors.append(invalid(f"{path}.effect", toleration.effect,
                                  "effect must be 'NoExecute' when `tolerationSeconds` is set"))
        if toleration.operator in ("", "Equal"):
            if found := label_value(toleration.value):
                errors.append(invalid(f"{path}.operator", toleration.value, ";".join(found)))
        elif toleration.operator == "Exists":
            if toleration.value:
                errors.append(invalid(f"{path}.operator", toleration.value,
                                      "value must be empty when `operator` is 'Exists'"))
        else:
            errors.append(unsupported(f"{path}.operator", toleration.operator, ("Equal", "Exists")))
        errors += effect_errors(toleration.effect, f"{path}.effect", may_be_empty=True)
    return errors


def spread_errors(constraints: tuple[TopologySpreadConstraint, ...]) -> list[str]:
    """What is wrong with the spread constraints of a pod."""
    errors: list[str] = []
    seen: list[tuple[str, str]] = []
    for number, constraint in enumerate(constraints):
        path = f"spec.topologySpreadConstraints[{number}]"
        when = constraint.when_unsatisfiable
        if constraint.max_skew <= 0:
            errors.append(invalid(f"{path}.maxSkew", constraint.max_skew, "must be greater than zero"))
        if not constraint.topology_key:
            errors.append(required(f"{path}.topologyKey", "can not be empty"))
        else:
            errors += key_errors(constraint.topology_key, f"{path}.topologyKey")
        if when not in _WHEN:
            errors.append(unsupported(f"{path}.whenUnsatisfiable", when, _WHEN))
        pair = (constraint.topology_key, when)
        if pair in seen:
            errors.append(duplicate(f"{path}.{{topologyKey, whenUnsatisfiable}}", f"{{{pair[0]}, {pair[1]}}}"))
        seen.append(pair)
        if constraint.min_domains is not None:
            if constraint.min_domains <= 0:
                errors.append(invalid(f"{path}.minDomains", constraint.min_domains, "must be greater than zero"))
            if when != "DoNotSchedule":
                errors.append(invalid(f"{path}.minDomains", constraint.min_domains, "can only use minDomains if "
                                      f"whenUnsatisfiable=DoNotSchedule, not {when}"))
        errors += [unsupported(f"{path}.{field}", policy, _POLICIES)
                   for field, policy in (("nodeAffinityPolicy", constraint.node_affinity_policy),
                                         ("nodeTaintsPolicy", constraint.node_taints_policy))
                   if policy is not None and policy not in _POLICIES]
        if constraint.match_label_keys and constraint.label_selector is None:
            errors.append(invalid(f"{path}.matchLabelKeys", list(constraint.match_label_keys),
                                  "must not be specified when labelSelector is not set"))
        errors += label_selector_errors(constraint.label_selector, f"{path}.labelSelector")
    return errors


# --- label keys -------------------------------------------------------------------------------------------------------


def has_label_keys(spec: PodSpec) -> bool:
    """Whether any term takes values from the pod's own labels, so that equal specs may end up different."""
    if any(constraint.match_label_keys for constraint in spec.topology_spread_constraints):
        return True
    affinity = spec.affinity
    return affinity is not None and any(
        term.match_label_keys or term.mismatch_label_keys
        for part in (affinity.pod_affinity, affinity.pod_anti_affinity) if part is not None
        for term in (*part.required, *(wish.pod_affinity_term for wish in part.preferred))
    )


def with_label_keys(spec: PodSpec, labels: Labels) -> PodSpec:
    """The spec with the pod's own label values merged into its selectors, at creation only (SC-74, SC-80)."""
    if not has_label_keys(spec):
        return spec
    spread = tuple(
        evolve(constraint, label_selector=_merged(constraint.label_selector, labels, constraint.match_label_keys, ()))
        for constraint in spec.topology_spread_constraints
    )
    affinity = spec.affinity
    if affinity is not None:
        affinity = evolve(affinity, pod_affinity=_with_keys(affinity.pod_affinity, labels),
                          pod_anti_affinity=_with_keys(affinity.pod_anti_affinity, labels))
    return evolve(spec, topology_spread_constraints=spread, affinity=affinity)


def _with_keys(affinity: PodAffinity | None, labels: Labels) -> PodAffinity | None:
    if affinity is None:
        return None

    def merged(term: PodAffinityTerm) -> PodAffinityTerm:
        keys = (term.match_label_keys, term.mismatch_label_keys)
        return evolve(term, label_selector=_merged(term.label_selector, labels, *keys))

    return evolve(
        affinity,
        required_during_scheduling_ignored_during_execution=tuple(merged(term) for term in affinity.required),
        preferred_during_scheduling_ignored_during_execution=tuple(
            evolve(wish, pod_affinity_term=merged(wish.pod_affinity_term)) for wish in affinity.preferred),
    )


def _merged(
    selector: LabelSelector | None, labels: Labels, same: Iterable[str], other: Iterable[str]
) -> LabelSelector | None:
    if selector is None:
        return None
    added = tuple(
        LabelSelectorRequirement(key=key, operator=operator, values=(labels[key],))
        for operator, keys in (("In", same), ("NotIn", other)) for key in keys if key in labels
    )
    return evolve(selector, match_expressions=(*selector.match_expressions, *added)) if added else selector
