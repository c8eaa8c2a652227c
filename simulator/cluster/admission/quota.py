"""ResourceQuota: what objects use, refusals, and the running totals in the quota's status.

In a cluster a controller counts a new quota's usage and gives back what deleted objects used, a moment later; here
both happen in the same call, so that ``status.used`` always tells the truth.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from simulator.api.core import PersistentVolumeClaim, Pod, ResourceQuota, ResourceQuotaStatus
from simulator.api.meta import Object, evolve
from simulator.binding.reference import class_of
from simulator.cluster.admission.pod_defaults import minus, plus, pod_total
from simulator.cluster.admission.refusals import refuse_forbidden
from simulator.cluster.admission.resources import resource_of
from simulator.cluster.store import Store
from simulator.flows import Refused
from simulator.units import Quantity, quantity

Usage = Mapping[str, Quantity]

_ONE: Final = quantity("1")
_NOTHING: Final = quantity("0")
_OF_CLASS: Final = ".storageclass.storage.k8s.io/"
_PLAIN_COUNTS: Final = ("pods", "services", "persistentvolumeclaims", "resourcequotas")
_MUST_BE_SAID: Final = ("cpu", "limits.cpu", "limits.memory", "memory", "requests.cpu", "requests.memory")


def usage_of(obj: Object) -> dict[str, Quantity]:
    """What an object counts for, by the names that a quota may limit."""
    resource = resource_of(obj.KIND)
    used = {f"count/{resource}": _ONE}
    if isinstance(obj, Pod):
        if obj.is_finished:
            return used  # a finished pod holds nothing but its name
        requests, limits = pod_total(obj.spec), pod_total(obj.spec, limits=True)
        for name, amount in requests.items():
            used[f"requests.{name}"] = amount
            if name in ("cpu", "memory", "ephemeral-storage"):
                used[name] = amount
        used.update({f"limits.{name}": amount for name, amount in limits.items()})
    elif isinstance(obj, PersistentVolumeClaim):
        used["requests.storage"] = obj.request or _NOTHING
        name = class_of(obj)
        if name:
            used[f"{name}{_OF_CLASS}requests.storage"] = obj.request or _NOTHING
            used[f"{name}{_OF_CLASS}persistentvolumeclaims"] = _ONE
    if resource in _PLAIN_COUNTS:
        used[resource] = _ONE
    return used


def quota_refusal(store: Store, obj: Object, old: Object | None) -> Refused | None:
    """Why an object may not be made, or not be changed so: it would use more than a quota allows."""
    for quota in _quotas(store, obj.metadata.namespace):
        if not _covers(quota, obj):
            continue
        hard = quota.status.hard
        if isinstance(obj, Pod) and old is None and (missing := _unsaid(obj, hard)):
            return refuse_forbidden(obj, f"failed quota: {quota.metadata.name}: must specify {missing}")
        before = usage_of(old) if old is not None and _covers(quota, old) else {}
        wanted = {name: _more(amount, before.get(name)) for name, amount in usage_of(obj).items() if name in hard}
        used = quota.status.used
        exceeded = [name for name in sorted(wanted)
                    if wanted[name].nano > 0 and hard[name] < plus(used.get(name), wanted[name])]
        if exceeded:
            return refuse_forbidden(
                obj, f"exceeded quota: {quota.metadata.name}, requested: {_listed(exceeded, wanted)}, "
                f"used: {_listed(exceeded, used)}, limited: {_listed(exceeded, hard)}")
    return None


def charge(store: Store, new: Object | None, old: Object | None) -> None:
    """Bring the totals of the namespace's quotas up to date with a change of one object."""
    known = new if new is not None else old
    if known is None or isinstance(known, ResourceQuota):
        return
    for quota in _quotas(store, known.metadata.namespace):
        used = dict(quota.status.used)
        for obj, count in ((old, minus), (new, plus)):
            if obj is not None and _covers(quota, obj):
                for name, amount in usage_of(obj).items():
                    if name in quota.status.hard:
                        used[name] = count(used.get(name, _NOTHING), amount)
        if used != quota.status.used:
            store.put(evolve(quota, status=evolve(quota.status, used=used)))


def counted(store: Store, quota: ResourceQuota) -> ResourceQuota:
    """The quota with a status that fits its spec and everything that the namespace holds."""
    used = dict.fromkeys(quota.spec.hard, _NOTHING)
    for kind in store.kinds():
        for obj in store.of_kind(kind).values():
            if obj.metadata.namespace == quota.metadata.namespace and obj.key != quota.key and _covers(quota, obj):
                for name, amount in usage_of(obj).items():
                    if name in used:
                        used[name] = plus(used[name], amount)
    for name in ("resourcequotas", "count/resourcequotas"):
        if name in used:
            used[name] = plus(used[name], _ONE)
    return evolve(quota, status=ResourceQuotaStatus(hard=quota.spec.hard, used=used))


def _quotas(store: Store, namespace: str) -> list[ResourceQuota]:
    if not namespace or not store.of_kind("ResourceQuota"):
        return []
    return [quota for quota in store.list(ResourceQuota, namespace) if quota.status.hard]


def _more(amount: Quantity, before: Quantity | None) -> Quantity:
    return amount if before is None else minus(amount, before)


def _listed(names: Iterable[str], amounts: Usage) -> str:
    return ",".join(f"{name}={amounts.get(name, _NOTHING)}" for name in names)


def _unsaid(pod: Pod, hard: Usage) -> str:
    """Amounts that a quota limits and a container leaves open, which is refused."""
    spec = pod.spec
    missing: dict[str, list[str]] = {}
    for container in (*spec.containers, *spec.init_containers):
        said = {*container.resources.requests, *(f"requests.{name}" for name in container.resources.requests),
                *(f"limits.{name}" for name in container.resources.limits)}
        for name in _MUST_BE_SAID:
            if name in hard and name not in said:
                missing.setdefault(name, []).append(container.name)
    return "; ".join(f"{name} for: {','.join(sorted(missing[name]))}" for name in sorted(missing))


# --- scopes -----------------------------------------------------------------------------------------------------------


def _covers(quota: ResourceQuota, obj: Object) -> bool:
    """Whether the object falls under the quota: same namespace, and in all its scopes."""
    spec = quota.spec
    if obj.metadata.namespace != quota.metadata.namespace:
        return False
    if not spec.scopes and not spec.scope_selector:
        return True
    if not isinstance(obj, Pod):
        return False
    terms: list[Mapping[str, Any]] = [{"scopeName": scope, "operator": "Exists"} for scope in spec.scopes]
    if spec.scope_selector:
        terms += spec.scope_selector.get("matchExpressions") or ()
    return all(_in_scope(term, obj) for term in terms)


def _in_scope(term: Mapping[str, Any], pod: Pod) -> bool:
    best_effort = pod.status.qos_class == "BestEffort"
    ends = pod.spec.active_deadline_seconds is not None
    match term.get("scopeName"):
        case "Terminating":
            return ends
        case "NotTerminating":
            return not ends
        case "BestEffort":
            return best_effort
        case "NotBestEffort":
            return not best_effort
        case "PriorityClass":
            name, values = pod.spec.priority_class_name, term.get("values") or ()
            return {"Exists": bool(name), "DoesNotExist": not name, "In": name in values,
                    "NotIn": name not in values}.get(str(term.get("operator")), False)
        case "CrossNamespacePodAffinity":
            return _looks_elsewhere(pod)
        case _:
            return False


def _looks_elsewhere(pod: Pod) -> bool:
    affinity = pod.spec.affinity
    return affinity is not None and any(
        term.namespaces or term.namespace_selector is not None
        for part in (affinity.pod_affinity, affinity.pod_anti_affinity) if part is not None
        for term in (*part.required, *(wish.pod_affinity_term for wish in part.preferred))
    )
