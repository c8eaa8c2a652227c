"""Objects as ``kubectl get -o yaml`` and ``-o json`` print them: real timestamps, sorted keys, kubectl's quoting."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cmp_to_key
from typing import Any, Final

from simulator.report.times import rfc3339, rfc3339_micro
from simulator.units import Micros

_TIMES: Final = frozenset({
    "creationTimestamp", "deletionTimestamp", "lastTransitionTime", "lastHeartbeatTime", "lastProbeTime",
    "lastUpdateTime", "timeAdded", "startTime", "startedAt", "finishedAt", "firstTimestamp", "lastTimestamp",
    "lastPhaseTransitionTime",
})
_MICRO_TIMES: Final = frozenset({"renewTime", "acquireTime"})
_ZEROES: Final[dict[str, dict[str, Any]]] = {
    "StatefulSet": {"availableReplicas": 0, "replicas": 0},
    "PodDisruptionBudget": {"currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0},
}
"""Status fields that the API prints even at zero."""

_JSON_ESCAPES: Final = (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"), ("\u2028", "\\u2028"),
                       ("\u2029", "\\u2029"))

_WITH_STATUS: Final = frozenset({"Pod", "StatefulSet", "PersistentVolume", "PersistentVolumeClaim", "Node", "Namespace",
                                 "PodDisruptionBudget", "ResourceQuota", "Service"})


def printed(plain: Mapping[str, Any], begin: Micros = 0) -> dict[str, Any]:
    """An object's plain form with timestamps and resource versions as text, and the zeroes that the API prints.

    Parameters
    ----------
    begin : when the run begins, in microseconds since 2026.
    """
    kind = plain["kind"]
    obj: dict[str, Any] = _convert(plain, "", begin)
    if kind in _WITH_STATUS:
        obj["status"] = {**_ZEROES.get(kind, {}), **obj.get("status", {})}
    spec = obj.get("spec", {})
    if kind == "Pod":
        _complete_pod_spec(spec)
        _complete_containers(obj["status"])
    elif kind == "StatefulSet":
        spec["replicas"] = spec.get("replicas", 1)
        _complete_pod_spec(spec.get("template", {}).get("spec", {}))
        for template in spec.get("volumeClaimTemplates", ()):
            template.update(apiVersion="v1", kind="PersistentVolumeClaim", status={"phase": "Pending"})
    elif kind == "ControllerRevision":
        obj.setdefault("revision", 0)
    return obj


def listed(objects: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Several objects as one List."""
    return {"apiVersion": "v1", "items": list(objects), "kind": "List", "metadata": {"resourceVersion": ""}}


def to_json(value: Any) -> str:
    """JSON as kubectl prints it: keys sorted, four spaces."""
    import json

    text = json.dumps(value, indent=4, sort_keys=True, ensure_ascii=False)
    for sign, escape in _JSON_ESCAPES:
        text = text.replace(sign, escape)
    return text


def to_yaml(value: Any) -> str:
    """YAML as kubectl prints it: keys in natural order, lists not indented, long lines folded at 80."""
    import yaml

    base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

    class Dumper(base):  # type: ignore[misc]
        def ignore_aliases(self, data: Any) -> bool:
            return True

    def represent(dumper: Any, text: str) -> Any:
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=_style(text))

    Dumper.add_representer(str, represent)
    dumped: str = yaml.dump(
        _sorted(value), Dumper=Dumper, default_flow_style=False, sort_keys=False, allow_unicode=True
    )
    return dumped


_WORDS: Final = frozenset(
    spelling for word in ("y", "n", "yes", "no", "on", "off", "true", "false", "null") for spelling in
    (word, word.capitalize(), word.upper())
) | {"", "~", ".nan", ".NaN", ".NAN"} | {sign + word for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")}
_NUMBER: Final = re.compile(
    r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0o?[0-7_]+|[0-9][0-9_]*|[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?|[0-9]+\.(?:[eE][-+]?[0-9]+)?"
    r"|[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?)"
)
_TIMESTAMP: Final = re.compile(r"\d{4}-\d{1,2}-\d{1,2}(?:[Tt ]\d{1,2}:\d{2}:\d{2}.*)?")


def _style(text: str) -> str | None:
    """The quoting of a string: a block for several lines, double quotes where it would read as something else."""
    if "\n" in text:
        return "|"
    return '"' if text in _WORDS or _NUMBER.fullmatch(text) or _TIMESTAMP.fullmatch(text) else None


def _sorted(value: Any) -> Any:
    """The value with all keys in the order of kubectl's YAML: letters after all else, numbers by their value."""
    if isinstance(value, Mapping):
        return {key: _sorted(value[key]) for key in sorted(value, key=cmp_to_key(_compare))}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def _compare(a: str, b: str) -> int:
    place = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), None)
    if place is None:
        return len(a) - len(b)
    x, y = a[place], b[place]
    if x.isalpha() or y.isalpha():
        return (1 if x > y else -1) if x.isalpha() and y.isalpha() else 1 if x.isalpha() else -1
    start = place
    while start and a[start - 1].isdecimal():  # a number that began before the difference is compared as a whole
        start -= 1
    m, n = _digits(a, start), _digits(b, start)
    if int(m or "0") != int(n or "0"):
        return int(m or "0") - int(n or "0")
    return len(m) - len(n) or (1 if x > y else -1)


def _digits(text: str, start: int) -> str:
    end = start
    while end < len(text) and text[end].isdecimal():
        end += 1
    return text[start:end]


def _convert(value: Any, name: str, begin: Micros) -> Any:
    if isinstance(value, Mapping):
        if name == "disruptedPods":
            return {pod: rfc3339(begin + time) if isinstance(time, int) else time for pod, time in value.items()}
        return {key: _convert(item, key, begin) for key, item in value.items() if key != "managedFields"}
    if isinstance(value, (list, tuple)):
        return [_convert(item, "", begin) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        if name in _TIMES:
            return rfc3339(begin + value)
        if name in _MICRO_TIMES:
            return rfc3339_micro(begin + value)
        if name == "resourceVersion":
            return str(value)
    return value


def _complete_pod_spec(spec: dict[str, Any]) -> None:
    for container in (*spec.get("containers", ()), *spec.get("initContainers", ())):
        container.setdefault("resources", {})


def _complete_containers(status: dict[str, Any]) -> None:
    for condition in status.get("conditions", ()):
        condition.setdefault("lastProbeTime", None)
    for container in (*status.get("containerStatuses", ()), *status.get("initContainerStatuses", ())):
        for field, zero in (("ready", False), ("restartCount", 0), ("image", ""), ("imageID", ""), ("state", {}),
                            ("lastState", {})):
            container.setdefault(field, zero)
