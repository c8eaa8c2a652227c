"""Repairs: what would mend it, each carried out from the end of the run on, and kept only if it does.

**Order.** Repairs that keep all data come first, then those that set data aside, then those that lose them; within
these, repairs that work in every run before those that may have to be repeated; then those that need no new hardware;
then those that give nothing up and end or restart no running pod; then those that touch fewer objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from simulator.api.core import PersistentVolume, PersistentVolumeClaim, Pod
from simulator.api.meta import Key, evolve
from simulator.choices import Scripted
from simulator.cluster.store import Store
from simulator.diagnosis.data import Repair
from simulator.diagnosis.draft import Draft
from simulator.diagnosis.judge import ALL, COUNT, Judge, Outcome, ended
from simulator.diagnosis.mend_claims import mend_bypass, mend_claims
from simulator.diagnosis.mend_nodes import mend_nodes
from simulator.diagnosis.mend_pods import mend_pods
from simulator.diagnosis.mend_volumes import mend_missing_claims, mend_volumes
from simulator.diagnosis.remedy import Ailing, Candidate, Scene, names
from simulator.diagnosis.steps import Do
from simulator.errors import SimulatorError
from simulator.eventlog import CHANGES, Log
from simulator.explanation.words import listing
from simulator.manifests.origin import Origin
from simulator.scenario.file import TimelineEntry
from simulator.scenario.load import Scenario
from simulator.scenario.timeline import parse_timeline

KEPT, SET_ASIDE, LOST = "kept", "set aside", "lost"
TRIED: Final = 40
PAIRS: Final = 24
FEWEST: Final = 8
OBJECTS: Final = 40_000
"""So many candidates are tried for a knot at most, and at least; in between so many that a run of each has no more
objects than this together."""

FAMILIES: Final[tuple[Callable[[Scene, Ailing], Iterator[Candidate]], ...]] = (
    mend_nodes, mend_claims, mend_bypass, mend_volumes, mend_missing_claims, mend_pods,
)


class Tried(Struct, frozen=True):
    """A candidate that works, and how well."""

    candidate: Candidate
    outcome: Outcome
    cost: tuple[Any, ...]
    repair: Repair


class Mender:
    """Looks for repairs.

    Parameters
    ----------
    scene : the end of the run.
    judge : how repairs are tried.
    """

    def __init__(self, scene: Scene, judge: Judge) -> None:
        self._scene = scene
        self._judge = judge

    def mend(self, shapes: Sequence[Sequence[Ailing]]) -> list[Repair]:
        """The repairs for some knots together, the cheapest first.

        Parameters
        ----------
        shapes : the knots, those together that are stuck in the same way.
        """
        if not shapes:
            return []
        knots = [knot for alike in shapes for knot in alike]
        each = [self._candidates(knot) for knot in knots]
        if len(knots) == 1:
            found = self._mend_one(each[0], None) or self._mend_one(each[0], knots[0].keys)
        else:
            firsts = [sum(map(len, shapes[:place])) for place in range(len(shapes))]
            found = self._mend_together(knots, each, firsts)
        found.sort(key=lambda tried: tried.cost)
        return [tried.repair for tried in _best_of_each(found)]

    def _candidates(self, knot: Ailing) -> list[Candidate]:
        """What may mend a knot; less is tried where a run takes long."""
        every = (candidate for family in FAMILIES for candidate in family(self._scene, knot))
        return _without_doubles(every)[: self._most(TRIED)]

    def _mend_one(self, candidates: Sequence[Candidate], goal: tuple[Key, ...] | None) -> list[Tried]:
        """What mends a knot alone; where that takes new hardware, or nothing does, two changes together as well."""
        found = [tried for candidate in candidates if (tried := self._try(candidate, goal)) is not None]
        if any(tried.outcome.always and not tried.candidate.needs_hardware for tried in found):
            return found
        plain = [candidate for candidate in candidates if not candidate.needs_hardware] if found else candidates
        pairs = [pair for pair in combinations(plain, 2) if pair[0].family != pair[1].family]
        pairs = pairs[: self._most(PAIRS)]
        return [*found, *(tried for pair in pairs if (tried := self._try(_combined(pair), goal)) is not None)]

    def _most(self, most: int) -> int:
        """So many candidates, and fewer where a run takes long."""
        return max(FEWEST, min(most, OBJECTS // max(1, len(self._scene.draft.objects))))

    def _mend_together(
        self, knots: Sequence[Ailing], each: Sequence[Sequence[Candidate]], firsts: Sequence[int]
    ) -> list[Tried]:
        """Repairs that mend all knots: one that does alone, one family for all, or the best for each sort of knot.

        Parameters
        ----------
        firsts : for each sort of knot, the position of the first.
        """
        singles = _without_doubles(candidate for place in firsts for candidate in each[place])
        found = [tried for candidate in singles if (tried := self._try(candidate, None)) is not None]
        for family in dict.fromkeys(candidate.family for candidate in singles):
            parts = _of_family(each, family)
            if len(parts) > 1 and (tried := self._try(_combined(parts), None)) is not None:
                found.append(tried)
        if found:
            return found
        best: list[Candidate] = []
        partly: list[Tried] = []
        for number, place in enumerate(firsts):
            after = firsts[number + 1] if number + 1 < len(firsts) else len(knots)
            mends = sorted(self._mend_one(each[place], knots[place].keys), key=lambda tried: tried.cost)
            partly += mends[:2]
            if mends:
                best += [mends[0].candidate, *_of_family(each[place + 1:after], mends[0].candidate.family)]
        together = self._try(_combined(best), None) if len(best) > 1 else None
        return [together] if together is not None else partly

    def _try(self, candidate: Candidate, goal: tuple[Key, ...] | None) -> Tried | None:
        """Carry a candidate out; None if it does not bring everything to its goal, or the objects of `goal`."""
        draft = self._scene.draft.copy()
        if candidate.edit is not None:
            candidate.edit(draft)
        scenario = self._scenario(draft, candidate.does)
        if scenario is None:
            return None
        outcome = self._judge(scenario, goal, ALL)
        if not outcome.always and candidate.may_be_luck and not outcome.refused:
            outcome = self._judge(scenario, goal, COUNT)
        if not (outcome.always or (candidate.may_be_luck and outcome.can)):
            return None
        return self._measured(candidate, outcome, scenario, goal)

    def _scenario(self, draft: Draft, does: Sequence[Do]) -> Scenario | None:
        entries = [{"sleep": "2s"}, *(entry for do in does for entry in do.entries)]
        try:
            typed = [msgspec.convert(entry, TimelineEntry) for entry in entries]
            return draft.scenario(parse_timeline(typed, Path("repair"), Origin("repair", 1)))
        except SimulatorError:
            return None  # the objects that it would make are not what Kubernetes takes

    # --- what it costs ----------------------------------------------------------------------------------------------

    def _measured(
        self, candidate: Candidate, outcome: Outcome, scenario: Scenario, goal: tuple[Key, ...] | None
    ) -> Tried:
        store = ended(scenario, Scripted(), goal).cluster.store
        restarts = self._restarts(store)
        aside, lost, freed = self._data(store)
        notes = [*candidate.notes]
        if lost:
            notes.append(f"the data of {names(lost)} are lost")
        if aside:
            volumes = [self._volume_of(key) for key in aside]
            notes.append(f"the data of {names(aside)} stay on {listing(volumes)}, which no claim has any more")
        if freed:
            notes.append(f"{listing(freed)} stay{'s' if len(freed) == 1 else ''} Released, and can be freed by hand")
        unused = [key for key in self._deleted_claims(candidate) if key not in (*aside, *lost)]
        if unused:
            notes.append(f"no pod has ever used {names(unused)}: no data are lost")
        if not outcome.always:
            notes.append("if it does not work, it can be done again")
        if goal is not None:
            after = ended(scenario, Scripted(), None).short
            told = listing((_plain(each) for each in after), 2)
            notes.append(f"that is not all: then {told}")
        data = LOST if lost else SET_ASIDE if aside else KEPT
        touched = list(dict.fromkeys(key for do in candidate.does for key in do.touches))
        cost = ((KEPT, SET_ASIDE, LOST).index(data), not outcome.always, candidate.needs_hardware,
                candidate.gives_up or bool(restarts), len(restarts), len(touched), len(candidate.does))
        repair = Repair(
            title=candidate.title, steps=tuple(do.step for do in candidate.does), data=data, notes=tuple(notes),
            needs_hardware=candidate.needs_hardware, restarts=tuple(restarts), converged=outcome.resolved,
            runs=outcome.runs, is_every_run=outcome.is_every_run, mends_all=goal is None,
            timeline=tuple(entry for do in candidate.does for entry in do.entries),
        )
        return Tried(candidate, outcome, cost, repair)

    def _restarts(self, store: Store) -> list[str]:
        """Pods that were ready, and are others now, or gone."""
        found: list[str] = []
        for pod in self._scene.draft.list(Pod):
            after = store.get(Pod, pod.name, pod.namespace)
            if pod.is_ready and (after is None or after.metadata.uid != pod.metadata.uid):
                found.append(f"{pod.namespace}/{pod.name}" if pod.namespace != "default" else pod.name)
        return found

    def _data(self, store: Store) -> tuple[list[Key], list[Key], list[str]]:
        """Claims whose data are set aside, and lost; and volumes that are Released now."""
        aside: list[Key] = []
        lost: list[Key] = []
        freed: list[str] = []
        for claim in self._scene.draft.list(PersistentVolumeClaim):
            name = claim.spec.volume_name
            if not name:
                continue
            after = store.get(PersistentVolumeClaim, claim.name, claim.namespace)
            volume = store.get(PersistentVolume, name)
            if after is not None and after.spec.volume_name == name:
                continue
            if claim.key in self._scene.used:
                (lost if volume is None else aside).append(claim.key)
            elif volume is not None and volume.status.phase == "Released":
                freed.append(name)
        return aside, lost, freed

    def _volume_of(self, key: Key) -> str:
        claim = self._scene.draft.objects.get(key)
        return claim.spec.volume_name if isinstance(claim, PersistentVolumeClaim) else ""

    def _deleted_claims(self, candidate: Candidate) -> list[Key]:
        bound = {claim.key for claim in self._scene.draft.list(PersistentVolumeClaim) if claim.spec.volume_name}
        found = [key for do in candidate.does for key in do.touches if do.step.command.startswith("kubectl delete")]
        return [key for key in dict.fromkeys(found) if key in bound]


def _plain(lacking: str) -> str:
    """An object that is short of its goal, as people call it: without its kind and the default namespace."""
    key, space, rest = lacking.partition(" ")
    return key.partition("/")[2].removeprefix("default/") + space + rest


def _without_doubles(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Each once that does the same."""
    found: dict[str, Candidate] = {}
    for candidate in candidates:
        found.setdefault(repr(candidate.does), candidate)
    return list(found.values())


def _of_family(each: Sequence[Sequence[Candidate]], family: str) -> list[Candidate]:
    """The first candidate of a family for each knot, those left out that do the same."""
    chosen = (next((one for one in candidates if one.family == family), None) for candidates in each)
    return _without_doubles(one for one in chosen if one is not None)


def _combined(parts: Sequence[Candidate]) -> Candidate:
    """Several candidates as one; steps that they have in common are done once."""
    does = list({repr(do): do for part in parts for do in part.does}.values())
    edits = [part.edit for part in parts if part.edit is not None]

    def edit(draft: Draft) -> None:
        for each in edits:
            each(draft)

    return Candidate(
        family=parts[0].family, title=_title(parts), does=tuple(does),
        edit=edit if edits else None, notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
        needs_hardware=any(part.needs_hardware for part in parts), gives_up=any(part.gives_up for part in parts),
        may_be_luck=all(part.may_be_luck for part in parts),
    )


def _title(parts: Sequence[Candidate]) -> str:
    titles = list(dict.fromkeys(title for part in parts for title in part.title.split("; ")))
    return "; ".join(titles[:3]) + (f"; and so on for {len(titles) - 3} more" if len(titles) > 3 else "")


def _best_of_each(found: Sequence[Tried]) -> list[Tried]:
    """Of those with one title only the cheapest; of a family not more than two."""
    titles: dict[str, Tried] = {}
    places: dict[str, list[str]] = {}
    for tried in found:
        candidate = tried.candidate
        title = candidate.title.removesuffix(candidate.place)
        titles.setdefault(title, tried)
        places.setdefault(title, []).append(candidate.place)
    counts: dict[str, int] = {}
    kept: list[Tried] = []
    for title, tried in titles.items():
        others = [place for place in places[title][1:] if place and place != tried.candidate.place]
        if others:
            also = f"{tried.repair.title}, or on {listing(dict.fromkeys(others))}"
            tried = evolve(tried, repair=evolve(tried.repair, title=also))
        family = tried.candidate.family
        counts[family] = counts.get(family, 0) + 1
        if counts[family] <= 2:
            kept.append(tried)
    return kept


def used_claims(log: Log) -> frozenset[Key]:
    """The claims that a running pod has used since they were made, as a log tells."""
    uses: dict[Key, tuple[Key, ...]] = {}
    used: dict[Key, None] = {}
    for entry in log.entries:
        if entry.verb not in CHANGES:
            continue
        key = entry.key
        if key.kind == "PersistentVolumeClaim" and entry.verb in ("remove", "create"):
            used.pop(key, None)
        if key.kind != "Pod":
            continue
        if isinstance(entry.new, Pod):
            uses[key] = tuple(Key("PersistentVolumeClaim", key.namespace, name) for name in entry.new.claim_names)
            phase = entry.new.status.phase
        else:
            patch = entry.patch if isinstance(entry.patch, dict) else {}
            volumes = (patch.get("spec") or {}).get("volumes")
            if isinstance(volumes, list):
                uses[key] = tuple(_claims_in(key, volumes))
            phase = (patch.get("status") or {}).get("phase", "")
        if phase == "Running":
            used.update(dict.fromkeys(uses.get(key, ())))
    return frozenset(used)


def _claims_in(pod: Key, volumes: Sequence[Any]) -> Iterator[Key]:
    for volume in volumes:
        source = volume.get("persistentVolumeClaim")
        if source is not None:
            yield Key("PersistentVolumeClaim", pod.namespace, source.get("claimName", ""))
        elif "ephemeral" in volume:
            yield Key("PersistentVolumeClaim", pod.namespace, f"{pod.name}-{volume.get('name', '')}")
