"""The pod templates that a set has had, kept as ControllerRevisions (WL-23 to WL-28)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from simulator.api.apps import ControllerRevision, StatefulSet
from simulator.api.core import Pod, PodTemplateSpec
from simulator.api.meta import ApiStruct, ObjectMeta, decode, encode, evolve
from simulator.controllers.statefulset.pods import revision_of, set_reference
from simulator.controllers.statefulset.sync import CONFLICT_WAITS, Failure, Steps, wait
from simulator.flows import Create, Delete, Get, Refused, Update
from simulator.units import SECOND

HASH_LABEL: Final = "controller.kubernetes.io/hash"
DEFAULT_HISTORY_LIMIT: Final = 10

_SAFE_DIGITS: Final = str.maketrans("0123456789", "456789bcdf")
_LONGEST_SET_PART: Final = 223


class TemplatePatch(PodTemplateSpec, frozen=True, kw_only=True):
    """A pod template, to be put in place of another one."""

    patch: str = msgspec.field(name="$patch")


class TemplateHolder(ApiStruct, frozen=True, kw_only=True):
    """The part of a set's spec that a revision keeps."""

    template: TemplatePatch


class RevisionData(ApiStruct, frozen=True, kw_only=True):
    """The data of a set's revision: a patch that puts the pod template back, and nothing else (WL-25)."""

    spec: TemplateHolder


class Versions(Struct, frozen=True):
    """The two revisions that a set's pods may be made from, and how often a revision's name was taken."""

    current: ControllerRevision
    update: ControllerRevision
    collision_count: int


# --- pure -----------------------------------------------------------------------------------------------------------


def template_of(revision: ControllerRevision) -> PodTemplateSpec:
    """The pod template that a revision keeps; its data may be as it came from a manifest."""
    data = revision.data
    return (data if isinstance(data, RevisionData) else decode(data, RevisionData)).spec.template


def same_template(one: PodTemplateSpec, other: PodTemplateSpec) -> bool:
    """Whether two templates mean the same, however they were written."""
    return one.spec == other.spec and one.metadata == other.metadata


def revision_hash(data: RevisionData, collision_count: int) -> str:
    """FNV-1 over the data's canonical JSON and the collision count, in an alphabet without vowels (WL-24).

    Examples
    --------
    >>> template = TemplatePatch(metadata=ObjectMeta(labels={"app": "web"}), patch="replace")
    >>> revision_hash(RevisionData(spec=TemplateHolder(template=template)), 0)
    '7c75489b6c'
    """
    value = 0x811C9DC5
    for byte in msgspec.json.encode(encode(data), order="sorted") + str(collision_count).encode():
        value = (value * 0x01000193 & 0xFFFFFFFF) ^ byte
    return str(value).translate(_SAFE_DIGITS)


def new_revision(sts: StatefulSet, number: int, collision_count: int) -> ControllerRevision:
    """A revision of the set's present template (WL-23)."""
    template = sts.spec.template
    patch = TemplatePatch(metadata=template.metadata, spec=template.spec, patch="replace")
    data = RevisionData(spec=TemplateHolder(template=patch))
    digest = revision_hash(data, collision_count)
    meta = ObjectMeta(
        name=f"{sts.name[:_LONGEST_SET_PART]}-{digest}",
        namespace=sts.namespace,
        labels={**template.metadata.labels, HASH_LABEL: digest},
        annotations=sts.metadata.annotations,
        owner_references=(set_reference(sts),),
    )
    return ControllerRevision(metadata=meta, data=data, revision=number)


def in_order(revisions: Iterable[ControllerRevision]) -> list[ControllerRevision]:
    """Revisions by number; ties go by age, then by name (CP-19)."""
    return sorted(
        revisions, key=lambda each: (each.revision, (each.metadata.creation_timestamp or 0) // SECOND, each.name))


def history_to_delete(sts: StatefulSet, pods: Sequence[tuple[int, Pod]], revisions: Sequence[ControllerRevision],
                      versions: Versions) -> list[ControllerRevision]:
    """The oldest revisions beyond the limit, among those that nobody refers to (WL-28)."""
    if sts.metadata.is_terminating:
        return []  # WL-93
    limit = DEFAULT_HISTORY_LIMIT if sts.spec.revision_history_limit is None else sts.spec.revision_history_limit
    if limit < 0 or len(revisions) <= limit:
        return []
    live = {versions.current.name, versions.update.name, *(revision_of(pod) for _, pod in pods)}
    history = [revision for revision in revisions if revision.name not in live]
    return history[:max(0, len(history) - limit)]


# --- flows ----------------------------------------------------------------------------------------------------------


def resolve_revisions(sts: StatefulSet, revisions: Sequence[ControllerRevision]) -> Steps[Versions | Failure]:
    """Find the set's current and update revision, and write down a template that is new (WL-26, WL-27).

    Parameters
    ----------
    revisions : the set's own, in order.
    """
    collisions = sts.status.collision_count or 0
    number = revisions[-1].revision + 1 if revisions else 1
    update: ControllerRevision | Failure
    equal = [revision for revision in revisions if same_template(template_of(revision), sts.spec.template)]
    if equal and equal[-1] is revisions[-1]:
        update = revisions[-1]
    elif sts.metadata.is_terminating:
        update = equal[-1] if equal else new_revision(sts, number, collisions)  # WL-93: nothing is written any more
    elif equal:
        update = yield from _renumber(equal[-1], number)  # WL-26: a rollback
    else:
        update, collisions = yield from _create(sts, number, collisions)
    if isinstance(update, Failure):
        return update
    current = next((revision for revision in revisions if revision.name == sts.status.current_revision), update)
    return Versions(current, update, collisions)


def _create(sts: StatefulSet, number: int, collisions: int) -> Steps[tuple[ControllerRevision | Failure, int]]:
    """Create a revision under a name that is free, or take the one that has the same data (WL-26)."""
    while True:
        revision = new_revision(sts, number, collisions)
        answer = yield Create(revision, rule="WL-26")
        if not isinstance(answer, Refused):
            return answer, collisions
        if answer.reason != "AlreadyExists":
            return Failure.of(answer), collisions
        existing = yield Get(revision.key)
        if not isinstance(existing, ControllerRevision):
            return Failure(f'controllerrevisions.apps "{revision.name}" not found'), collisions
        if same_template(template_of(existing), sts.spec.template):
            return existing, collisions
        collisions += 1


def _renumber(revision: ControllerRevision, number: int) -> Steps[ControllerRevision | Failure]:
    """Give an older revision a new number, with retries on conflict."""
    for pause in CONFLICT_WAITS:
        if revision.revision == number:
            break
        answer = yield Update(evolve(revision, revision=number), rule="WL-26")
        if not isinstance(answer, Refused):
            renumbered: ControllerRevision = answer
            return renumbered
        if answer.reason != "Conflict" or pause is None:
            return Failure.of(answer)
        fresh = yield Get(revision.key)
        if isinstance(fresh, ControllerRevision):
            revision = fresh
        yield from wait(pause)
    return revision


def truncate_history(doomed: Sequence[ControllerRevision]) -> Steps[Failure | None]:
    """Delete history beyond the limit, oldest first; the first refusal ends it (WL-28)."""
    for revision in doomed:
        answer = yield Delete(revision.key, rule="WL-28")
        if isinstance(answer, Refused):
            return Failure.of(answer)
    return None
