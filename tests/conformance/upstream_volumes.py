"""Runs the volume controller's conformance cases: actions matchVolume and syncClaims.

See README.md beside this file. A case is read strictly: what is not understood is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from simulator.api.core import Node, PersistentVolume, PersistentVolumeClaim, Pod
from simulator.api.meta import Object, decode
from simulator.api.storage import StorageClass, VolumeAttributesClass
from simulator.binding.names import BIND_COMPLETED, BOUND_BY_CONTROLLER
from simulator.binding.reference import class_of, is_delayed, volumes_for_claim, volumes_for_claim_on_node
from simulator.cluster.store import Store
from simulator.controllers.volume_binder import VolumeBinder
from tests.conformance.upstream_scheduler import Unknown, check_known
from tests.controllers.volume_bench import Bench, settle

UPSTREAM = Path(__file__).parent / "upstream"
LISTS: Mapping[str, type[Object]] = {
    "nodes": Node, "storageClasses": StorageClass, "volumeAttributesClasses": VolumeAttributesClass,
    "persistentVolumes": PersistentVolume, "persistentVolumeClaims": PersistentVolumeClaim, "pods": Pod,
}
CASE_FIELDS = {"id", "title", "rule", "absent", "given", "when", "then"}
CLAIM_FACTS = {"phase", "volume", "bindCompleted", "boundByController", "capacity", "storageClassName",
               "currentVolumeAttributesClassName", "annotations"}
VOLUME_FACTS = {"phase", "claim", "claimUID", "boundByController"}
SHORT = {"PersistentVolumeClaim": "pvc", "PersistentVolume": "pv"}


def load(file: str) -> list[dict[str, Any]]:
    """All cases of a file."""
    cases: list[dict[str, Any]] = yaml.safe_load((UPSTREAM / file).read_text())
    return cases


def run(case: Mapping[str, Any]) -> tuple[Any, Any]:
    """What was expected and what came of it, in the same shape.

    Raises
    ------
    Unknown
        If the case says something that is not understood.
    """
    only(case, CASE_FIELDS)
    (action, question), = case["when"].items()
    (answer_to, expected), = case["then"].items()
    if action != answer_to:
        raise Unknown(f"when {action}, then {answer_to}")
    objects = _objects(case["given"])
    if action == "matchVolume":
        return _match_volume(objects, question, expected)
    if action == "syncClaims":
        return _sync_claims(objects, question, expected)
    raise Unknown(action)


def _match_volume(
    objects: list[Object], question: Mapping[str, Any], expected: Mapping[str, Any]
) -> tuple[Any, Any]:
    """The volumes that may be chosen; where several are right, all of them must be found and no other."""
    only(question, {"claim", "node", "excluded", "delayBinding"})
    only(expected, {"volume"})
    store = Store()
    for obj in objects:
        store.put(obj)
    namespace, _, name = question["claim"].partition("/")
    claim = store.get(PersistentVolumeClaim, name, namespace)
    assert claim is not None
    volumes = store.list(PersistentVolume)
    if "node" in question:
        if "delayBinding" in question:
            raise Unknown("delayBinding with a node")
        node = store.get(Node, question["node"])
        assert node is not None
        volumes = [volume for volume in volumes if class_of(volume) == class_of(claim)]
        tier = volumes_for_claim_on_node(claim, volumes, node.metadata.labels, question.get("excluded", ()))
        found = [volume.name for volume in tier.volumes]
    else:
        if "excluded" in question:
            raise Unknown("excluded without a node")
        delay = question.get("delayBinding", is_delayed(store.get(StorageClass, class_of(claim))))
        found = [volume.name for tier in volumes_for_claim(claim, volumes, delay=delay) for volume in tier.volumes]
    right = expected["volume"]
    if right is None:
        return [], found
    if isinstance(right, str):
        return [right], found
    only(right, {"anyOf"})
    return sorted(right["anyOf"]), sorted(found)


def _sync_claims(objects: list[Object], question: Mapping[str, Any], expected: Mapping[str, Any]) -> tuple[Any, Any]:
    only(question, set())
    only(expected, {"claims", "volumes", "events", "noEvents"})
    bench = Bench(VolumeBinder(), *objects)
    settle(bench)
    found: dict[str, Any] = {"claims": {}, "volumes": {}}
    for name, facts in expected["claims"].items():
        only(facts, CLAIM_FACTS)
        claim = bench.store.get(PersistentVolumeClaim, name.partition("/")[2], name.partition("/")[0])
        found["claims"][name] = _facts_of_claim(claim, facts) if claim is not None else None
    for name, facts in expected["volumes"].items():
        only(facts, VOLUME_FACTS)
        volume = bench.store.get(PersistentVolume, name)
        found["volumes"][name] = _facts_of_volume(volume, facts) if volume is not None else None
    recorded = [
        {"type": kind, "reason": reason, "object": f"{SHORT[key.kind]}/{_full_name(key.namespace, key.name)}"}
        for kind, reason, key, _ in bench.events
    ]
    if "events" in expected:
        for event in expected["events"]:
            only(event, {"type", "reason", "object"})
        found["events"] = [event for event in expected["events"] if event in recorded]
    if "noEvents" in expected:
        found["noEvents"] = [
            reason for reason in expected["noEvents"] if reason not in {event["reason"] for event in recorded}
        ]
    return expected, found


def _facts_of_claim(claim: PersistentVolumeClaim, facts: Mapping[str, Any]) -> dict[str, Any]:
    annotations = claim.metadata.annotations
    capacity = claim.status.capacity.get("storage")
    known = {
        "phase": claim.status.phase,
        "volume": claim.spec.volume_name or None,
        "bindCompleted": BIND_COMPLETED in annotations,
        "boundByController": BOUND_BY_CONTROLLER in annotations,
        "capacity": str(capacity) if capacity is not None else None,
        "storageClassName": claim.spec.storage_class_name,
        "currentVolumeAttributesClassName": claim.status.current_volume_attributes_class_name,
        "annotations": {key: annotations.get(key) for key in facts.get("annotations", {})},
    }
    return {fact: known[fact] for fact in facts}


def _facts_of_volume(volume: PersistentVolume, facts: Mapping[str, Any]) -> dict[str, Any]:
    reference = volume.spec.claim_ref
    known = {
        "phase": volume.status.phase,
        "claim": _full_name(reference.namespace, reference.name) if reference is not None else None,
        "claimUID": (reference.uid or None) if reference is not None else None,
        "boundByController": BOUND_BY_CONTROLLER in volume.metadata.annotations,
    }
    return {fact: known[fact] for fact in facts}


def _full_name(namespace: str, name: str) -> str:
    return f"{namespace}/{name}" if namespace else name


def _objects(given: Mapping[str, Any]) -> list[Object]:
    only(given, set(LISTS))
    found = []
    for group, kind in LISTS.items():
        for raw in given.get(group, ()):
            if (raw.get("kind"), raw.get("apiVersion")) != (kind.KIND, kind.API_VERSION):
                raise Unknown(f"{raw.get('apiVersion')} {raw.get('kind')} among the {group}")
            body = {field: value for field, value in raw.items() if field not in ("kind", "apiVersion")}
            check_known(body, kind, kind.KIND)
            if "deletionTimestamp" in body["metadata"]:
                body["metadata"] = {**body["metadata"], "deletionTimestamp": 0}
            found.append(decode(body, kind))
    return found


def only(given: Mapping[str, Any], known: set[str]) -> None:
    """Raise `Unknown` if a mapping has a key that is not known."""
    if unknown := set(given) - known:
        raise Unknown(", ".join(sorted(unknown)))
