"""The garbage collector: objects go when their last owner is gone (WL-92 to WL-95).

Owners of kinds that are not simulated count as living.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any, Final

from simulator.api.kinds import KINDS
from simulator.api.meta import Key, Object, ObjectMeta, OwnerReference, evolve, with_meta
from simulator.cluster.component import Change, Periodic, View
from simulator.flows import DONE, Delete, Enqueue, Flow, Get, Intent, Outcome, Patch, Poll, Refused, Retry, Tell, Told

FOREGROUND: Final = "foregroundDeletion"
ORPHAN: Final = "orphan"
WORKERS: Final = 20

OWNED: Final = ("pods-by-owner", "claims-by-owner", "volumes-by-owner", "sets-by-owner", "revisions-by-owner")
"""The indexes that give an owner's dependents, by its uid."""

_BLIND: Final = frozenset({"Event", "Lease"})


class GarbageCollector:
    """The garbage collector."""

    name = "garbage-collector-controller"
    queues: Mapping[str, int] = {"delete": WORKERS, "orphan": WORKERS}
    watches = frozenset(KINDS) - _BLIND
    periodics: Sequence[Periodic] = ()

    def new_memory(self) -> None:
        """Everything that it needs to know is in its caches."""

    def check(self, poll: Poll, view: View) -> Any:
        """The collector polls nothing."""
        return None

    def remember(self, memory: None, what: Any, now: int) -> None:
        """There is nothing to remember."""

    def observe(self, change: Change, view: View) -> Iterable[Told]:
        """Dependents of what is gone, what is about to go with its dependents, and what may have lost its owner."""
        new, old = change.new, change.old
        if new is None:
            return _gone(old, view) if old is not None else ()
        meta = new.metadata
        told: list[Told] = []
        if meta.finalizers and meta.deletion_timestamp is not None and (
            old is None or old.metadata.finalizers != meta.finalizers or old.metadata.deletion_timestamp is None
        ):
            told.extend(_begun(new, view))
        before = old.metadata.owner_references if old is not None else ()
        if before != meta.owner_references:
            told.extend(_owners_changed(new, before, view))
        return told

    def sync(self, queue: str, key: Key, view: View) -> Flow:
        """Delete an object without living owners, or let go of the dependents of an orphaning owner."""
        obj = view.get(key)
        if obj is None:
            return DONE
        dependents = dependents_of(obj.metadata.uid, view)
        if queue == "orphan":
            return (yield from _orphan(obj, dependents))
        return (yield from _collect(obj, dependents))


def dependents_of(uid: str, view: View) -> list[Object]:
    """All objects that name an owner of that uid."""
    return [obj for index in OWNED for obj in view.by(index, uid)]


def is_deleting_dependents(meta: ObjectMeta) -> bool:
    """Whether an object goes in the foreground: it waits for its dependents (WL-93)."""
    return meta.deletion_timestamp is not None and FOREGROUND in meta.finalizers


def owner_key(owner: OwnerReference, namespace: str) -> Key | None:
    """Where an owner is; None if its kind is not simulated."""
    kind = KINDS.get(owner.kind)
    if kind is None or kind.API_VERSION.partition("/")[0] != owner.api_version.partition("/")[0]:
        return None
    return Key(owner.kind, namespace if kind.NAMESPACED else "", owner.name)


# --- what is noticed ------------------------------------------------------------------------------------------------


def _gone(old: Object, view: View) -> list[Told]:
    """An object is gone: its dependents may go, a pod's claims say (WL-87, WL-106), and an owner that waits for it."""
    told: list[Told] = [Enqueue("delete", obj.key) for obj in dependents_of(old.metadata.uid, view)]
    for owner in old.metadata.owner_references:
        told.extend(_waiting_owner(owner, old.metadata.namespace, view))
    return told


def _begun(obj: Object, view: View) -> list[Told]:
    """A deletion has begun that concerns dependents."""
    finalizers = obj.metadata.finalizers
    if ORPHAN in finalizers:
        return [Enqueue("orphan", obj.key)]
    if FOREGROUND not in finalizers:
        return []
    dependents = dependents_of(obj.metadata.uid, view)
    return [*(Enqueue("delete", one.key) for one in dependents), Enqueue("delete", obj.key)]


def _owners_changed(obj: Object, before: Sequence[OwnerReference], view: View) -> list[Told]:
    told: list[Told] = []
    meta = obj.metadata
    for owner in meta.owner_references:
        key = owner_key(owner, meta.namespace)
        if key is None:
            continue
        found = view.get(key)
        if found is None or found.metadata.uid != owner.uid or is_deleting_dependents(found.metadata):
            told.append(Enqueue("delete", obj.key))
    for owner in before:
        if owner not in meta.owner_references:
            told.extend(_waiting_owner(owner, meta.namespace, view))
    return told


def _waiting_owner(owner: OwnerReference, namespace: str, view: View) -> list[Told]:
    key = owner_key(owner, namespace)
    found = view.get(key) if key is not None else None
    if found is None or found.metadata.uid != owner.uid or not is_deleting_dependents(found.metadata):
        return []
    return [Enqueue("delete", found.key)]


# --- what is done ---------------------------------------------------------------------------------------------------


def _collect(cached: Object, dependents: list[Object]) -> Flow:
    """Decide about one object (WL-95)."""
    if cached.metadata.is_terminating and not is_deleting_dependents(cached.metadata):
        return DONE
    latest = yield Get(cached.key)
    if latest is None or latest.metadata.uid != cached.metadata.uid:
        return DONE
    meta: ObjectMeta = latest.metadata
    if is_deleting_dependents(meta):
        return (yield from _wait_for_dependents(latest, dependents))
    if not meta.owner_references:
        return DONE
    solid, dangling, waiting = yield from _classify(meta)
    if solid:
        lost = tuple(owner.uid for owner in (*dangling, *waiting))
        if not lost:
            return DONE
        return _outcome((yield Patch(latest.key, without_owners, (lost,), uid=meta.uid, rule="WL-95")))
    if waiting and dependents:
        if any(is_deleting_dependents(one.metadata) for one in dependents):  # in a circle it would wait for itself
            answer = yield Patch(latest.key, unblocked, (), uid=meta.uid, rule="WL-95")
            if isinstance(answer, Refused):
                return _outcome(answer)
            meta = answer.metadata
        propagation = "Foreground"
    elif ORPHAN in meta.finalizers:
        propagation = "Orphan"
    elif FOREGROUND in meta.finalizers:
        propagation = "Foreground"
    else:
        propagation = "Background"
    answer = yield Delete(
        latest.key, uid=meta.uid, resource_version=meta.resource_version, propagation=propagation, rule="WL-95"
    )
    return _outcome(answer)


def _classify(
    meta: ObjectMeta,
) -> Generator[Intent, Any, tuple[list[OwnerReference], list[OwnerReference], list[OwnerReference]]]:
    """Owners that live, that are gone, and that wait for their dependents to go; each looked up live."""
    solid, dangling, waiting = [], [], []
    for owner in meta.owner_references:
        key = owner_key(owner, meta.namespace)
        if key is None:
            solid.append(owner)
            continue
        found = yield Get(key)
        if found is None or found.metadata.uid != owner.uid:
            dangling.append(owner)
        elif is_deleting_dependents(found.metadata):
            waiting.append(owner)
        else:
            solid.append(owner)
    return solid, dangling, waiting


def _wait_for_dependents(obj: Object, dependents: list[Object]) -> Flow:
    """An object that goes in the foreground stays until no dependent blocks it (WL-93)."""
    uid = obj.metadata.uid
    blocking = [
        one for one in dependents
        if any(owner.uid == uid and owner.block_owner_deletion for owner in one.metadata.owner_references)
    ]
    if not blocking:
        return _outcome((yield Patch(obj.key, without_finalizer, (FOREGROUND,), uid=uid, rule="WL-93")))
    for one in blocking:
        if not is_deleting_dependents(one.metadata):
            yield Tell(Enqueue("delete", one.key))
    return DONE


def _orphan(obj: Object, dependents: list[Object]) -> Flow:
    """Take the references to the owner off all dependents, then let the owner go (WL-94)."""
    meta = obj.metadata
    if ORPHAN not in meta.finalizers:
        return DONE
    failures = []
    for one in dependents:
        answer = yield Patch(one.key, without_owners, ((meta.uid,),), uid=one.metadata.uid, rule="WL-94")
        if isinstance(answer, Refused) and answer.reason != "NotFound":
            failures.append(str(answer))
    if failures:
        return Retry(", ".join(failures))
    return _outcome((yield Patch(obj.key, without_finalizer, (ORPHAN,), uid=meta.uid, rule="WL-94")))


def _outcome(answer: Any) -> Outcome:
    if isinstance(answer, Refused) and answer.reason != "NotFound":
        return Retry(str(answer))
    return DONE


# --- edits ----------------------------------------------------------------------------------------------------------


def without_owners(obj: Object, uids: tuple[str, ...]) -> Object:
    """The object without its references to owners of these uids."""
    kept = tuple(owner for owner in obj.metadata.owner_references if owner.uid not in uids)
    return obj if kept == obj.metadata.owner_references else with_meta(obj, owner_references=kept)


def unblocked(obj: Object) -> Object:
    """The object whose references no longer keep owners waiting."""
    owners = tuple(
        evolve(one, block_owner_deletion=False) for one in obj.metadata.owner_references
    )
    return with_meta(obj, owner_references=owners)


def without_finalizer(obj: Object, finalizer: str) -> Object:
    """The object without that finalizer."""
    kept = tuple(name for name in obj.metadata.finalizers if name != finalizer)
    return with_meta(obj, finalizers=kept)
