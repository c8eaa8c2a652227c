"""What people and scripts do to a cluster: kubectl's commands as flows of a component of their own.

Each action is one flow. What the API server answers ends up in the log as a note ``action``; a refusal is a result, not
an error.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from simulator.api.apps import StatefulSet
from simulator.api.core import Node, Pod, Taint
from simulator.api.meta import Key, Object, evolve
from simulator.cluster.admission.apply import LAST_APPLIED, apply_patch, merge_patch, strategic_merge_patch
from simulator.cluster.component import Change, Periodic, View
from simulator.flows import (
    DONE,
    Create,
    Delete,
    Evict,
    Flow,
    Get,
    ListLive,
    Note,
    Patch,
    Poll,
    Refused,
    Remember,
    Sleep,
    Tell,
    Told,
)
from simulator.units import SECOND, Micros

CLIENT = Key("Client", "", "kubectl")
_MIRROR = "kubernetes.io/config.mirror"
_DAEMON_SETS = "cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore)"
_LOCAL_STORAGE = "cannot delete Pods with local storage (use --delete-emptydir-data to override)"
_NO_CONTROLLER = "cannot delete Pods that declare no controller (use --force to override)"


class Apply(Struct, frozen=True):
    """``kubectl apply`` or ``kubectl create`` of one object; `raw` is the manifest as written."""

    obj: Object
    raw: Mapping[str, Any]
    create_only: bool = False


class Remove(Struct, frozen=True):
    """``kubectl delete``."""

    key: Key
    grace: int | None = None
    propagation: str = "Background"
    force: bool = False


class Scale(Struct, frozen=True):
    """``kubectl scale``."""

    key: Key
    replicas: int


class PatchObject(Struct, frozen=True):
    """``kubectl patch``."""

    key: Key
    patch: Mapping[str, Any]
    strategic: bool = False
    subresource: str = ""


class Cordon(Struct, frozen=True):
    """``kubectl cordon`` and ``kubectl uncordon``."""

    key: Key
    unschedulable: bool


class TaintNode(Struct, frozen=True):
    """``kubectl taint``: taints to set, and (key, effect or "") to take away."""

    key: Key
    set: tuple[Taint, ...]
    remove: tuple[tuple[str, str], ...]


class EvictPod(Struct, frozen=True):
    """One call of the eviction API."""

    key: Key
    grace: int | None = None


class Drain(Struct, frozen=True):
    """``kubectl drain`` (WL-138, WL-139)."""

    key: Key
    force: bool = False
    ignore_daemonsets: bool = False
    delete_emptydir_data: bool = False


Action = Apply | Remove | Scale | PatchObject | Cordon | TaintNode | EvictPod | Drain


class Sequel(Struct, frozen=True):
    """Actions done one after another, as one entry of a timeline; `number` is the entry's."""

    number: int
    actions: tuple[Action, ...]


class Finished(Struct, frozen=True):
    """An entry of the timeline is done; `refusals` is what was refused."""

    number: int
    refusals: tuple[str, ...]


class Applied(Struct, frozen=True):
    """A manifest as applied last: what the next apply is compared with."""

    key: Key
    raw: Mapping[str, Any]


class Memory:
    """What kubectl keeps in annotations: the last applied manifests; and which entries of a timeline are done."""

    def __init__(self) -> None:
        self.applied: dict[Key, Mapping[str, Any]] = {}
        self.finished: dict[int, tuple[str, ...]] = {}

    def copy(self) -> Memory:
        """A copy that shares the manifests."""
        twin = Memory()
        twin.applied, twin.finished = dict(self.applied), dict(self.finished)
        return twin


class Kubectl:
    """The client: a component without watches, whose flows are spawned by a timeline."""

    name = "kubectl"
    queues: Mapping[str, int] = {"actions": 1}
    watches: frozenset[str] = frozenset()
    periodics: Sequence[Periodic] = ()

    def new_memory(self) -> Memory:
        """Nothing applied yet."""
        return Memory()

    def observe(self, change: Change, view: View) -> Iterable[Told]:
        """The client watches nothing."""
        return ()

    def remember(self, memory: Memory, what: Any, now: Micros) -> None:
        """Note what was applied, and what is done."""
        if isinstance(what, Applied):
            memory.applied[what.key] = what.raw
        elif isinstance(what, Finished):
            memory.finished[what.number] = what.refusals

    def check(self, poll: Poll, view: View) -> Any:
        """The client polls nothing."""
        return None

    def sync(self, queue: str, key: Key, view: View) -> Flow:
        """Carry out the actions handed over by `Spawn`."""
        sequel: Sequel = view.argument
        applied = dict(view.memory.applied)
        refusals: list[str] = []
        for action in sequel.actions:
            words, target = describe(action)
            answer = yield from self._carry_out(action, applied)
            refused = isinstance(answer, Refused)
            detail = {"entry": sequel.number, "action": words, "refused": str(answer) if refused else None}
            if refused:
                refusals.append(str(answer))
            yield Tell(Note("action", target, detail))
        yield Tell(Remember(Finished(sequel.number, tuple(refusals))))
        return DONE

    def _carry_out(self, action: Action, applied: dict[Key, Mapping[str, Any]]) -> Any:
        match action:
            case Apply():
                return (yield from _apply(action, applied))
            case Remove():
                grace = action.grace
                if action.force and grace is None:
                    grace = 0
                elif grace == 0 and not action.force:
                    grace = 1  # WL-100: only --force does without the kubelet's word
                return (yield Delete(action.key, grace=grace, propagation=action.propagation))
            case Scale():
                return (yield Patch(action.key, _scaled, (action.replicas,)))
            case PatchObject():
                edit = strategic_merge_patch if action.strategic else merge_patch
                return (yield Patch(action.key, edit, (action.patch,), action.subresource))
            case Cordon():
                return (yield Patch(action.key, _cordoned, (action.unschedulable,)))
            case TaintNode():
                return (yield Patch(action.key, _tainted, (action.set, action.remove)))
            case EvictPod():
                return (yield Evict(action.key, action.grace))
            case Drain():
                return (yield from _drain(action))


def describe(action: Action) -> tuple[str, Key]:
    """The action in kubectl's words, and what it is done to."""
    match action:
        case Apply():
            key = action.obj.key
            return ("create" if action.create_only else "apply", key)
        case Remove():
            extra = "" if action.propagation == "Background" else f" --cascade={action.propagation.lower()}"
            return ("delete" + extra + (" --force" if action.force else ""), action.key)
        case Scale():
            return (f"scale --replicas={action.replicas}", action.key)
        case PatchObject():
            return ("patch", action.key)
        case Cordon():
            return ("cordon" if action.unschedulable else "uncordon", action.key)
        case TaintNode():
            return ("taint", action.key)
        case EvictPod():
            return ("evict", action.key)
        case Drain():
            return ("drain", action.key)


def _apply(action: Apply, applied: dict[Key, Mapping[str, Any]]) -> Any:
    key = action.obj.key
    current = None if action.create_only else (yield Get(key))
    if current is None:
        answer = yield Create(action.obj)
    else:
        answer = yield Patch(key, _reapplied, (action.raw, applied.get(key) or _last_applied(current)))
    if not isinstance(answer, Refused):
        applied[key] = action.raw
        yield Tell(Remember(Applied(key, action.raw)))
    return answer


def _last_applied(current: Object) -> Mapping[str, Any] | None:
    """The manifest that a running cluster's object says was applied last; None if it does not say, or it is garbled."""
    try:
        manifest = json.loads(current.metadata.annotations.get(LAST_APPLIED, "null"))
    except ValueError:
        return None
    return manifest if isinstance(manifest, dict) else None


def _reapplied(current: Object, raw: Mapping[str, Any], last: Mapping[str, Any] | None) -> Object:
    return apply_patch(current, raw, last)


def _scaled(current: StatefulSet, replicas: int) -> Object:
    return evolve(current, spec=evolve(current.spec, replicas=replicas))


def _cordoned(current: Node, unschedulable: bool) -> Object:
    return evolve(current, spec=evolve(current.spec, unschedulable=unschedulable))


def _tainted(current: Node, new: tuple[Taint, ...], gone: tuple[tuple[str, str], ...]) -> Object:
    def is_replaced(taint: Taint) -> bool:
        return any(taint.key == key and effect in ("", taint.effect) for key, effect in gone) or any(
            (taint.key, taint.effect) == (other.key, other.effect) for other in new
        )

    kept = tuple(taint for taint in current.spec.taints if not is_replaced(taint))
    return evolve(current, spec=evolve(current.spec, taints=(*kept, *new)))


def _drain(action: Drain) -> Any:
    """Cordon, then evict every pod of the node until it is gone or replaced (WL-138, WL-139).

    Where local volumes tie the successors to the cordoned node, a budget blocks all further evictions (WL-145).
    """
    answer = yield Patch(action.key, _cordoned, (True,))
    if isinstance(answer, Refused):
        return answer
    pods = yield ListLive("Pod")
    doomed, refusals = _sort_for_drain(action, [pod for pod in pods if pod.spec.node_name == action.key.name])
    if refusals:  # WL-138: then nothing is evicted
        return _undrained(action, refusals)
    failures: list[str] = []
    waiting = {pod.key: pod for pod in doomed}
    asked: set[Key] = set()
    while waiting:
        blocked = False
        for key, pod in list(waiting.items()):
            if key in asked:
                there = yield Get(key)
                if there is None or there.metadata.uid != pod.metadata.uid:
                    del waiting[key]
                continue
            answer = yield Evict(key)  # by name: after a wait, perhaps another pod than the one listed (WL-139)
            if not isinstance(answer, Refused):
                asked.add(key)
            elif answer.reason == "TooManyRequests":
                blocked = True
                yield Tell(Note("evict-blocked", key, {"message": answer.message}))
            else:
                del waiting[key]
                if answer.reason != "NotFound":
                    failures.append(
                        f'error when evicting pods/"{pod.name}" -n "{pod.namespace}": {answer.message}')
        if waiting:
            yield Sleep("drain", 5 * SECOND if blocked else SECOND)
    return _undrained(action, failures) if failures else None


def _sort_for_drain(action: Drain, here: Sequence[Pod]) -> tuple[list[Pod], list[str]]:
    """The pods that a drain evicts, and why it may not begin; volumes of claims are no local storage (WL-138)."""
    doomed: list[Pod] = []
    refused: dict[str, list[str]] = {}
    for pod in here:
        owner = pod.metadata.controller
        name = f"{pod.namespace}/{pod.name}"
        if owner is not None and owner.kind == "DaemonSet" and not pod.is_finished:
            if not action.ignore_daemonsets:
                refused.setdefault(_DAEMON_SETS, []).append(name)
        elif _MIRROR in pod.metadata.annotations:
            continue  # a static pod's image in the API; only its kubelet can end it
        elif pod.is_finished:
            doomed.append(pod)
        elif any(volume.empty_dir is not None for volume in pod.spec.volumes) and not action.delete_emptydir_data:
            refused.setdefault(_LOCAL_STORAGE, []).append(name)
        elif owner is None and not action.force:
            refused.setdefault(_NO_CONTROLLER, []).append(name)
        else:
            doomed.append(pod)
    return doomed, [f"{why}: {', '.join(names)}" for why, names in refused.items()]


def _undrained(action: Drain, why: Sequence[str]) -> Refused:
    told = why[0] if len(why) == 1 else f"[{', '.join(why)}]"
    return Refused("BadRequest", 400, f'unable to drain node "{action.key.name}" due to error: {told}')
