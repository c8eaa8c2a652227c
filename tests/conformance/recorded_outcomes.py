"""How a stage ended, in the words of `observed.full` and `observed.shape`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tests.conformance.recorded_facts import Facts

State = Mapping[str, Mapping[str, Facts]]


def templates_of(case: Mapping[str, Any]) -> dict[str, list[str]]:
    """By set, the names of its claim templates in order."""
    actions = [*case["setup"], *(action for stage in case["stages"] for action in stage["actions"])]
    return {
        raw["metadata"]["name"]: [claim["metadata"]["name"] for claim in raw["spec"].get("volumeClaimTemplates", ())]
        for action in actions for raw in action.get("apply", ()) if raw["kind"] == "StatefulSet"
    }


def outcome(
    state: State, templates: Mapping[str, Sequence[str]], places: Mapping[str, str]
) -> tuple[str, str]:
    """How a stage ended: with names, and as a shape.

    Parameters
    ----------
    templates : by set, the names of its claim templates.
    places : by volume, where it is.
    """
    pods, claims = dict(state.get("Pod", {})), dict(state.get("PVC", {}))
    full: list[str] = []
    shape: list[str] = []
    for name, facts in sorted(state.get("STS", {}).items()):
        ordinals = range(facts.get("replicas", 0))
        rows = [_row(name, ordinal, templates.get(name, ()), pods, claims) for ordinal in ordinals]
        for row in rows:
            pods.pop(row.pod, None)
            for claim in row.claims:
                claims.pop(claim, None)
        full.append("; ".join(f"{row.pod} {row.how} [{','.join(row.volumes)}]" for row in rows))
        shape.append(f"{name}: {' '.join(_lettered(rows, places))}")
    loose = [f"pod {name} {_how(facts)}" for name, facts in sorted(pods.items())]
    loose += [f"claim {name} {_claim(facts)}" for name, facts in sorted(claims.items())]
    return " | ".join([*full, *loose]), " | ".join([*shape, *loose])


class _Row:
    def __init__(self, pod: str, how: str, claims: Sequence[str], volumes: Sequence[str]) -> None:
        self.pod, self.how, self.claims, self.volumes = pod, how, claims, volumes


def _row(
    name: str, ordinal: int, templates: Sequence[str], pods: Mapping[str, Facts], claims: Mapping[str, Facts]
) -> _Row:
    pod = f"{name}-{ordinal}"
    mine = [f"{template}-{pod}" for template in templates]
    volumes = [claims[claim].get("volume") or "unbound" if claim in claims else "none" for claim in mine]
    return _Row(pod, _how(pods.get(pod)), mine, volumes)


def _how(facts: Facts | None) -> str:
    if facts is None:
        return "absent"
    if not facts.get("node"):
        return "pending"
    return f"{'ok' if facts.get('ready') else 'not ready'}@{facts['node']}"


def _claim(facts: Facts) -> str:
    volume = f"={facts['volume']}" if facts.get("volume") else ""
    return f"{facts.get('phase')}{volume}{' deleting' if facts.get('deleting') else ''}"


def _lettered(rows: Iterable[_Row], places: Mapping[str, str]) -> list[str]:
    letters: dict[str, str] = {}
    found = []
    for row in rows:
        where = []
        for volume in row.volumes:
            if volume in ("unbound", "none"):
                where.append(volume)
            else:
                where.append(letters.setdefault(places[volume], chr(ord("A") + len(letters))))
        how = row.how.partition("@")[0]
        found.append("+".join(where) + ("" if how == "ok" else f"({how})"))
    return found
