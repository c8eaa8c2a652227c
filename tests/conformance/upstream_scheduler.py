"""Runs the scheduler's conformance cases: actions filterVolumes, filterPlugin, scorePlugin and scheduleOne.

See README.md beside this file. A case is read strictly: a field, argument or gate that is not understood is an error,
so that no case passes because something in it was overlooked.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml

from simulator.api.apps import StatefulSet
from simulator.api.core import Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, Service
from simulator.api.meta import Object, decode
from simulator.api.storage import CSIDriver, CSIStorageCapacity, StorageClass, VolumeAttributesClass
from simulator.cluster.store import Store
from simulator.scheduler.decision import Decision, Question, decide, prepare
from simulator.scheduler.framework import SUCCESS, Code, FilterPlugin, NodeInfo, ScorePlugin, Snapshot
from simulator.scheduler.plugins import default_profile
from simulator.scheduler.plugins.volume_binding import VolumeBinding

UPSTREAM = Path(__file__).parent / "upstream"

LISTS: dict[str, type[Object]] = {
    "nodes": Node, "namespaces": Namespace, "storageClasses": StorageClass,
    "volumeAttributesClasses": VolumeAttributesClass, "csiDrivers": CSIDriver,
    "csiStorageCapacities": CSIStorageCapacity, "persistentVolumes": PersistentVolume,
    "persistentVolumeClaims": PersistentVolumeClaim, "pods": Pod, "services": Service, "statefulSets": StatefulSet,
}
CASE_FIELDS = {"id", "title", "rule", "config", "absent", "given", "when", "then"}
TIMES = {"deletionTimestamp", "creationTimestamp"}


class Unknown(Exception):
    """A case says something that is not understood."""


class CaseView:
    """A view of a case's objects; nothing ever changes in it."""

    now = 0
    memory = None
    argument = None

    def __init__(self, store: Store) -> None:
        self.get = store.get
        self.list = store.list
        self.by = store.by


def load(file: str) -> list[dict[str, Any]]:
    """All cases of a file."""
    cases: list[dict[str, Any]] = yaml.safe_load((UPSTREAM / file).read_text())
    return cases


def run(case: Mapping[str, Any]) -> tuple[Any, Any]:
    """What was expected and what came of it, in the same shape."""
    _only(case, CASE_FIELDS)
    config = case.get("config", {})
    _only(config, {"featureGates", "pluginArgs"})
    (action, question), = case["when"].items()
    (answer_to, expected), = case["then"].items()
    if action != answer_to:
        raise Unknown(f"when {action}, then {answer_to}")
    runner = {
        "filterVolumes": _filter_volumes, "filterPlugin": _filter_plugin, "scorePlugin": _score_plugin,
        "scheduleOne": _schedule_one,
    }[action]
    snapshot, store = _snapshot(case["given"])
    namespace, _, name = question["pod"].partition("/")
    pod = store.get(Pod, name, namespace)
    assert pod is not None, f"no pod {question['pod']}"
    return expected, runner(question, expected, pod, snapshot, config)


def _snapshot(given: Mapping[str, Any]) -> tuple[Snapshot, Store]:
    _only(given, set(LISTS))
    store = Store()
    for key, kind in LISTS.items():
        for raw in given.get(key, ()):
            if (raw.get("kind"), raw.get("apiVersion")) != (kind.KIND, kind.API_VERSION):
                raise Unknown(f"{raw.get('apiVersion')} {raw.get('kind')} among the {key}")
            body = {field: value for field, value in raw.items() if field not in ("kind", "apiVersion")}
            check_known(body, kind, kind.KIND)
            store.put(decode(_with_api_defaults(body, kind), kind))
    view = CaseView(store)
    nodes = tuple(NodeInfo.of(node, store.by("pods-by-node", node.name)) for node in store.list(Node))
    return Snapshot(nodes, view), store  # type: ignore[arg-type]


def _with_api_defaults(body: dict[str, Any], kind: type[Object]) -> dict[str, Any]:
    """The few defaults of the API that matter here, and moments as numbers."""
    meta = dict(body.get("metadata", {}))
    for field in TIMES & set(meta):
        meta[field] = 0
    result = {**body, "metadata": meta}
    if kind is StorageClass:
        result.setdefault("volumeBindingMode", "Immediate")
    return result


def check_known(raw: Any, kind: Any, path: str) -> None:
    """Raise `Unknown` for any field of `raw` that a struct type does not have, at any depth."""
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        for choice in typing.get_args(kind):
            if choice is not type(None) and not isinstance(raw, (str, int)):
                check_known(raw, choice, path)
    elif origin is tuple and isinstance(raw, list):
        for place, item in enumerate(raw):
            check_known(item, typing.get_args(kind)[0], f"{path}[{place}]")
    elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = typing.get_type_hints(kind, include_extras=True)
        known = dict(zip(kind.__struct_encode_fields__, kind.__struct_fields__, strict=True))
        for field, value in raw.items():
            if field not in known:
                raise Unknown(f"{path}.{field}")
            check_known(value, hints[known[field]], f"{path}.{field}")


def _only(given: Mapping[str, Any], known: set[str]) -> None:
    if unknown := set(given) - known:
        raise Unknown(", ".join(sorted(unknown)))


def _profile(config: Mapping[str, Any], strategy: str = "", arguments: Mapping[str, Any] | None = None) -> Any:
    given = {**config.get("pluginArgs", {}), **(arguments or {})}
    if strategy:
        fit = dict(given.get("NodeResourcesFit", {}))
        given["NodeResourcesFit"] = {**fit, "scoringStrategy": {"type": strategy, **fit.get("scoringStrategy", {})}}
    return default_profile(given, config.get("featureGates"))


def _filter(
    plugin: FilterPlugin, pod: Pod, snapshot: Snapshot
) -> tuple[str | list[str], dict[str, str | list[str]], dict[str, str], Any]:
    """PreFilter in the README's words, reasons and codes per node, and what was prepared."""
    prepared = plugin.pre_filter(pod, snapshot)
    code = prepared.status.code
    if code is Code.SKIP:
        return "skip", {info.name: "ok" for info in snapshot.nodes}, {}, None
    if code is not Code.SUCCESS:
        return list(prepared.status.reasons), {}, {}, None
    statuses = {info.name: plugin.filter(prepared.state, pod, info, snapshot) for info in snapshot.nodes}
    for status in statuses.values():
        assert status is SUCCESS or (status.is_rejected and status.plugin == plugin.name), status
    nodes = {name: "ok" if status is SUCCESS else list(status.reasons) for name, status in statuses.items()}
    codes = {name: status.code.value for name, status in statuses.items() if status is not SUCCESS}
    return "ok", nodes, codes, prepared.state


def _filter_volumes(
    question: Mapping[str, Any], expected: Mapping[str, Any], pod: Pod, snapshot: Snapshot, config: Mapping[str, Any]
) -> dict[str, Any]:
    _only(question, {"pod"})
    _only(expected, {"preFilter", "nodes", "bindings", "provisionings"})
    plugin = next(each for each in _profile(config).filters if isinstance(each, VolumeBinding))
    pre_filter, nodes, _, state = _filter(plugin, pod, snapshot)
    found: dict[str, Any] = {"preFilter": pre_filter}
    if nodes:
        found["nodes"] = nodes
    infos = {info.name: info for info in snapshot.nodes}
    if "bindings" in expected:
        found["bindings"] = {
            name: {
                f"{claim.namespace}/{claim.name}": volume.name
                for claim, volume in plugin.plan(state, pod, infos[name]).static
            }
            for name in expected["bindings"]
        }
    if "provisionings" in expected:
        found["provisionings"] = {
            name: [
                f"{each.claim.namespace}/{each.claim.name}"
                for each in plugin.plan(state, pod, infos[name]).provisions
            ]
            for name in expected["provisionings"]
        }
    return found


def _filter_plugin(
    question: Mapping[str, Any], expected: Mapping[str, Any], pod: Pod, snapshot: Snapshot, config: Mapping[str, Any]
) -> dict[str, Any]:
    _only(question, {"pod", "plugin"})
    _only(expected, {"preFilter", "nodes", "codes"})
    plugin = next(each for each in _profile(config).filters if each.name == question["plugin"])
    pre_filter, nodes, codes, _ = _filter(plugin, pod, snapshot)
    found: dict[str, Any] = {"preFilter": pre_filter}
    if nodes:
        found["nodes"] = nodes
    if "codes" in expected:
        found["codes"] = codes
    return found


def _score_plugin(
    question: Mapping[str, Any], expected: Mapping[str, Any], pod: Pod, snapshot: Snapshot, config: Mapping[str, Any]
) -> dict[str, Any]:
    _only(question, {"pod", "plugin", "candidates"})
    _only(expected, {"preScore", "scores"})
    name, _, strategy = question["plugin"].partition("/")
    plugin: ScorePlugin = next(each for each, _ in _profile(config, strategy).scores if each.name == name)
    chosen: Sequence[str] = question.get("candidates") or [info.name for info in snapshot.nodes]
    nodes = [info for info in snapshot.nodes if info.name in chosen]
    prepared = plugin.pre_score(pod, nodes, snapshot)
    if prepared.status.code is Code.SKIP:
        return {"preScore": "skip"}
    assert prepared.status.is_success, prepared.status
    raw = [plugin.score(prepared.state, pod, info, snapshot) for info in nodes]
    scores = plugin.normalize(prepared.state, pod, raw, nodes)
    return {"preScore": "ok", "scores": {info.name: score for info, score in zip(nodes, scores, strict=True)}}


def _schedule_one(
    question: Mapping[str, Any], expected: Mapping[str, Any], pod: Pod, snapshot: Snapshot, config: Mapping[str, Any]
) -> dict[str, Any]:
    _only(question, {"pod"})
    _only(expected, {"feasible", "infeasible"})
    asked = Question(_profile(config), pod, snapshot)
    prepared = prepare(asked)
    decision = prepared if isinstance(prepared, Decision) else decide(asked, prepared)
    assert not decision.error, decision.error
    if decision.refused is not None:
        return {"feasible": [], "infeasible": {info.name: list(decision.refused.reasons) for info in snapshot.nodes}}
    others = {} if decision.others is None else {
        info.name: list(decision.others.reasons) for info in snapshot.nodes
        if info.name not in decision.statuses and info not in decision.feasible
    }
    return {
        "feasible": [info.name for info in decision.feasible],
        "infeasible": {**others, **{name: list(status.reasons) for name, status in decision.statuses.items()}},
    }
