"""What a repair consists of: each step as a person does it, and the same as an entry of a timeline, which is run."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from simulator.api.core import PersistentVolume, PersistentVolumeClaim, Pod
from simulator.api.kinds import KINDS
from simulator.api.meta import Key, Object, encode
from simulator.diagnosis.data import Step

_SHORT: Final = {"PersistentVolumeClaim": "pvc", "PersistentVolume": "pv", "StatefulSet": "statefulset",
                 "StorageClass": "storageclass"}
"""How commands name kinds; the others by their name in lower case."""


class Do(Struct, frozen=True):
    """A step, and the entries of a timeline that do the same.

    Attributes
    ----------
    touches : the objects that it changes.
    """

    step: Step
    entries: tuple[dict[str, Any], ...]
    touches: tuple[Key, ...] = ()


def delete(*keys: Key, wait: bool = False, orphan: bool = False, force: bool = False) -> Do:
    """``kubectl delete``.

    Parameters
    ----------
    wait : whether what comes next waits until the objects have gone, as kubectl does by default.
    orphan : a set goes without its pods.
    force : a pod goes without its kubelet's word.
    """
    words = ["kubectl delete", *map(_target, keys), *_namespace(keys[0])]
    words += ["--cascade=orphan"] if orphan else []
    words += ["--force", "--grace-period=0"] if force else []
    words += [] if wait else ["--wait=false"]
    entry: dict[str, Any] = {"delete": [_path(key) for key in keys]}
    entry |= {"cascade": "orphan"} if orphan else {}
    entry |= {"force": True, "grace": 0} if force else {}
    entries = [entry]
    if wait:
        gone = " and ".join(f"{_path(key)} is gone" for key in keys)
        entries.append({"when": gone, "sleep": "100ms"})
    return Do(Step(" ".join(words)), tuple(entries), keys)


def apply(*manifests: Mapping[str, Any], wait_for: str = "") -> Do:
    """``kubectl apply`` of manifests on standard input."""
    entry: dict[str, Any] = {"apply": [dict(manifest) for manifest in manifests]}
    if wait_for:
        entry["when"] = wait_for
    return Do(Step("kubectl apply -f -", to_yaml(manifests)), (entry,), tuple(map(_key_of, manifests)))


def replace(manifest: Mapping[str, Any]) -> Do:
    """``kubectl replace --force``: the object is deleted, and made anew."""
    key = _key_of(manifest)
    entries = ({"delete": _path(key)}, {"when": f"{_path(key)} is gone", "apply": [dict(manifest)]})
    return Do(Step("kubectl replace --force -f -", to_yaml([manifest])), entries, (key,))


def patch(key: Key, change: Mapping[str, Any], subresource: str = "") -> Do:
    """``kubectl patch`` with a merge patch."""
    words = ["kubectl patch", _target(key), *_namespace(key), "--type=merge", "-p",
             shlex.quote(json.dumps(change, ensure_ascii=False))]
    words += [f"--subresource={subresource}"] if subresource else []
    entry: dict[str, Any] = {"patch": _path(key), "to": dict(change)}
    entry |= {"subresource": subresource} if subresource else {}
    return Do(Step(" ".join(words)), (entry,), (key,))


def scale(key: Key, replicas: int) -> Do:
    """``kubectl scale``."""
    words = ["kubectl scale", _target(key), *_namespace(key), f"--replicas={replicas}"]
    return Do(Step(" ".join(words)), ({"scale": _path(key), "replicas": replicas},), (key,))


def wait_until_gone(*keys: Key) -> Do:
    """``kubectl wait --for=delete``."""
    words = ["kubectl wait --for=delete", *map(_target, keys), *_namespace(keys[0])]
    return Do(Step(" ".join(words)), ({"when": " and ".join(f"{_path(key)} is gone" for key in keys),
                                       "sleep": "100ms"},))


def uncordon(name: str) -> Do:
    """``kubectl uncordon``."""
    return Do(Step(f"kubectl uncordon {name}"), ({"uncordon": f"Node/{name}"},), (Key("Node", "", name),))


def untaint(name: str, key: str, effect: str) -> Do:
    """``kubectl taint`` with a minus."""
    return Do(Step(f"kubectl taint node {name} {key}:{effect}-"),
              ({"taint": f"Node/{name}", "taints": [f"{key}:{effect}-"]},), (Key("Node", "", name),))


def label(key: Key, name: str, value: str) -> Do:
    """``kubectl label``."""
    return Do(Step(f"kubectl label {_target(key)} {name}={value} --overwrite"),
              ({"patch": _path(key), "to": {"metadata": {"labels": {name: value}}}},), (key,))


def annotate_away(key: Key, name: str) -> Do:
    """``kubectl annotate`` with a minus."""
    words = ["kubectl annotate", _target(key), *_namespace(key), f"{name}-"]
    return Do(Step(" ".join(words)), ({"patch": _path(key), "to": {"metadata": {"annotations": {name: None}}}},),
              (key,))


def by_hand(words: str, *entries: dict[str, Any], touches: tuple[Key, ...] = ()) -> Do:
    """What no command does."""
    return Do(Step(words=words), entries, touches)


# --- manifests ------------------------------------------------------------------------------------------------------

_OWN_TOLERATIONS: Final = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_DEFAULTS: Final = {
    "schedulerName": "default-scheduler", "priority": 0, "preemptionPolicy": "PreemptLowerPriority",
    "restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst",
    "serviceAccountName": "default", "serviceAccount": "default",
}


_MADE = ("kubectl.kubernetes.io/", "pv.kubernetes.io/", "volume.kubernetes.io/", "volume.beta.kubernetes.io/")
"""Annotations that kubectl and the cluster itself write; a class that is the default one must stay it."""


def manifest_of(obj: Object) -> dict[str, Any]:
    """An object as somebody would write it to make it again: no status, and nothing that the API server fills in."""
    plain = _plain(encode(obj))
    metadata = {name: value for name, value in plain["metadata"].items() if name in ("name", "namespace", "labels")}
    kept = {name: value for name, value in plain["metadata"].get("annotations", {}).items()
            if not name.startswith(_MADE)}
    if kept:
        metadata["annotations"] = kept
    body = {name: value for name, value in plain.items() if name not in ("metadata", "status")}
    spec = body.get("spec")
    if isinstance(obj, Pod) and isinstance(spec, dict):
        body["spec"] = _written(spec)
    elif isinstance(obj, PersistentVolumeClaim) and isinstance(spec, dict):
        body["spec"] = {name: value for name, value in spec.items()
                        if name != "volumeName" and (name, value) != ("volumeMode", "Filesystem")}
    elif isinstance(obj, PersistentVolume) and isinstance(spec, dict):
        body["spec"] = {name: value for name, value in spec.items() if name != "claimRef"}
    return {"apiVersion": obj.API_VERSION, "kind": obj.KIND, "metadata": metadata, **body}


def _written(spec: dict[str, Any]) -> dict[str, Any]:
    """A pod's spec without defaults and without its place."""
    kept = {name: value for name, value in spec.items()
            if name != "nodeName" and (name not in _DEFAULTS or _DEFAULTS[name] != value)}
    tolerations = [each for each in kept.pop("tolerations", ()) if each.get("key") not in _OWN_TOLERATIONS]
    if tolerations:
        kept["tolerations"] = tolerations
    for field in ("containers", "initContainers"):
        if field in kept:
            kept[field] = [{name: value for name, value in one.items() if name != "imagePullPolicy" and value != {}}
                           for one in kept[field]]
    return kept


def to_yaml(manifests: Sequence[Mapping[str, Any]]) -> str:
    """Manifests as YAML documents."""
    import yaml

    text: str = yaml.safe_dump_all([_plain(each) for each in manifests], sort_keys=False, default_flow_style=None,
                                   width=100, allow_unicode=True, explicit_start=len(manifests) > 1)
    return text


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


# --- names ----------------------------------------------------------------------------------------------------------


def _key_of(manifest: Mapping[str, Any]) -> Key:
    kind, metadata = manifest["kind"], manifest["metadata"]
    space = metadata.get("namespace", "default") if KINDS[kind].NAMESPACED else ""
    return Key(kind, space, metadata["name"])


def _target(key: Key) -> str:
    return f"{_SHORT.get(key.kind, key.kind.lower())}/{key.name}"


def _namespace(key: Key) -> list[str]:
    return [] if key.namespace in ("", "default") else ["-n", key.namespace]


def _path(key: Key) -> str:
    return str(key)
