"""Repairs of pods and sets: a rule relaxed, less asked for, somebody out of the way, fewer replicas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from simulator.api.apps import StatefulSet, parent_and_ordinal
from simulator.api.core import Condition, PersistentVolumeClaim, Pod, ResourceQuota, set_condition
from simulator.api.meta import Key, encode, evolve
from simulator.diagnosis import relax
from simulator.diagnosis.draft import Draft
from simulator.diagnosis.fact import Fact
from simulator.diagnosis.remedy import Ailing, Candidate, Scene, names
from simulator.diagnosis.steps import by_hand, delete, manifest_of, patch, scale
from simulator.explanation.words import domain, listing
from simulator.units import Quantity

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def mend_pods(scene: Scene, ailing: Ailing) -> Iterator[Candidate]:
    """What pods ask for, and who is in their way."""
    pods = [pod for pod in scene.pods_of(ailing) if not pod.spec.node_name]
    for pod in pods:
        yield from _relaxed(scene, ailing, pod)
        yield from _out_of_the_way(scene, ailing, pod)
    yield from _fewer(scene, ailing)
    yield from _unready(scene, ailing)
    yield from _objects(scene, ailing)


# --- rules ----------------------------------------------------------------------------------------------------------


def _relaxed(scene: Scene, ailing: Ailing, pod: Pod) -> Iterator[Candidate]:
    """One rule of the pod less, or one that only prefers."""
    for fact in ailing.facts:
        changed = _changed_spec(fact, pod)
        if changed is None:
            continue
        title, spec, is_mutual = changed
        owner = scene.owner(pod)
        if owner is None:
            manifest = manifest_of(pod)
            manifest["spec"] = _merged(manifest["spec"], spec)
            yield Candidate("relax", title, tuple(scene.makes_again(pod, manifest)), gives_up=True)
            continue
        template = patch(owner.key, {"spec": {"template": {"spec": spec}}})
        siblings = [other for other in scene.evidence.state.by("pods-by-controller", owner.metadata.uid)
                    if other.key != pod.key]
        near = [other for other in siblings if other.spec.node_name in _closed_by(ailing, fact)]
        for again in ([], near if is_mutual else [], siblings if is_mutual else []):
            yield Candidate("relax", title, (template, delete(*(other.key for other in (*again, pod)))), gives_up=True)


def _closed_by(ailing: Ailing, fact: Fact) -> set[str]:
    """The nodes to which the pod is tied, and which the rule closes."""
    there = {node for other in ailing.of_kind("there") for node in other.nodes}
    return there & set(fact.nodes) if there else set(fact.nodes)


def _changed_spec(fact: Fact, pod: Pod) -> tuple[str, dict[str, Any], bool] | None:
    """What to call the change, the changed part of the pod's spec, and whether pods that run have that rule too."""
    spec = encode(pod.spec)
    affinity = spec.get("affinity") or {}
    match fact.kind:
        case "apart" | "together":
            side = "podAntiAffinity" if fact.kind == "apart" else "podAffinity"
            rules = affinity.get(side) or {}
            required = rules.get(_REQUIRED) or []
            if not required:
                return None
            preferred = [*(rules.get(_PREFERRED) or []),
                         *({"weight": 100, "podAffinityTerm": term} for term in required)]
            where = domain(required[0]["topologyKey"])
            changed = {"affinity": {side: {_REQUIRED: None, _PREFERRED: preferred}}}
            if fact.kind == "apart":
                return f"prefer separate {where}s for {_whose(fact)} instead of requiring them", changed, True
            return f"prefer a common {where} for {_whose(fact)} instead of requiring it", changed, False
        case "spread":
            softened = [{**each, "whenUnsatisfiable": "ScheduleAnyway"} for each in
                        spec.get("topologySpreadConstraints", [])]
            return "spread the pods if possible (ScheduleAnyway)", {"topologySpreadConstraints": softened}, False
        case "node rules":
            gone: dict[str, Any] = {}
            if spec.get("nodeSelector"):
                gone["nodeSelector"] = None
            if affinity.get("nodeAffinity"):
                gone["affinity"] = {"nodeAffinity": None}
            return f"let {names([pod])} run on any node", gone, False
        case "asks":
            resource, = fact.detail
            containers = [_asking_less(one, resource) for one in spec.get("containers", [])]
            return f"let {names([pod])} ask for a tenth of the {resource}", {"containers": containers}, False
        case "port":
            containers = [{**one, "ports": [{name: value for name, value in port.items() if name != "hostPort"}
                                            for port in one.get("ports", [])]} for one in spec.get("containers", [])]
            return f"let {names([pod])} do without its host port", {"containers": containers}, False
    return None


def _whose(fact: Fact) -> str:
    owner = fact.about[0]
    return f"pods of {owner.name}" if owner.kind == "StatefulSet" else owner.name


def _asking_less(container: Mapping[str, Any], resource: str) -> dict[str, Any]:
    resources = dict(container.get("resources", {}))
    for field in ("requests", "limits"):
        amounts = dict(resources.get(field) or {})
        if resource in amounts:
            amounts[resource] = _tenth(amounts[resource])
            resources[field] = amounts
    return {**container, "resources": resources}


def _tenth(amount: str) -> str:
    from simulator.units import quantity

    size = quantity(str(amount))
    return f"{max(1, size.nano // 10 // 10**6)}m" if size.nano < 10**12 else f"{size.value // 10}"


def _merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in change.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            merged[name] = _merged(merged.get(name) or {}, value)
        else:
            merged[name] = value
    return merged


# --- who is in the way ----------------------------------------------------------------------------------------------


def _out_of_the_way(scene: Scene, ailing: Ailing, pod: Pod) -> Iterator[Candidate]:
    """Another pod ends, or is made again now that this one comes first."""
    for fact in ailing.of_kind("there", "uses"):
        others = [other for key in fact.about if isinstance(other := scene.evidence.state.find(key), Pod)
                  and other.key != pod.key]
        if not others or len(others) > 2:
            continue
        if all(scene.owner(other) is None and other.metadata.controller is None for other in others):
            yield Candidate("make room", f"delete {names(others)}", (delete(*(other.key for other in others)),),
                            notes=(f"{names(others)} is not made again",), gives_up=True)
        elif all(scene.owner(other) is not None for other in others):
            yield Candidate("make room", f"make {names(others)} anew, elsewhere",
                            (delete(*(other.key for other in others)),))


def _fewer(scene: Scene, ailing: Ailing) -> Iterator[Candidate]:
    """A set without the replicas that do not come up."""
    lowest: dict[Key, tuple[StatefulSet, int]] = {}
    for pod in scene.pods_of(ailing):
        owner, parsed = scene.owner(pod), parent_and_ordinal(pod.name)
        if owner is not None and parsed is not None:
            known = lowest.get(owner.key)
            lowest[owner.key] = (owner, min(parsed[1], known[1]) if known is not None else parsed[1])
    for key in ailing.keys:
        whole = scene.evidence.state.find(key)
        if isinstance(whole, StatefulSet) and (gone := scene.missing(whole)):
            lowest.setdefault(key, (whole, gone[0]))
    for stuck_set, ordinal in lowest.values():
        left = ordinal - stuck_set.start
        if left > 0 and not any(_is_ready(scene, stuck_set, other) for other in stuck_set.ordinals if other > ordinal):
            yield Candidate("fewer", f"scale {stuck_set.name} down to {left}", (scale(stuck_set.key, left),),
                            gives_up=True,
                            notes=(f"{stuck_set.name} has {left} of the {stuck_set.replicas} replicas wanted",))


def _is_ready(scene: Scene, owner: StatefulSet, ordinal: int) -> bool:
    pod = scene.evidence.state.get(Pod, owner.pod_name(ordinal), owner.namespace)
    return pod is not None and pod.is_ready


# --- pods that do not get ready -------------------------------------------------------------------------------------


def _unready(scene: Scene, ailing: Ailing) -> Iterator[Candidate]:
    for fact in ailing.of_kind("never ready"):
        pod = fact.about[0]
        edit = partial(_gets_ready, key=pod)
        yield Candidate("program", f"see to it that the programs of {names([pod])} get ready",
                        (by_hand(f"see to it that the programs of {names([pod])} get ready"),), edit=edit)
    for fact in ailing.of_kind("revision", "failed"):
        outdated = scene.evidence.state.find(fact.about[0])
        if isinstance(outdated, Pod):
            yield Candidate("revision", f"make {names([outdated])} anew", tuple(scene.makes_again(outdated)))
    for fact in ailing.of_kind("gate"):
        gated = scene.evidence.state.find(fact.about[0])
        if isinstance(gated, Pod):
            gates = listing(gate.condition_type for gate in gated.spec.readiness_gates)
            words = f"see to it that whoever is to open the readiness gates of {names([gated])} does so: {gates}"
            yield Candidate("gate", f"open the readiness gates of {names([gated])}", (by_hand(words),),
                            edit=partial(_opened, key=gated.key))


def _gets_ready(draft: Draft, key: Key) -> None:
    draft.never_ready.pop(key, None)
    relax.make_ready(draft, key)


def _opened(draft: Draft, key: Key) -> None:
    pod = draft.objects.get(key)
    if isinstance(pod, Pod):
        conditions = pod.status.conditions
        for gate in pod.spec.readiness_gates:
            conditions = set_condition(conditions, Condition(type=gate.condition_type, status="True"), 0)
        draft.put(evolve(pod, status=evolve(pod.status, conditions=conditions)))
        relax.make_ready(draft, key)


# --- objects --------------------------------------------------------------------------------------------------------


def _objects(scene: Scene, ailing: Ailing) -> Iterator[Candidate]:
    """Finalizers that nobody removes, quotas, and pods that have a set's name."""
    for fact in ailing.of_kind("finalizer"):
        key = fact.about[0]
        obj = scene.evidence.state.find(key)
        finalizer, = fact.detail
        kept = [other for other in (obj.metadata.finalizers if obj is not None else ()) if other != finalizer]
        yield Candidate("finalizer", f"remove the finalizer {finalizer} from {names([key])}",
                        (patch(key, {"metadata": {"finalizers": kept or None}}),),
                        notes=("whoever put it there does not clean up any more: see what is left behind",),
                        gives_up=True)
    for fact in ailing.of_kind("uses", "bound"):
        holder = scene.evidence.state.find(fact.about[0])
        target = scene.evidence.state.find(ailing.keys[0])
        if isinstance(holder, Pod) and target is not None and target.metadata.is_terminating:
            yield Candidate("make room", f"delete {names([holder])}", (delete(holder.key),), gives_up=True)
        elif isinstance(holder, PersistentVolumeClaim) and target is not None and target.metadata.is_terminating:
            users = [user.key for user in scene.evidence.users_of(holder)]
            yield Candidate("make room", f"delete {names([*users, holder.key])}", (delete(*users, holder.key),),
                            gives_up=True)
    for fact in ailing.of_kind("budget"):
        budget = fact.about[0]
        yield Candidate("budget", f"let the budget {names([budget])} allow one pod to go",
                        (patch(budget, {"spec": {"maxUnavailable": 1, "minAvailable": None}}),))
        yield Candidate("budget", f"delete the budget {names([budget])}", (delete(budget),), gives_up=True)
    for fact in ailing.of_kind("occupant"):
        yield Candidate("occupant", f"delete {names([fact.about[0]])}, which has the set's name",
                        (delete(fact.about[0]),), gives_up=True)
    for fact in ailing.of_kind("quota"):
        quota = scene.evidence.state.find(fact.about[0])
        if isinstance(quota, ResourceQuota):
            for times in (2, 4, 10):
                raised = {name: _times(amount, times) for name, amount in quota.spec.hard.items()}
                yield Candidate("quota", f"raise the quota {names([quota.key])} to "
                                f"{listing(f'{name}={amount}' for name, amount in raised.items())}",
                                (patch(quota.key, {"spec": {"hard": raised}}),))


def _times(amount: Quantity, times: int) -> str:
    return f"{max(1, amount.value) * times}"


