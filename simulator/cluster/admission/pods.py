"""Pods: what is wrong with a new one, and which changes are refused (WL-13)."""

from __future__ import annotations

from typing import Any, Final

from simulator.api.core import Pod, PodSpec
from simulator.api.meta import evolve
from simulator.cluster.admission.affinity import affinity_errors, spread_errors, tolerations_errors
from simulator.cluster.admission.containers import containers_errors, resources_errors, volumes_errors
from simulator.cluster.admission.metadata import labels_errors, metadata_errors, metadata_update_errors
from simulator.cluster.admission.names import label_name, qualified_name, subdomain_name
from simulator.cluster.admission.refusals import (
    IMMUTABLE,
    difference,
    duplicate,
    forbidden_field,
    invalid,
    required,
    unsupported,
)

_RESTART: Final = ("Always", "OnFailure", "Never")
_PREEMPTION: Final = ("PreemptLowerPriority", "Never")
_INT32: Final = 2**31 - 1
_UPDATABLE: Final = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def pod_errors(pod: Pod, shared: bool = False) -> list[str]:
    """What is wrong with a new pod; `shared` says that all but its volumes and names is known to be well already."""
    spec = pod.spec
    errors = metadata_errors(pod, subdomain_name)
    errors += volumes_errors(spec.volumes, pod.metadata.name)
    if not shared:
        errors += pod_spec_errors(spec)
    for field, name in (("hostname", spec.hostname), ("subdomain", spec.subdomain)):
        if name and (found := label_name(name)):
            errors += [invalid(f"spec.{field}", name, why) for why in found]
    if spec.node_name:
        errors += [invalid("spec.nodeName", spec.node_name, why) for why in subdomain_name(spec.node_name)]
        if spec.scheduling_gates:
            errors.append(forbidden_field("spec.nodeName", "cannot be set until all schedulingGates have been cleared"))
    return errors


def pod_spec_errors(spec: PodSpec) -> list[str]:
    """What is wrong with a pod's spec, volumes and names aside."""
    errors = containers_errors(spec)
    if spec.resources is not None:
        errors += resources_errors(spec.resources, "spec.resources")
    if not spec.restart_policy:
        errors.append(required("spec.restartPolicy"))
    elif spec.restart_policy not in _RESTART:
        errors.append(unsupported("spec.restartPolicy", spec.restart_policy, _RESTART))
    errors += labels_errors(spec.node_selector, "spec.nodeSelector")
    if spec.affinity is not None:
        errors += affinity_errors(spec.affinity)
    for number, gate in enumerate(spec.readiness_gates):
        errors += [invalid(f"spec.readinessGates[{number}].conditionType", gate.condition_type, why)
                   for why in qualified_name(gate.condition_type)]
    for number, wait in enumerate(spec.scheduling_gates):
        errors += [invalid(f"spec.schedulingGates[{number}]", wait.name, why) for why in qualified_name(wait.name)]
        if wait in spec.scheduling_gates[:number]:
            errors.append(duplicate(f"spec.schedulingGates[{number}]", wait.name))
    errors += spread_errors(spec.topology_spread_constraints)
    if spec.active_deadline_seconds is not None and not 1 <= spec.active_deadline_seconds <= _INT32:
        errors.append(invalid("spec.activeDeadlineSeconds", spec.active_deadline_seconds,
                              f"must be between 1 and {_INT32}, inclusive"))
    errors += tolerations_errors(spec.tolerations)
    if spec.priority_class_name:
        errors += [invalid("spec.priorityClassName", spec.priority_class_name, why)
                   for why in subdomain_name(spec.priority_class_name)]
    if spec.preemption_policy is not None and spec.preemption_policy not in _PREEMPTION:
        errors.append(unsupported("spec.preemptionPolicy", spec.preemption_policy, _PREEMPTION))
    return errors


def pod_update_errors(pod: Pod, old: Pod) -> list[str]:
    """What is wrong with a changed pod: only images, deadline and more tolerations are free (WL-13)."""
    errors = metadata_update_errors(pod.metadata, old.metadata)
    spec, before = pod.spec, old.spec
    if spec is before:
        return errors
    errors += volumes_errors(spec.volumes, pod.metadata.name)
    errors += pod_spec_errors(spec)
    for field, new, kept in (("containers", spec.containers, before.containers),
                             ("initContainers", spec.init_containers, before.init_containers)):
        if len(new) != len(kept):
            errors.append(forbidden_field(f"spec.{field}", "pod updates may not add or remove containers"))
            return errors
    errors += _deadline_errors(spec, before)
    if any(not any(evolve(was, toleration_seconds=now.toleration_seconds) == now for now in spec.tolerations)
           for was in before.tolerations):
        errors.append(forbidden_field("spec.tolerations",
                                      "existing toleration can not be modified except its tolerationSeconds"))
    known = [gate.name for gate in before.scheduling_gates]
    errors += [
        forbidden_field(f"spec.schedulingGates[{number}].name",
                        f"only deletion is allowed, but found new scheduling gate '{gate.name}'")
        for number, gate in enumerate(spec.scheduling_gates) if gate.name not in known
    ]
    permitted = _permitted(spec, before)
    if spec != permitted:
        errors.append(forbidden_field("spec", _UPDATABLE + difference(permitted, spec)))
    return errors


def _deadline_errors(spec: PodSpec, before: PodSpec) -> list[str]:
    path, new, old = "spec.activeDeadlineSeconds", spec.active_deadline_seconds, before.active_deadline_seconds
    if new is None:
        return [invalid(path, None, "must not update from a positive integer to nil value")] if old is not None else []
    if old is not None and old < new:
        return [invalid(path, new, "must be less than or equal to previous value")]
    return []


def _permitted(spec: PodSpec, before: PodSpec) -> PodSpec:
    """The old spec with every change in `spec` that is allowed, so that what still differs is not."""
    changes: dict[str, Any] = {
        "containers": tuple(
            evolve(was, image=now.image) for was, now in zip(before.containers, spec.containers, strict=True)),
        "init_containers": tuple(
            evolve(was, image=now.image)
            for was, now in zip(before.init_containers, spec.init_containers, strict=True)),
        "active_deadline_seconds": spec.active_deadline_seconds, "tolerations": spec.tolerations,
        "scheduling_gates": spec.scheduling_gates,
    }
    grace = before.termination_grace_period_seconds
    if grace is not None and grace < 0 and spec.termination_grace_period_seconds == 1:
        changes["termination_grace_period_seconds"] = 1
    if before.scheduling_gates:
        if all(spec.node_selector.get(key) == value for key, value in before.node_selector.items()):
            changes["node_selector"] = spec.node_selector
        changes["affinity"] = _permitted_affinity(spec, before)
    return evolve(before, **changes)


def _permitted_affinity(spec: PodSpec, before: PodSpec) -> Any:
    """A gated pod may get a node affinity, and narrow one that it has by further expressions."""
    if spec.affinity is None or spec.affinity.node_affinity is None:
        return before.affinity
    new = spec.affinity.node_affinity
    if before.affinity is None:
        return evolve(spec.affinity, pod_affinity=None, pod_anti_affinity=None)
    old = before.affinity.node_affinity
    if old is not None and old.required is not None:
        terms = new.required.node_selector_terms if new.required is not None else ()
        kept = old.required.node_selector_terms
        narrowed = len(terms) == len(kept) and all(
            term.match_expressions[:len(was.match_expressions)] == was.match_expressions
            and term.match_fields[:len(was.match_fields)] == was.match_fields
            for term, was in zip(terms, kept, strict=True)
        )
        if not narrowed:
            return before.affinity
    return evolve(before.affinity, node_affinity=new)


def pod_status_errors(pod: Pod, old: Pod) -> list[str]:
    """What is wrong with a changed status of a pod."""
    errors = metadata_update_errors(pod.metadata, old.metadata)
    nominated = pod.status.nominated_node_name
    if nominated and nominated != old.status.nominated_node_name:
        errors += [invalid("status.nominatedNodeName", nominated, why) for why in subdomain_name(nominated)]
    if pod.status.qos_class != old.status.qos_class:
        errors.append(invalid("status.qosClass", pod.status.qos_class, IMMUTABLE))
    return errors
