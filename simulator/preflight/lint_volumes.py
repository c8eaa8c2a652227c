"""Lints about volumes: places that are not there, directories given away twice, volumes that nobody can take."""

from __future__ import annotations

from collections.abc import Iterator
from posixpath import normpath

from simulator.api.core import Node, PersistentVolume, PersistentVolumeClaim
from simulator.api.nodes import HOSTNAME
from simulator.binding.names import PROVISIONED_BY
from simulator.binding.reference import class_of
from simulator.explanation.words import listing
from simulator.manifests.suggest import nearest
from simulator.preflight.candidates import supply
from simulator.preflight.inventory import Inventory, Item
from simulator.preflight.registry import Found, lint
from simulator.preflight.result import ERROR, NOTE, WARNING
from simulator.scheduler.plugins.free_volumes import Reach


def _severity(item: Item[PersistentVolume]) -> str:
    return ERROR if item.is_new else WARNING


def _used_labels(volume: PersistentVolume) -> list[str]:
    affinity = volume.spec.node_affinity
    terms = affinity.required.node_selector_terms if affinity is not None and affinity.required is not None else ()
    return list(dict.fromkeys(expression.key for term in terms for expression in term.match_expressions))


@lint
def volume_on_missing_node(inventory: Inventory) -> Iterator[Found]:
    """A volume is tied to a node that does not exist."""
    if not inventory.nodes:
        return
    for item in inventory.volumes:
        reach = Reach.of(item.obj)
        if reach.label != HOSTNAME or inventory.reach(item.obj):
            continue
        mend = "add the node, or correct spec.nodeAffinity"
        named = next((node for name in reach.values if (node := inventory.get(Node, name)) is not None), None)
        if named is not None:
            label = named.obj.metadata.labels.get(HOSTNAME)
            said = f'"{label}"' if label else "missing"
            mend = f"node {named.obj.name} is there, but its label {HOSTNAME} is {said}: write that label's value"
        yield Found(
            _severity(item), item, f"is tied to {listing(reach.values)}, which the cluster does not have",
            "a claim that gets it can never be used: its pod fits nowhere; under Immediate a claim may well get it",
            mend, "spec.nodeAffinity.required")


@lint
def volume_affinity_matches_no_node(inventory: Inventory) -> Iterator[Found]:
    """A volume is tied to nodes by labels that no node has."""
    if not inventory.nodes:
        return
    for item in inventory.volumes:
        affinity = item.obj.spec.node_affinity
        if affinity is None or affinity.required is None or Reach.of(item.obj).label == HOSTNAME:
            continue
        if inventory.reach(item.obj):
            continue
        unknown = [label for label in _used_labels(item.obj) if not inventory.label_values(label)]
        what = (f"its nodeAffinity asks for the label {listing(unknown)}, which no node has" if unknown
                else "its nodeAffinity matches no node")
        yield Found(
            _severity(item), item, what, "no pod can use it: it fits nowhere",
            "correct spec.nodeAffinity, or label the nodes", "spec.nodeAffinity.required")


@lint
def directory_advertised_twice(inventory: Inventory) -> Iterator[Found]:
    """Two volumes are the same directory of the same node."""
    places: dict[tuple[str, str], list[Item[PersistentVolume]]] = {}
    for item in inventory.volumes:
        spec = item.obj.spec
        source = spec.local or spec.host_path
        if source is None or item.obj.status.phase in ("Released", "Failed"):
            continue
        if spec.local is None and (spec.node_affinity is None or spec.node_affinity.required is None):
            continue  # a directory of whichever node: another lint's business
        nodes = [node.name for node in inventory.reach(item.obj)] or list(Reach.of(item.obj).values)
        for node in nodes:
            places.setdefault((normpath(source.path), node), []).append(item)
    said: set[tuple[str, ...]] = set()
    for (path, node), items in places.items():
        names = tuple(item.obj.name for item in items)
        if len(items) < 2 or names in said:
            continue
        said.add(names)
        last = next((item for item in reversed(items) if item.is_new), items[-1])
        yield Found(
            ERROR if last.is_new else WARNING, last,
            f"{listing(names)} are the same directory, {path} on {node}",
            "two claims are promised the same room, and two pods write into one directory",
            "give each volume a directory of its own, or keep one of them",
            "spec.local.path" if last.obj.spec.local is not None else "spec.hostPath.path")


@lint
def delete_policy_on_hand_made_local_volume(inventory: Inventory) -> Iterator[Found]:
    """A local volume made by hand says Delete, and nobody is there to delete it."""
    for item in inventory.volumes:
        spec = item.obj.spec
        if spec.local is None or spec.persistent_volume_reclaim_policy != "Delete":
            continue
        if PROVISIONED_BY in item.obj.metadata.annotations or inventory.has_local_provisioner:
            continue
        yield Found(
            WARNING, item, "is a local volume made by hand with reclaim policy Delete",
            "no controller can delete a local volume: when its claim goes it turns Failed, and its data stay",
            "persistentVolumeReclaimPolicy: Retain; or leave making and wiping to the local static provisioner",
            "spec.persistentVolumeReclaimPolicy")


@lint
def released_volume_nobody_will_bind(inventory: Inventory) -> Iterator[Found]:
    """A volume still refers to a claim that is gone."""
    wanted = {wish.storage_class for wish in inventory.wishes if wish.open and wish.item.is_new
              and not supply(inventory, wish).volumes}
    for item in inventory.volumes:
        volume, reference = item.obj, item.obj.spec.claim_ref
        if reference is None or not reference.uid or volume.metadata.is_terminating:
            continue
        claim = inventory.get(PersistentVolumeClaim, reference.name, reference.namespace)
        if claim is not None and (claim.obj.metadata.uid == reference.uid):
            continue
        if volume.status.phase not in ("Released", "Failed") and not item.is_new:
            continue  # bound to a claim that the dump does not have: a trouble of the dump
        policy = volume.spec.persistent_volume_reclaim_policy
        if policy == "Delete" and PROVISIONED_BY in volume.metadata.annotations and volume.status.phase != "Failed":
            continue  # its provisioner is about to delete it
        is_wanted = class_of(volume) in wanted
        there = f"{reference.namespace}/{reference.name}"
        yield Found(
            WARNING if item.is_new or is_wanted else NOTE, item,
            f"is {volume.status.phase or 'to be Released at once'}: it still refers to claim {there}"
            f"{' of another uid' if claim is not None else ', which is gone'}",
            "no claim gets it, not even one of the same name, until the reference is cleared"
            + ("; claims that are applied now lack such a volume" if is_wanted else ""),
            "if its data are not needed, or are what the next claim shall have: "
            f"kubectl patch pv {volume.name} --type=json -p='[{{\"op\": \"remove\", \"path\": \"/spec/claimRef\"}}]'",
            "spec.claimRef")


@lint
def volume_reserved_for_unknown_claim(inventory: Inventory) -> Iterator[Found]:
    """A volume is reserved for a claim that nothing makes."""
    for item in inventory.volumes:
        reference = item.obj.spec.claim_ref
        if reference is None or reference.uid or not item.is_new:
            continue
        if (reference.namespace, reference.name) in inventory.claim_names:
            continue
        names = [name for space, name in inventory.claim_names if space == reference.namespace]
        near = nearest(reference.name, names)
        yield Found(
            WARNING, item, f"is reserved for claim {reference.namespace}/{reference.name}, which nothing makes",
            "no other claim can take it",
            f"did you mean {near}?" if near else "correct spec.claimRef, or make that claim", "spec.claimRef")


@lint
def host_path_without_node_affinity(inventory: Inventory) -> Iterator[Found]:
    """A hostPath volume does not say on which node it is."""
    if len(inventory.nodes) < 2:
        return
    for item in inventory.volumes:
        spec = item.obj.spec
        if spec.host_path is None or (spec.node_affinity is not None and spec.node_affinity.required is not None):
            continue
        yield Found(
            WARNING, item, f"is the directory {spec.host_path.path} of whichever node its pod runs on",
            "a pod that comes up on another node finds another directory there, most likely an empty one",
            "make it a local volume with spec.nodeAffinity, or add spec.nodeAffinity", "spec.hostPath")
