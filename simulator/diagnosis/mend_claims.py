"""Repairs that let a pod have other volumes: its claims are made anew, pinned, or bound with the pod in view."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from simulator.api.apps import StatefulSet, parent_and_ordinal
from simulator.api.core import Node, PersistentVolumeClaim, Pod
from simulator.api.nodes import HOSTNAME
from simulator.api.storage import WAIT_FOR_FIRST_CONSUMER, StorageClass
from simulator.binding.names import SELECTED_NODE
from simulator.binding.reference import is_fully_bound
from simulator.diagnosis.remedy import DISK, Ailing, Candidate, Scene, join, names
from simulator.diagnosis.steps import (
    Do,
    annotate_away,
    apply,
    delete,
    manifest_of,
    patch,
    replace,
    scale,
    wait_until_gone,
)
from simulator.explanation.words import listing


def mend_claims(scene: Scene, ailing: Ailing) -> Iterator[Candidate]:
    """New volumes for the claims that hold a pod."""
    yield from _selected(scene, ailing)
    yield from _own(scene, ailing)
    if not ailing.has("bound", "reach", "zone", "gone volume", "gone node", "label"):
        return
    for pod in scene.pods_of(ailing):
        held = [claim for claim in scene.claims(pod) if claim.spec.volume_name]
        for claims in _choices(held):
            yield Candidate("remake", f"make {names([*claims, pod])} anew",
                            tuple(scene.remakes(pod, claims)), may_be_luck=True)
            yield from _later(scene, pod, claims)
            if any(scene.is_immediate(claim) for claim in claims):
                yield from _pinned(scene, pod, claims)
            yield from _with_new_volumes(scene, pod, claims)


def _own(scene: Scene, ailing: Ailing) -> Iterator[Candidate]:
    """A pod that shares its claim with others gets one of its own."""
    if not ailing.has("apart", "reach", "exclusive", "uses"):
        return
    for pod in scene.pods_of(ailing):
        for claim in scene.claims(pod):
            others = [user for user in scene.evidence.users_of(claim) if user.key != pod.key]
            owner = scene.owner(pod)
            if not others or pod.spec.node_name:
                continue
            if owner is None:
                own = f"{claim.name}-{pod.name}"
                made = scene.makes_claim_again(claim)
                made["metadata"] = {**made["metadata"], "name": own}
                manifest = _with_claim(manifest_of(pod), claim.name, own)
                yield Candidate("own", f"give {names([pod])} a claim of its own", (
                    apply(made), *scene.makes_again(pod, manifest)), notes=("its volume is empty at first",))
            elif scene.template_of(claim) is None:
                yield from _templated(scene, owner, claim)


def _with_claim(manifest: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    """A pod's manifest with another claim in the place of one."""
    volumes = [{**volume, "persistentVolumeClaim": {"claimName": new}}
               if volume.get("persistentVolumeClaim", {}).get("claimName") == old else volume
               for volume in manifest["spec"].get("volumes", [])]
    return {**manifest, "spec": {**manifest["spec"], "volumes": volumes}}


def _templated(scene: Scene, owner: StatefulSet, claim: PersistentVolumeClaim) -> Iterator[Candidate]:
    """A set whose pods share one claim gets a template of claims; templates cannot be changed, so it is made anew."""
    manifest = manifest_of(owner)
    spec = manifest["spec"]
    inner = spec["template"]["spec"]
    shared = [volume["name"] for volume in inner.get("volumes", [])
              if volume.get("persistentVolumeClaim", {}).get("claimName") == claim.name]
    inner["volumes"] = [volume for volume in inner.get("volumes", []) if volume["name"] not in shared]
    wanted = scene.makes_claim_again(claim)["spec"]
    spec["volumeClaimTemplates"] = [*spec.get("volumeClaimTemplates", []),
                                    *({"metadata": {"name": name}, "spec": wanted} for name in shared)]
    pods = [pod.key for pod in scene.evidence.state.by("pods-by-controller", owner.metadata.uid)]
    yield Candidate("own", f"give each pod of {owner.name} a claim of its own (volumeClaimTemplates)", (
        delete(owner.key, wait=True, orphan=True), apply(manifest), delete(*pods)),
        notes=(f"what is in {claim.name} stays there, and the new volumes are empty at first",))


def _choices(claims: Sequence[PersistentVolumeClaim]) -> list[list[PersistentVolumeClaim]]:
    """Each claim alone, and all of them."""
    alone = [[claim] for claim in claims]
    return [*alone, list(claims)] if len(claims) > 1 else alone


def _later(scene: Scene, pod: Pod, claims: Sequence[PersistentVolumeClaim]) -> Iterator[Candidate]:
    """The class is made to wait for the first consumer; its fields cannot be changed, so it is made anew."""
    classes: dict[str, StorageClass] = {}
    for claim in claims:
        found = scene.evidence.class_of(claim)
        if found is not None and scene.is_immediate(claim):
            classes[found.name] = found
    if classes:
        switched = [replace({**manifest_of(each), "volumeBindingMode": WAIT_FOR_FIRST_CONSUMER})
                    for each in classes.values()]
        yield Candidate(
            "later", f"let class {listing(classes)} wait for the first consumer; make {names([*claims, pod])} anew",
            (*switched, *scene.remakes(pod, claims)),
        )


# --- pinned to a volume of a node that will do ----------------------------------------------------------------------


def _pinned(scene: Scene, pod: Pod, claims: Sequence[PersistentVolumeClaim]) -> Iterator[Candidate]:
    """Claims are made by hand, each asking for a certain volume; those that the set has yet to make as well."""
    owner = scene.owner(pod)
    wanted = [(pod, list(claims))]
    if owner is not None:
        wanted += [(pod, claims_to_come) for ordinal in scene.missing(owner)
                   if (claims_to_come := scene.claims_to_come(owner, ordinal))]
    pinned: list[dict[str, Any]] = []
    taken: list[str] = []
    used: list[str] = []
    for _, needed in wanted:
        place = _place(scene, pod, needed, taken, used)
        if place is None:
            return
        node, volumes = place
        used.append(node.name)
        taken += volumes
        pinned += [scene.makes_claim_again(claim, volumeName=volume)
                   for claim, volume in zip(needed, volumes, strict=True)]
    places = f"on {listing(used)}"
    title = f"make {names(claims)} by hand, for {taken[0] if len(claims) == 1 else listing(taken)} {places}"
    if len(wanted) > 1:
        title = f"make {listing(each['metadata']['name'] for each in pinned)} by hand, each for one volume {places}"
    if owner is None:
        yield Candidate("pin", title, (
            delete(pod.key, wait=True), delete(*(claim.key for claim in claims), wait=True),
            apply(*pinned, manifest_of(pod))))
        return
    yield Candidate("pin", title, tuple(_around(scene, owner, pod, claims, pinned)))


def _place(
    scene: Scene, pod: Pod, claims: Sequence[PersistentVolumeClaim], taken: Sequence[str], used: Sequence[str]
) -> tuple[Node, list[str]] | None:
    """A node that nothing but volumes closes, and a free volume on it for each claim."""
    for node in scene.open_nodes(pod):
        if node.name in used:
            continue
        found: list[str] = []
        for claim in claims:
            volume = next(iter(scene.volumes_for(claim, node, [*taken, *found])), None)
            if volume is not None:
                found.append(volume.name)
        if len(found) == len(claims):
            return node, found
    return None


def _around(
    scene: Scene, owner: StatefulSet, pod: Pod, claims: Sequence[PersistentVolumeClaim],
    pinned: Sequence[dict[str, Any]],
) -> list[Do]:
    """The pod is taken away so that its set does not make its claims first: scaled down, or the set itself is gone."""
    parsed = parent_and_ordinal(pod.name)
    ordinal = parsed[1] if parsed is not None else 0
    higher = [other for other in owner.ordinals if other > ordinal
              and scene.evidence.state.get(Pod, owner.pod_name(other), owner.namespace) is not None]
    keys = [claim.key for claim in claims]
    retention = owner.spec.persistent_volume_claim_retention_policy
    if not higher and (retention is None or retention.when_scaled != "Delete"):
        return [scale(owner.key, ordinal - owner.start), wait_until_gone(pod.key), delete(*keys, wait=True),
                apply(*pinned), scale(owner.key, owner.replicas)]
    return [delete(owner.key, wait=True, orphan=True), delete(pod.key, wait=True), delete(*keys, wait=True),
            apply(*pinned), apply(manifest_of(owner))]


def _with_new_volumes(scene: Scene, pod: Pod, claims: Sequence[PersistentVolumeClaim]) -> Iterator[Candidate]:
    """Where there is no other volume: one is made, on a node that will do or on a new one."""
    fresh = scene.new_node(pod=pod)
    places = [(node, ()) for node in scene.open_nodes(pod)[:2]]
    for node, joined in (*places, (fresh, (join(fresh),))):
        made = [scene.new_volume(claim, node.name, node.metadata.labels.get(HOSTNAME, "")) for claim in claims]
        where = "a new node" if joined else node.name
        does = (*joined, apply(*made), *scene.remakes(pod, claims))
        yield Candidate("remake new", f"make {names([*claims, pod])} anew, with a new volume on {where}", does,
                        notes=(DISK,), needs_hardware=True)


# --- a node that was chosen for provisioning ------------------------------------------------------------------------


def _selected(scene: Scene, ailing: Ailing) -> Iterator[Candidate]:
    for fact in ailing.of_kind("selected"):
        claim = fact.about[0]
        yield Candidate("selected", f"let the scheduler choose again for {names([claim])}",
                        (annotate_away(claim, SELECTED_NODE),))


def mend_bypass(scene: Scene, ailing: Ailing) -> Iterator[Candidate]:
    """A pod was put on its node without the scheduler: let it be placed, or bind its claim by hand."""
    for fact in ailing.of_kind("bypass"):
        pod = scene.evidence.state.find(fact.about[0])
        if not isinstance(pod, Pod):
            continue
        node = scene.evidence.state.get(Node, pod.spec.node_name)
        for claim in scene.claims(pod):
            if node is None or is_fully_bound(claim):
                continue
            for volume in scene.volumes_for(claim, node)[:1]:
                yield Candidate("bind", f"bind {names([claim])} to {volume.name} by hand",
                                (patch(claim.key, {"spec": {"volumeName": volume.name}}),))
        manifest = manifest_of(pod)
        yield Candidate("bypass", f"make {names([pod])} anew without spec.nodeName, so that the scheduler places it",
                        tuple(scene.makes_again(pod, manifest)))
        if node is not None:
            selector = {**pod.spec.node_selector, "kubernetes.io/hostname": node.metadata.labels.get(
                "kubernetes.io/hostname", node.name)}
            there = {**manifest, "spec": {**manifest["spec"], "nodeSelector": selector}}
            yield Candidate("bypass", f"make {names([pod])} anew with a nodeSelector for {node.name} in place of "
                            "spec.nodeName", tuple(scene.makes_again(pod, there)))


