"""The API server: one call at a time against the store, with Kubernetes' defaults, checks, admission and deletion.

Create   defaults → plugins → strategy → checks → quota → name taken? → uid → store.put
Update   base version → defaults → strategy → checks → plugins → last finalizer gone? → changed at all? → store.put
Delete   preconditions → grace, finalizers → store.put or store.remove
"""

from __future__ import annotations

from typing import Any

import msgspec

from simulator.api.core import Node, PersistentVolume, PersistentVolumeClaim, Pod, ResourceQuota
from simulator.api.meta import Key, Object, evolve, with_meta
from simulator.api.policy import PodDisruptionBudget, PriorityClass
from simulator.cluster.admission import plugins, quota
from simulator.cluster.admission.defaults import with_defaults
from simulator.cluster.admission.deletion import Gone, deleted, is_released
from simulator.cluster.admission.eviction import bound, ignores_budgets, marked_evicted, reserved
from simulator.cluster.admission.names import generated_name
from simulator.cluster.admission.nodes import node_defaults, not_ready_yet
from simulator.cluster.admission.pod_admission import PodAdmission
from simulator.cluster.admission.pod_defaults import qos_class
from simulator.cluster.admission.refusals import (
    already_exists,
    conflict,
    invalid,
    not_found,
    refuse_invalid,
    uid_conflict,
)
from simulator.cluster.admission.resources import resource_of
from simulator.cluster.admission.strategies import Strategy, strategy_of
from simulator.cluster.store import Store
from simulator.flows import Bind, Create, Delete, Evict, Patch, Refused, Update, UpdateStatus, Write
from simulator.units import Micros

Answer = Object | Refused | None

_NAME_ATTEMPTS = 8


class ApiServer:
    """Carries out API calls against a store.

    Nothing but the store changes; what is remembered beside it, to admit pods quickly, only saves work.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pods = PodAdmission(store)

    def handle(self, write: Write, now: Micros) -> Answer:
        """Carry out one call.

        Returns
        -------
        The object as stored, None if it is gone, or `Refused` with Kubernetes' own text.
        """
        match write:
            case Create():
                obj = write.obj
                return self._create(not_ready_yet(obj) if isinstance(obj, Node) else obj, now)
            case Update():
                return self._update(write.obj, now, to_status=False)
            case UpdateStatus():
                return self._update(write.obj, now, to_status=True)
            case Patch():
                return self._patch(write, now)
            case Delete():
                return self._delete(write, now)
            case Bind():
                return self._bind(write, now)
            case Evict():
                return self._evict(write, now)

    def load(self, obj: Object, now: Micros) -> Object | Refused:
        """Take in an object of the initial state.

        An object with a uid comes from a running cluster: it stays as it is, missing API defaults are filled in, and no
        admission plugin looks at it. A manifest without one is created as by a client, some time ago: a volume that
        nobody has claimed is Available already (VB-3), so that what else begins now does not race it.
        """
        if not obj.metadata.uid:
            return self._create(obj, now, is_settled=True)
        obj = with_defaults(_in_namespace(obj))
        if (there := self._store.find(obj.key)) is not None:
            return already_exists(there)
        if isinstance(obj, Node):
            obj = node_defaults(obj, now, label=False)[0]
        elif isinstance(obj, Pod):
            status = obj.status
            obj = evolve(obj, status=evolve(status, phase=status.phase or "Pending",
                                            qos_class=status.qos_class or qos_class(obj.spec)))
        elif isinstance(obj, ResourceQuota):
            obj = quota.counted(self._store, obj)
        if obj.metadata.creation_timestamp is None:
            obj = with_meta(obj, creation_timestamp=now)
        quota.charge(self._store, obj, None)
        return self._store.put(obj)

    # --- create -----------------------------------------------------------------------------------------------------

    def _create(self, obj: Object, now: Micros, is_settled: bool = False) -> Object | Refused:
        store = self._store
        obj = _in_namespace(obj)
        refusal = plugins.namespace_refusal(store, obj)
        if refusal is not None:
            return refusal
        uid = ""
        if not obj.metadata.name and obj.metadata.generate_name:
            uid = store.new_uid()
            obj = self._named(obj, int(uid[-12:], 16))
        made = self._pods.admit(obj, now) if isinstance(obj, Pod) else self._made(obj, now)
        if isinstance(made, Refused):
            return made
        refusal = quota.quota_refusal(store, made, None)
        if refusal is not None:
            return refusal
        there = store.find(made.key)
        if there is not None:
            return already_exists(there)
        made = evolve(made, metadata=evolve(
            made.metadata, uid=uid or store.new_uid(), creation_timestamp=now, deletion_timestamp=None,
            deletion_grace_period_seconds=None, generation=1 if strategy_of(made).has_generation else 0))  # WL-4
        if isinstance(made, ResourceQuota):
            return store.put(quota.counted(store, made))
        if is_settled and isinstance(made, PersistentVolume):
            reference = made.spec.claim_ref
            if reference is None or not reference.uid:
                made = evolve(made, status=evolve(made.status, phase="Available"))
        quota.charge(store, made, None)
        return store.put(made)

    def _named(self, obj: Object, number: int) -> Object:
        """The object with a name made from ``generateName``, tried anew while it is taken."""
        named = obj
        for attempt in range(_NAME_ATTEMPTS):
            named = with_meta(obj, name=generated_name(obj.metadata.generate_name, number + attempt * 1_000_003))
            if self._store.find(named.key) is None:
                break
        return named

    def _made(self, obj: Object, now: Micros) -> Object | Refused:
        """Defaults, plugins, strategy and checks of a new object."""
        store, strategy = self._store, strategy_of(obj)
        obj = with_defaults(obj)
        if isinstance(obj, PersistentVolumeClaim):
            obj = plugins.with_class(store, obj)
        elif isinstance(obj, Node):
            obj = node_defaults(obj, now)[0]
        obj = strategy.fresh(plugins.with_protection(obj), now)
        if errors := strategy.errors(obj):
            return refuse_invalid(obj, errors)
        if isinstance(obj, PriorityClass):
            return plugins.second_default_refusal(store, obj) or obj
        return obj

    # --- update -----------------------------------------------------------------------------------------------------

    def _update(self, obj: Object, now: Micros, to_status: bool) -> Answer:
        old = self._store.find(obj.key)
        meta = obj.metadata
        if old is None:
            return not_found(obj.KIND, meta.name)
        if meta.uid and meta.uid != old.metadata.uid:
            return uid_conflict(obj.KIND, meta.namespace, meta.name, meta.uid, old.metadata.uid)
        strategy = strategy_of(obj)
        if meta.resource_version != old.metadata.resource_version:
            if meta.resource_version:
                return conflict(resource_of(obj.KIND), meta.name)  # VB-20
            if not strategy.unconditional:
                told = invalid("metadata.resourceVersion", 0, "must be specified for an update")
                return Refused("Invalid", 422, f'{resource_of(obj.KIND)} "{meta.name}" is invalid: {told}')
        return self._change(obj, old, strategy, now, to_status)

    def _patch(self, write: Patch, now: Micros) -> Answer:
        old = self._store.find(write.key)
        if old is None or (write.uid and write.uid != old.metadata.uid):
            return not_found(write.key.kind, write.key.name)
        try:
            obj = write.edit(old, *write.args)
        except msgspec.ValidationError as error:
            return Refused("BadRequest", 400, str(error))
        if obj.key != old.key:
            field = "name" if obj.metadata.name != old.metadata.name else "namespace"
            told = invalid(f"metadata.{field}", getattr(obj.metadata, field), "field is immutable")
            return refuse_invalid(old, [told])
        return self._change(obj, old, strategy_of(old), now, write.subresource == "status")

    def _change(self, obj: Any, old: Any, strategy: Strategy, now: Micros, to_status: bool) -> Answer:
        """An object changed to `obj`: spec and status are kept apart, and what only the server may set stays."""
        if obj is old:
            return old  # type: ignore[no-any-return]
        new = _with_kept_metadata(obj, old)
        if to_status and strategy.has_status:
            new = strategy.changed_status(_with_part(new, old, "spec"), old, now)
            errors = strategy.status_errors(new, old)
        else:
            new = _with_part(new, old, "status") if strategy.has_status else new
            new = strategy.changed(with_defaults(new), old, now)
            if isinstance(new, Pod) and new.spec is not old.spec:
                spec = plugins.with_tolerations(new.spec)
                new = new if spec is new.spec else evolve(new, spec=spec)
            new = _with_shared_spec(new, old)
            errors = strategy.update_errors(new, old)
        if errors:
            return refuse_invalid(new, errors)
        refusal = self._growth_refusal(new, old)
        if refusal is not None:
            return refusal
        if is_released(new, old):
            self._remove(old)
            return new  # type: ignore[no-any-return]  # as it was when it went
        if new == old:
            return old  # type: ignore[no-any-return]  # VB-20: a write that changes nothing keeps the version
        if strategy.has_generation and new.metadata.generation and _spec(new) is not _spec(old):
            new = with_meta(new, generation=new.metadata.generation + 1)  # WL-4
        if isinstance(new, ResourceQuota) and new.spec is not old.spec:
            new = quota.counted(self._store, new)
        quota.charge(self._store, new, old)
        stored: Object = self._store.put(new)
        return stored

    def _growth_refusal(self, new: Object, old: Object) -> Refused | None:
        if not isinstance(new, PersistentVolumeClaim) or not isinstance(old, PersistentVolumeClaim):
            return None
        if new.spec is old.spec:
            return None
        return plugins.resize_refusal(self._store, new, old) or quota.quota_refusal(self._store, new, old)

    # --- delete, bind, evict ----------------------------------------------------------------------------------------

    def _delete(self, write: Delete, now: Micros) -> Answer:
        obj = self._store.find(write.key)
        if obj is None:
            return not_found(write.key.kind, write.key.name)
        result = deleted(obj, write, now)
        if isinstance(result, Refused):
            return result
        if not isinstance(result, Gone):
            return obj if result == obj else self._store.put(result)
        if result.mark is not None:
            self._store.put(result.mark)
        self._remove(obj)
        return None

    def _remove(self, obj: Object) -> None:
        self._store.remove(obj.key)
        self._pods.forget(obj.metadata.uid)
        quota.charge(self._store, None, obj)

    def _bind(self, write: Bind, now: Micros) -> Answer:
        pod = self._pod(write.key)
        if pod is None:
            return not_found("Pod", write.key.name)
        result = bound(pod, write, now)
        if isinstance(result, Refused):
            return result
        labels = plugins.topology_labels(self._store, result, write.node)
        return self._store.put(result if labels is result.metadata.labels else with_meta(result, labels=labels))

    def _evict(self, write: Evict, now: Micros) -> Answer:
        pod = self._pod(write.key)
        if pod is None:
            return not_found("Pod", write.key.name)
        if not ignores_budgets(pod):
            budget: PodDisruptionBudget | Refused | None = reserved(self._store, pod, now)
            if isinstance(budget, Refused):
                return budget
            if budget is not None:
                self._store.put(budget)
        marked = marked_evicted(pod, now)  # WL-142: whether or not a budget was asked
        if marked != pod:
            self._store.put(marked)
        return self._delete(Delete(write.key, grace=write.grace), now)

    def _pod(self, key: Key) -> Pod | None:
        return self._store.get(Pod, key.name, key.namespace)


def _in_namespace(obj: Object) -> Object:
    return with_meta(obj, namespace="default") if obj.NAMESPACED and not obj.metadata.namespace else obj


def _with_kept_metadata(obj: Any, old: Any) -> Any:
    """The object with the metadata that no client can change; the old metadata itself if nothing else differs."""
    meta, before = obj.metadata, old.metadata
    if meta is before:
        return obj
    meta = evolve(
        meta, uid=before.uid, resource_version=before.resource_version, generation=before.generation,
        creation_timestamp=before.creation_timestamp, deletion_timestamp=before.deletion_timestamp,
        deletion_grace_period_seconds=before.deletion_grace_period_seconds, generate_name=before.generate_name,
    )
    return evolve(obj, metadata=before if meta == before else meta)


def _with_part(new: Any, old: Any, part: str) -> Any:
    """The object with its spec or status put back to what it was."""
    return new if getattr(new, part) is getattr(old, part) else evolve(new, **{part: getattr(old, part)})


def _with_shared_spec(new: Any, old: Any) -> Any:
    """The object with the old spec itself in place of an equal one, which spares all further checks."""
    spec, before = _spec(new), _spec(old)
    return evolve(new, spec=before) if spec is not before and spec == before else new


def _spec(obj: Any) -> Any:
    return getattr(obj, "spec", None)
