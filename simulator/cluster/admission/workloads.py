"""Stateful sets and their revisions: what is wrong with a new one, and which changes are refused (WL-5 to WL-8)."""

from __future__ import annotations

from typing import Final

from simulator.api.apps import ControllerRevision, StatefulSet, StatefulSetSpec, StatefulSetStatus
from simulator.api.meta import evolve
from simulator.api.selectors import is_valid_requirement
from simulator.cluster.admission.metadata import (
    annotations_errors,
    label_selector_errors,
    labels_errors,
    metadata_errors,
    metadata_update_errors,
)
from simulator.cluster.admission.names import is_percent, label_name, subdomain_name
from simulator.cluster.admission.refusals import (
    IMMUTABLE,
    NOT_NEGATIVE,
    forbidden_field,
    invalid,
    negative,
    required,
    unsupported,
)

_RETENTION: Final = ("Retain", "Delete")
_FIXED: Final = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)
_INTEGER_OR_PERCENT: Final = "must be an integer or percentage (e.g '5%%')"


def set_errors(stateful_set: StatefulSet) -> list[str]:
    """What is wrong with a new set; its name must be a label (WL-6), its service need not exist (WL-7)."""
    errors = metadata_errors(stateful_set, label_name)
    errors += _set_spec_errors(stateful_set.spec)
    service = stateful_set.spec.service_name
    if service:
        errors += [invalid("spec.serviceName", service, why) for why in label_name(service)]
    return errors


def set_update_errors(stateful_set: StatefulSet, old: StatefulSet) -> list[str]:
    """What is wrong with a changed set (WL-5)."""
    errors = metadata_update_errors(stateful_set.metadata, old.metadata)
    spec, before = stateful_set.spec, old.spec
    if spec is before:
        return errors
    errors += _set_spec_errors(spec)
    permitted = evolve(
        before, replicas=spec.replicas, ordinals=spec.ordinals, template=spec.template,
        update_strategy=spec.update_strategy, revision_history_limit=spec.revision_history_limit,
        persistent_volume_claim_retention_policy=spec.persistent_volume_claim_retention_policy,
        min_ready_seconds=spec.min_ready_seconds,
    )
    if spec != permitted:
        errors.append(forbidden_field("spec", _FIXED))
    return errors


def _set_spec_errors(spec: StatefulSetSpec) -> list[str]:
    """Template hostname, subdomain, volumes and containers are not looked at: the pods' creation does that (WL-8)."""
    errors: list[str] = []
    if spec.pod_management_policy not in ("OrderedReady", "Parallel"):
        errors.append(invalid(
            "spec.podManagementPolicy", spec.pod_management_policy, "must be 'OrderedReady' or 'Parallel'"))
    errors += _strategy_errors(spec)
    keep = spec.persistent_volume_claim_retention_policy
    if keep is not None:
        errors += [unsupported(f"spec.persistentVolumeClaimRetentionPolicy.{field}", value, _RETENTION)
                   for field, value in (("whenDeleted", keep.when_deleted), ("whenScaled", keep.when_scaled))
                   if value not in _RETENTION]
    errors += negative("spec.replicas", spec.replicas)
    errors += negative("spec.minReadySeconds", spec.min_ready_seconds)
    if spec.ordinals is not None:
        errors += negative("spec.ordinals.start", spec.ordinals.start)
    labels = spec.template.metadata.labels
    selector = spec.selector
    if selector is None:
        errors.append(required("spec.selector"))
    else:
        errors += label_selector_errors(selector, "spec.selector")
        if selector.is_empty:
            errors.append(invalid("spec.selector", selector, "empty selector is invalid for statefulset"))
        if not all(is_valid_requirement(term) for term in selector.match_expressions):
            errors.append(invalid("spec.selector", selector, "").removesuffix(": "))
        elif not selector.is_empty and not selector.selects(labels):
            errors.append(invalid("spec.template.metadata.labels", dict(labels),
                                  "`selector` does not match template `labels`"))
    errors += labels_errors(labels, "spec.template.labels")
    errors += annotations_errors(spec.template.metadata.annotations, "spec.template.annotations")
    pod = spec.template.spec
    if pod.restart_policy != "Always":
        errors.append(unsupported("spec.template.spec.restartPolicy", pod.restart_policy, ("Always",)))
    if pod.active_deadline_seconds is not None:
        errors.append(forbidden_field("spec.template.spec.activeDeadlineSeconds",
                                      "activeDeadlineSeconds in StatefulSet is not Supported"))
    return errors


def _strategy_errors(spec: StatefulSetSpec) -> list[str]:
    strategy, block = spec.update_strategy, spec.update_strategy.rolling_update
    path = "spec.updateStrategy"
    if strategy.type not in ("RollingUpdate", "OnDelete"):
        return [invalid(path, strategy, "must be 'RollingUpdate' or 'OnDelete'")]
    if block is None:
        return []
    if strategy.type == "OnDelete":
        return [invalid(f"{path}.rollingUpdate", block, "only allowed for updateStrategy 'RollingUpdate'")]
    errors = negative(f"{path}.rollingUpdate.partition", block.partition)
    most, path = block.max_unavailable, f"{path}.rollingUpdate.maxUnavailable"
    if isinstance(most, str):
        if not is_percent(most):
            errors.append(invalid(path, most, _INTEGER_OR_PERCENT))
        elif int(most[:-1]) == 0:
            errors.append(invalid(path, most, "cannot be 0"))
        elif int(most[:-1]) > 100:
            errors.append(invalid(path, most, "must not be greater than 100%"))
    elif most is not None:
        errors += negative(path, most)
        if most == 0:
            errors.append(invalid(path, most, "cannot be 0"))
    return errors


def set_status_errors(stateful_set: StatefulSet, old: StatefulSet) -> list[str]:
    """What is wrong with a changed status of a set; a count below 0 is refused (WL-67)."""
    status = stateful_set.status
    errors: list[str] = []
    for field, value in _counts(status):
        if value < 0:
            errors.append(invalid(f"status.{field}", value, NOT_NEGATIVE))
    errors += negative("status.observedGeneration", status.observed_generation)
    errors += negative("status.collisionCount", status.collision_count)
    errors += [invalid(f"status.{field}", value, "cannot be greater than status.replicas")
               for field, value in _counts(status)[1:] if value > status.replicas]
    if status.available_replicas > status.ready_replicas:
        errors.append(invalid("status.availableReplicas", status.available_replicas,
                              "cannot be greater than status.readyReplicas"))
    if (status.collision_count or 0) < (old.status.collision_count or 0):
        errors.append(invalid("status.collisionCount", status.collision_count or 0, "cannot be decremented"))
    return errors + metadata_update_errors(stateful_set.metadata, old.metadata)


def _counts(status: StatefulSetStatus) -> tuple[tuple[str, int], ...]:
    return (("replicas", status.replicas), ("readyReplicas", status.ready_replicas),
            ("currentReplicas", status.current_replicas), ("updatedReplicas", status.updated_replicas),
            ("availableReplicas", status.available_replicas))


def revision_errors(revision: ControllerRevision) -> list[str]:
    """What is wrong with a new revision."""
    errors = metadata_errors(revision, subdomain_name)
    if revision.data is None:
        errors.append(required("data", "data is mandatory"))
    return errors + negative("revision", revision.revision)


def revision_update_errors(revision: ControllerRevision, old: ControllerRevision) -> list[str]:
    """What is wrong with a changed revision: its data stays."""
    errors = metadata_update_errors(revision.metadata, old.metadata)
    errors += negative("revision", revision.revision)
    if revision.data != old.data:
        errors.append(invalid("data", revision.data, IMMUTABLE))
    return errors
