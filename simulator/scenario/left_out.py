"""What a dump of a cluster leaves out, and the rest of it tells: the revisions of sets, priority classes of pods.

``kubectl get nodes,sc,pv,pvc,sts,pods -A -o yaml`` has neither. A set whose revisions are missing would make new ones,
under other names than its pods bear, and roll over all pods; and no pod of a missing priority class is ever admitted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from simulator.api.apps import ControllerRevision, StatefulSet
from simulator.api.core import Container, Pod
from simulator.api.meta import Object, ObjectMeta, evolve, with_meta
from simulator.api.policy import PriorityClass
from simulator.cluster.admission.classes import SYSTEM_PRIORITIES
from simulator.cluster.admission.defaults import with_defaults
from simulator.controllers.statefulset.pods import revision_of
from simulator.controllers.statefulset.revisions import new_revision
from simulator.manifests.loader import Loaded
from simulator.manifests.origin import Origin
from simulator.scenario.initial import Initial


def with_what_is_left_out(initial: Initial) -> Initial:
    """The same with the revisions and priority classes that a running cluster must have, and what was made in words."""
    objects = initial.objects
    if not any(item.obj.metadata.uid for item in objects):
        return initial
    made: list[Loaded] = []
    words: list[str] = []
    for makers in (_revisions(objects), _priorities(objects)):
        for new, said in makers:
            made.extend(new)
            words.append(said)
    if not made:
        return initial
    return evolve(initial, objects=(*made, *objects), completed=(*initial.completed, *_summed(words)))


def _summed(words: Sequence[str]) -> Iterator[str]:
    """Each sentence once; where many differ in the name before the colon only, the names together."""
    groups: dict[str, list[str]] = {}
    for said in words:
        name, _, what = said.partition(": ")
        groups.setdefault(what, []).append(name)
    for what, names in groups.items():
        shown = ", ".join(names) if len(names) <= 4 else f"{', '.join(names[:3])} and {len(names) - 3} more"
        yield f"{shown}: {what}"


# --- revisions --------------------------------------------------------------------------------------------------------


def _revisions(objects: Sequence[Loaded]) -> Iterator[tuple[list[Loaded], str]]:
    """For each set of a running cluster without revisions: those that its status names, from its template (WL-25)."""
    owners = {owner.uid for item in objects if isinstance(item.obj, ControllerRevision)
              for owner in item.obj.metadata.owner_references}
    sets = [item for item in objects if isinstance(item.obj, StatefulSet) and item.obj.metadata.uid
            and item.obj.metadata.uid not in owners]
    if not sets:
        return
    pods: dict[str, list[Pod]] = {}
    for item in objects:
        if isinstance(item.obj, Pod) and (owner := item.obj.metadata.controller) is not None:
            pods.setdefault(owner.uid, []).append(item.obj)
    for item in sets:
        obj = with_defaults(item.obj)
        assert isinstance(obj, StatefulSet)
        yield from _of_set(obj, pods.get(obj.metadata.uid, []), item.origin)


def _of_set(sts: StatefulSet, pods: Sequence[Pod], origin: Origin) -> Iterator[tuple[list[Loaded], str]]:
    status = sts.status
    names = list(dict.fromkeys(revision_of(pod) for pod in pods if revision_of(pod)))
    update = status.update_revision or (names[0] if len(names) == 1 else "")
    current = status.current_revision or update
    if not update or status.observed_generation not in (0, sts.metadata.generation):
        return  # never looked at, or changed since: then the template is not the one that the status speaks of
    name = f"StatefulSet {sts.namespace}/{sts.name}"
    newest = _named(new_revision(sts, 1 if current == update else 2, 0), update, sts)
    made = [newest]
    words = "the dump has no ControllerRevision of it; its template is taken to be that of its present revision"
    if current != update:
        older = evolve(sts, spec=evolve(sts.spec, template=evolve(sts.spec.template, spec=evolve(
            sts.spec.template.spec, containers=_as_in(sts.spec.template.spec.containers, pods, current)))))
        made.insert(0, _named(new_revision(older, 1, 0), current, sts))
        words = ("a rolling update is under way and the dump has no ControllerRevision of it; images and resources of "
                 "its former revision are taken from its pods. Dump controllerrevisions too to have all of it")
    yield [_loaded(revision, origin) for revision in made], f"{name}: {words}"


def _named(revision: ControllerRevision, name: str, sts: StatefulSet) -> ControllerRevision:
    return with_meta(revision, name=name, uid=f"{sts.metadata.uid}-{name}",
                     creation_timestamp=sts.metadata.creation_timestamp)


def _as_in(containers: Iterable[Container], pods: Sequence[Pod], revision: str) -> tuple[Container, ...]:
    """The template's containers with the images and resources that a pod of that revision has."""
    pod = next((pod for pod in pods if revision_of(pod) == revision), None)
    if pod is None:
        return tuple(containers)
    own = {container.name: container for container in pod.spec.containers}
    return tuple(
        evolve(each, image=own[each.name].image, resources=own[each.name].resources) if each.name in own else each
        for each in containers
    )


# --- priority classes -------------------------------------------------------------------------------------------------


def _priorities(objects: Sequence[Loaded]) -> Iterator[tuple[list[Loaded], str]]:
    """The priority classes that pods of a running cluster name and no manifest defines; pods tell their value."""
    known = {item.obj.name for item in objects if isinstance(item.obj, PriorityClass)}
    known.update(SYSTEM_PRIORITIES)
    for item in objects:
        pod = item.obj
        if not isinstance(pod, Pod) or not pod.metadata.uid or pod.spec.priority is None:
            continue
        name = pod.spec.priority_class_name
        if name and name not in known:
            known.add(name)
            made = PriorityClass(metadata=ObjectMeta(name=name, uid=f"priority-class-{name}"),
                                 value=pod.spec.priority, preemption_policy=pod.spec.preemption_policy)
            yield [_loaded(made, item.origin)], (
                f"PriorityClass {name}: not in the dump; its value is taken from pod {pod.namespace}/{pod.name}")


def _loaded(obj: Object, origin: Origin) -> Loaded:
    raw = {"apiVersion": obj.API_VERSION, "kind": obj.KIND, "metadata": {"name": obj.name, "namespace": obj.namespace}}
    return Loaded(obj=obj, raw=raw, origin=origin)
