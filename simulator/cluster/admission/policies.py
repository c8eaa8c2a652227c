"""Budgets, quotas, namespaces, services and the rest: what is wrong with them."""

from __future__ import annotations

from typing import Any, Final

from simulator.api.core import Namespace, ResourceQuota, Service
from simulator.api.meta import Object
from simulator.api.policy import PodDisruptionBudget
from simulator.cluster.admission.metadata import (
    label_selector_errors,
    labels_errors,
    metadata_errors,
    metadata_update_errors,
)
from simulator.cluster.admission.names import is_percent, label_name, qualified_name, service_name, subdomain_name
from simulator.cluster.admission.refusals import NOT_NEGATIVE, invalid, negative, unsupported

_UNHEALTHY: Final = ("AlwaysAllow", "IfHealthyBudget")
_INTEGER_OR_PERCENT: Final = "must be an integer or percentage (e.g '5%%')"


def budget_errors(budget: PodDisruptionBudget) -> list[str]:
    """What is wrong with a new budget."""
    return metadata_errors(budget, subdomain_name) + _budget_spec_errors(budget)


def budget_update_errors(budget: PodDisruptionBudget, old: PodDisruptionBudget) -> list[str]:
    """What is wrong with a changed budget; all of its spec may change."""
    return metadata_update_errors(budget.metadata, old.metadata) + _budget_spec_errors(budget)


def _budget_spec_errors(budget: PodDisruptionBudget) -> list[str]:
    spec = budget.spec
    errors: list[str] = []
    if spec.min_available is not None and spec.max_unavailable is not None:
        errors.append(invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set"))
    errors += _amount_errors(spec.min_available, "spec.minAvailable")
    errors += _amount_errors(spec.max_unavailable, "spec.maxUnavailable")
    errors += label_selector_errors(spec.selector, "spec.selector")
    if spec.unhealthy_pod_eviction_policy is not None and spec.unhealthy_pod_eviction_policy not in _UNHEALTHY:
        errors.append(unsupported("spec.unhealthyPodEvictionPolicy", spec.unhealthy_pod_eviction_policy, _UNHEALTHY))
    return errors


def _amount_errors(amount: int | str | None, path: str) -> list[str]:
    if isinstance(amount, str):
        if not is_percent(amount):
            return [invalid(path, amount, _INTEGER_OR_PERCENT)]
        return [invalid(path, amount, "must not be greater than 100%")] if int(amount[:-1]) > 100 else []
    return negative(path, amount)


def budget_status_errors(budget: PodDisruptionBudget, old: PodDisruptionBudget) -> list[str]:
    """What is wrong with a changed status of a budget."""
    status = budget.status
    errors = metadata_update_errors(budget.metadata, old.metadata)
    for field, value in (("disruptionsAllowed", status.disruptions_allowed), ("currentHealthy", status.current_healthy),
                         ("desiredHealthy", status.desired_healthy), ("expectedPods", status.expected_pods)):
        errors += negative(f"status.{field}", value)
    return errors


def quota_errors(quota: ResourceQuota) -> list[str]:
    """What is wrong with a new quota."""
    return metadata_errors(quota, subdomain_name) + _hard_errors(quota)


def quota_update_errors(quota: ResourceQuota, old: ResourceQuota) -> list[str]:
    """What is wrong with a changed quota: its scopes stay."""
    errors = metadata_update_errors(quota.metadata, old.metadata) + _hard_errors(quota)
    if quota.spec.scopes != old.spec.scopes:
        errors.append(invalid("spec.scopes", list(quota.spec.scopes), "field is immutable"))
    return errors


def _hard_errors(quota: ResourceQuota) -> list[str]:
    errors: list[str] = []
    for name, amount in quota.spec.hard.items():
        path = f"spec.hard[{name}]"
        errors += [invalid(path, name, why) for why in qualified_name(name)]
        if amount.nano < 0:
            errors.append(invalid(path, amount, NOT_NEGATIVE))
    return errors


def namespace_errors(namespace: Namespace) -> list[str]:
    """What is wrong with a new namespace."""
    return metadata_errors(namespace, label_name)


def service_errors(service: Service) -> list[str]:
    """What is wrong with a new service."""
    return metadata_errors(service, service_name) + labels_errors(service.spec.selector, "spec.selector")


def other_errors(obj: Object) -> list[str]:
    """What is wrong with a new object of a kind without rules of its own."""
    return metadata_errors(obj, subdomain_name)


def other_update_errors(obj: Any, old: Any) -> list[str]:
    """What is wrong with a change of an object of a kind without rules of its own."""
    return metadata_update_errors(obj.metadata, old.metadata)
