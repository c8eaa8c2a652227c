"""Compares what the simulator did in a stage with what the real control plane did."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from msgspec import Struct

from tests.conformance.recorded_facts import Facts
from tests.conformance.recorded_run import Change3, Observed

APART = 0.3
"""Seconds between two changes from which on their order in a recording is no accident."""
WAIT = 0.8
LONG = 5.0
SLACK = 0.15
"""Shortest waits that are compared, of the simulator and of the recordings, and the share by which they may differ."""
SIMILAR = 10
COMBINED = "(combined from similar events): "
"""So many events that differ in their message only become one, and how its message then begins."""
UNRECORDED = {"RegisteredNode", "RemovingNode"}
"""Reasons that no recording shows although nodes came and went: the recorder leaves them out."""

_REVISION = re.compile(r"(.+)-[0-9a-z]{6,10}")


class Revisions:
    """Revision hashes by order of first appearance: ``web#1``, ``web#2``."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def plain(self, facts: Facts) -> Facts:
        """Facts without hashes."""
        return {name: self._name(value) if name.lower().endswith("revision") and value else value
                for name, value in facts.items()}

    def _name(self, revision: str) -> str:
        found = _REVISION.fullmatch(revision)
        base = found[1] if found else revision
        if revision not in self._known:
            count = sum(name.startswith(f"{base}#") for name in self._known.values())
            self._known[revision] = f"{base}#{count + 1}"
        return self._known[revision]


class Milestone(Struct, frozen=True):
    """One thing that happened to one object; `turn` counts its repetitions within the stage."""

    kind: str
    name: str
    what: str
    turn: int

    def __str__(self) -> str:
        again = f" ({self.turn + 1})" if self.turn else ""
        return f"{self.kind} {self.name} {self.what}{again}"


class Moment(Struct, frozen=True):
    """When a milestone was passed: seconds, and its entry's place in the log."""

    seconds: float
    place: int


_SHOWN = {
    "PVC": ("added", "volume", "phase", "bind-completed", "selected-node", "deleting", "deleted"),
    "PV": ("added", "claim", "phase", "deleting", "deleted"),
    "Pod": ("added", "node", "phase", "ready", "disruption", "deleting", "deleted"),
    "STS": ("added", "replicas", "deleting", "deleted"),
    "Node": ("added", "ready", "taints", "unschedulable", "deleted"),
}


def milestones(log: Iterable[Change3]) -> dict[Milestone, Moment]:
    """The milestones of a stage in order."""
    found: dict[Milestone, Moment] = {}
    turns: dict[tuple[str, str, str], int] = {}
    for place, (seconds, kind, name, changed) in enumerate(log):
        for field in _SHOWN.get(kind, ()):
            if field in changed:
                what = field if changed[field] is True else f"{field}={changed[field]}"
                turn = turns.get((kind, name, what), 0)
                turns[kind, name, what] = turn + 1
                found[Milestone(kind, name, what, turn)] = Moment(seconds, place)
    return found


def is_caused(first: Milestone, then: Milestone, claims: Mapping[str, Sequence[str]]) -> bool:
    """Whether the first of two milestones is a cause of the second, so that the order is the same every time.

    Parameters
    ----------
    claims : by pod, its claims.
    """
    if (first.kind, first.name) == (then.kind, then.name):
        return True
    if first.turn != then.turn:
        return False
    match first.kind, then.kind:
        case "PVC", "Pod":
            mine = first.name in claims.get(then.name, ())
            return mine and ((first.what, then.what) == ("added", "added")
                             or (first.what == "bind-completed=yes" and then.what.startswith("node=")))
        case "PV", "PVC":
            return first.what.endswith(f"/{then.name}") and then.what == f"volume={first.name}"
        case "Pod", "Pod":
            base, _, ordinal = first.name.rpartition("-")
            return (first.what, then.what) == ("ready", "added") and ordinal.isdigit() and (
                then.name == f"{base}-{int(ordinal) + 1}")
        case _:
            return False


class Comparison:
    """Compares stage after stage of one run.

    Attributes
    ----------
    differences : what is not equal, in words, by stage.
    """

    def __init__(self, stages: Sequence[Mapping[str, Any]]) -> None:
        self._stages = stages
        self._real, self._simulated = Revisions(), Revisions()
        self._next = 0
        self._happened: set[Any] = set()
        self.differences: list[str] = []

    def add(self, seen: Observed) -> None:
        """Compare the next stage."""
        stage = self._stages[self._next]
        first = stage["observed"]["firstRun"]
        found: list[str] = []
        for _, _, _, changed in first["log"]:
            self._real.plain(changed)
        for _, _, _, changed in seen.log:
            self._simulated.plain(changed)
        self._compare_states(first["state"], seen.state, found)
        self._compare_events(seen, found)
        self._compare_answers(first.get("answers", []), seen.answers, found)
        self._compare_logs([tuple(entry) for entry in first["log"]], seen.log, found)
        self.differences.extend(f"{stage['name']}: {difference}" for difference in found)
        self._next += 1

    def _compare_states(
        self, real: Mapping[str, Mapping[str, Facts]], seen: Mapping[str, Mapping[str, Facts]], found: list[str]
    ) -> None:
        for kind in sorted({*real, *seen}):
            mine, theirs = seen.get(kind, {}), real.get(kind, {})
            for name in sorted({*mine, *theirs}):
                if name not in mine or name not in theirs:
                    found.append(f"{kind} {name}: {'only simulated' if name in mine else 'only recorded'}")
                    continue
                here, there = self._simulated.plain(mine[name]), self._real.plain(theirs[name])
                found.extend(
                    f"{kind} {name}.{field}: simulated {here.get(field)!r}, recorded {there.get(field)!r}"
                    for field in sorted({*here, *there}) if here.get(field) != there.get(field)
                )

    def _compare_events(self, seen: Observed, found: list[str]) -> None:
        """As sets. An event may be seen a stage late; of a series not every message is kept (WL-170)."""
        self._happened |= seen.events
        similar = Counter((event[0], event[2], event[4]) for event in self._happened)
        rows = self._stages[self._next]["observed"]["firstRun"]["events"]
        for reason, kind, about, message, _, source in rows:
            is_combined = message.startswith(COMBINED)
            if (reason, kind, about, message.removeprefix(COMBINED), source) not in self._happened or (
                is_combined and similar[reason, about, source] < SIMILAR
            ):
                found.append(f"event only recorded: {reason} {about} {message}")
        upto = self._stages[: self._next + 2]
        real = [row for stage in upto for row in stage["observed"]["firstRun"]["events"]]
        known = {(row[0], row[1], row[2], row[3].removeprefix(COMBINED), row[5]) for row in real}
        series = {(row[0], row[2], row[5]) for row in real}
        for event in sorted(seen.events - known):
            same = (event[0], event[2], event[4])
            is_series = event[4] == "default-scheduler" or similar[same] >= SIMILAR
            if event[0] not in UNRECORDED and not (is_series and same in series):
                found.append(f"event only simulated: {event[0]} {event[2]} {event[3]} ({event[4]})")

    def _compare_answers(self, real: Sequence[str], seen: Sequence[str], found: list[str]) -> None:
        seen = [answer for answer in seen if not answer.startswith("delete: 404 ")]  # which the recorder left out
        if list(real) != seen:
            found.append(f"answers: simulated {seen}, recorded {real}")

    def _compare_logs(self, real_log: Sequence[Any], seen_log: Sequence[Change3], found: list[str]) -> None:
        real, seen = milestones(real_log), milestones(seen_log)
        found.extend(f"log: only recorded: {one}" for one in real if one not in seen)
        found.extend(f"log: only simulated: {one}" for one in seen if one not in real)
        claims = {entry[2]: entry[3]["claims"] for entry in real_log if entry[1] == "Pod" and "claims" in entry[3]}
        common = [one for one in real if one in seen]
        for then in common:
            for first in common:
                gap = real[then].seconds - real[first].seconds
                is_bound = gap >= APART or (
                    real[first].place < real[then].place and is_caused(first, then, claims))
                if is_bound and seen[first].place > seen[then].place:
                    found.append(f"order: {first} before {then}")
        found.extend(_waits(real, seen, common))


def _waits(
    real: Mapping[Milestone, Moment], seen: Mapping[Milestone, Moment], common: Sequence[Milestone]
) -> list[str]:
    """Waits that a rule fixes: long ones of the simulator, and those of a recording that are longer than any noise."""
    found = []
    for name, least, order in (("simulated", WAIT, seen), ("recorded", LONG, real)):
        passed = sorted(common, key=lambda one: order[one].place)
        for first, then in pairwise(passed):
            if order[then].seconds - order[first].seconds < least:
                continue
            here = seen[then].seconds - seen[first].seconds
            there = real[then].seconds - real[first].seconds
            if abs(here - there) > 0.5 + SLACK * max(here, there):
                found.append(f"wait ({name}) from {first} to {then}: simulated {here:.2f} s, recorded {there:.2f} s")
    return found
