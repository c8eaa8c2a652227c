"""How a stage ended, in the words of `observed.full` and `observed.shape`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tests.conformance.recorded_facts import Facts

State = Mapping[str, Mapping[str, Facts]]


class Layout:
    """What the states do not show: the claim templates of each set, and where each volume is.

    Attributes
    ----------
    templates : by set, the names of its claim templates in order.
    places : by volume, the value of its node affinity.
    """

    def __init__(self, case: Mapping[str, Any]) -> None:
        self.templates: dict[str, list[str]] = {}
        self.places: dict[str, str] = {}
        actions = [*case["setup"], *(action for stage in case["stages"] for action in stage["actions"])]
        for raw in (raw for action in actions for raw in action.get("apply", ())):
            name = raw["metadata"]["name"]
            if raw["kind"] == "StatefulSet":
                found = raw["spec"].get("volumeClaimTemplates", ())
                self.templates[name] = [template["metadata"]["name"] for template in found]
            elif raw["kind"] == "PersistentVolume":
                self.places[name] = _place(raw)

    def place(self, volume: str, state: State) -> str:
        """Where a volume is; one that was provisioned is where its claim wanted it."""
        known = self.places.get(volume)
        if known is not None:
            return known
        claim = state.get("PV", {}).get(volume, {}).get("claim", "").partition("/")[2]
        return str(state.get("PVC", {}).get(claim, {}).get("selected-node") or volume)


def _place(raw: Mapping[str, Any]) -> str:
    terms = raw["spec"].get("nodeAffinity", {}).get("required", {}).get("nodeSelectorTerms", ())
    values = [value for term in terms for rule in term.get("matchExpressions", ()) for value in rule.get("values", ())]
    return values[0] if values else raw["metadata"]["name"]


def outcome(state: State, layout: Layout) -> tuple[str, str]:
    """How a stage ended: with names, and as a shape."""
    pods, claims = dict(state.get("Pod", {})), dict(state.get("PVC", {}))
    full: list[str] = []
    shape: list[str] = []
    for name, facts in sorted(state.get("STS", {}).items()):
        rows = [_row(name, ordinal, layout, pods, claims) for ordinal in range(facts.get("replicas", 0))]
        for row in rows:
            pods.pop(row.pod, None)
            for claim in row.claims:
                claims.pop(claim, None)
        full.append("; ".join(f"{row.pod} {row.how} [{','.join(row.volumes)}]" for row in rows))
        shape.append(f"{name}: {' '.join(_lettered(rows, layout, state))}")
    loose = [f"pod {name} {_how(facts)}" for name, facts in sorted(pods.items())]
    loose += [f"claim {name} {_claim(facts)}" for name, facts in sorted(claims.items())]
    return " | ".join([*full, *loose]), " | ".join([*shape, *loose])


class _Row:
    def __init__(self, pod: str, how: str, claims: Sequence[str], volumes: Sequence[str]) -> None:
        self.pod, self.how, self.claims, self.volumes = pod, how, claims, volumes


def _row(
    name: str, ordinal: int, layout: Layout, pods: Mapping[str, Facts], claims: Mapping[str, Facts]
) -> _Row:
    pod = f"{name}-{ordinal}"
    mine = [f"{template}-{pod}" for template in layout.templates.get(name, ())]
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


def _lettered(rows: Iterable[_Row], layout: Layout, state: State) -> list[str]:
    letters: dict[str, str] = {}
    found = []
    for row in rows:
        where = []
        for volume in row.volumes:
            if volume in ("unbound", "none"):
                where.append(volume)
            else:
                place = layout.place(volume, state)
                where.append(letters.setdefault(place, chr(ord("A") + len(letters))))
        how = row.how.partition("@")[0]
        found.append("+".join(where) + ("" if how == "ok" else f"({how})"))
    return found
