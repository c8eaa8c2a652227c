"""`explain`: why a run is stuck, and what mends it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from simulator.api.core import PersistentVolumeClaim, Pod
from simulator.api.kinds import find_kind
from simulator.api.meta import Key
from simulator.binding.reference import class_of
from simulator.diagnosis import relax
from simulator.diagnosis.behaviour import behaviour_of
from simulator.diagnosis.conflict import Conflict, find_conflict
from simulator.diagnosis.data import Core, Diagnosis, Knot, Member, Repair, WayOut
from simulator.diagnosis.draft import Draft, draft_of
from simulator.diagnosis.fact import Fact, take_away
from simulator.diagnosis.judge import ANY, Judge, by_running
from simulator.diagnosis.origins import Origins
from simulator.diagnosis.remedy import Ailing, Scene
from simulator.diagnosis.repairs import Mender, used_claims
from simulator.diagnosis.story import ordered, tell
from simulator.diagnosis.waiting import Web, weave
from simulator.errors import ScenarioError
from simulator.eventlog import Log
from simulator.explanation.evidence import gather
from simulator.explanation.verdict import CONVERGED
from simulator.explanation.words import short
from simulator.scenario.load import Scenario
from simulator.simulation import Run, run

EACH: Final = 2
"""Of things that are stuck in the same way so many are looked into, one by one."""
SEARCHED: Final = 50
"""Without a seed, the first stuck run among so many is explained."""


def explain(
    what: Scenario | Run | Log,
    *,
    seed: int | None = None,
    ties: str | None = None,
    objects: Collection[str] = (),
    judge: Judge = by_running,
    with_repairs: bool = True,
) -> Diagnosis:
    """Explain what is stuck at the end of a run: the causes with a proof, and the repairs, re-simulated.

    Parameters
    ----------
    what : a run, or its log; or a scenario, of which the run with `seed` is explained, or else the first of 50 that
        gets stuck.
    objects : names of objects; only what has to do with them is explained.
    judge : how experiments are run.
    with_repairs : whether to look for repairs, which takes most of the time.

    Raises
    ------
    ScenarioError
        If the log has no end, or there is no object of a name given.
    """
    scenario = None
    found = ""
    if isinstance(what, Scenario):
        scenario = what
        log, found = _run(what, seed, ties)
    else:
        log = what.log if isinstance(what, Run) else what
    return Explainer(log, scenario, judge).diagnosis(found, objects, with_repairs)


def _run(scenario: Scenario, seed: int | None, ties: str | None) -> tuple[Log, str]:
    """The run to explain, and how it was found."""
    first = run(scenario, seed=seed, ties=ties)
    given = first.log.header["seed"]
    if first.verdict != CONVERGED or first.waiting:
        return first.log, ""
    others = [number for number in range(SEARCHED) if number != given]
    other = next((number for number in others
                  if run(scenario, seed=number, ties=ties, keep_log=False).verdict != CONVERGED), None)
    if other is None:
        return first.log, f"seeds 0 to {SEARCHED - 1} converge; `bindsim explore` looks at every run"
    if seed is not None:
        return first.log, f"seed {other} gets stuck: `bindsim why --seed {other}` says why"
    found = f"seed {given} converges, and seed {other} is the first that does not"
    return run(scenario, seed=other, ties=ties).log, found


class Explainer:
    """Explains the end of one run.

    Parameters
    ----------
    scenario : that was run, if it is at hand.
    judge : how experiments are run.

    Attributes
    ----------
    draft : the end of the run, from which experiments begin.
    web : what everything waits for that is short of its goal.
    """

    def __init__(self, log: Log, scenario: Scenario | None = None, judge: Judge = by_running) -> None:
        self._log = log
        self._verdict = _verdict_of(log)
        self._evidence = gather(log)
        spec, latencies = behaviour_of(log, scenario, self._evidence)
        self.draft = draft_of(self._evidence, log, spec, latencies)
        self._judge = judge
        self.web = weave(self._evidence, self.draft)
        self._origins = Origins(log.header, self._evidence)
        self._without: dict[tuple[Key, ...], Draft] = {}
        self._known: dict[tuple[frozenset[str], tuple[Key, ...]], bool] = {}

    def diagnosis(self, found: str, objects: Collection[str], with_repairs: bool) -> Diagnosis:
        """Everything that is to be said."""
        web = self.web
        knots = web.graph.knots
        if objects:
            knots = _about(knots, objects, web)
        told: dict[object, list[tuple[Knot, Ailing]]] = {}
        for knot in knots:
            alike = told.setdefault(self._shape(web, knot), [])
            alike.append(self._knot(web, knot) if len(alike) < EACH else self._like(web, knot, *alike[0]))
        stuck = (*(knot for alike in told.values() for knot, _ in alike), *(self._unexplained() if not objects else ()))
        repairs: list[Repair] = []
        if with_repairs:
            scene = Scene(self._evidence, self.draft, used_claims(self._log), web.tables)
            shapes = [[ailing for _, ailing in alike] for alike in told.values()]
            repairs = Mender(scene, self._judge).mend(shapes)
        header = self._log.header
        return Diagnosis(
            scenario=header.get("scenario", ""), title=header.get("title", ""), seed=header.get("seed"),
            ties=header.get("ties", ""), verdict=self._verdict["verdict"], why=self._verdict["why"],
            parameters=dict(header.get("parameters", {})), found=found,
            failures=tuple(self._verdict.get("failures", ())),
            stuck=stuck, repairs=tuple(repairs), graph=web.graph,
        )

    def _knot(self, web: Web, names: tuple[str, ...]) -> tuple[Knot, Ailing]:
        keys = tuple(key for key in web.keys if str(key) in names)
        facts = web.facts_behind(names)
        before = len(self._known)
        conflict = self.conflict(names)
        lacking = tuple(web.short[key] for key in keys)
        tables = tuple(web.tables[key] for key in keys if key in web.tables)
        cores = tuple(ordered(Core(tuple(self._member(fact) for fact in core)), tables) for core in conflict.cores)
        named = {fact.name: fact for some in (*conflict.cores, *conflict.ways_out) for fact in some}
        ailing = Ailing(keys, tuple(named.values()) or tuple(facts))
        return Knot(
            objects=names, short=lacking, story=tell(keys, lacking, cores[0], tables) if cores else (),
            effects=_effects(web, names), cores=cores,
            ways_out=tuple(WayOut(tuple(self._member(fact) for fact in way)) for way in conflict.ways_out),
            tables=tables, facts=len(facts), remark=self._remark(conflict, keys),
            experiments=len(self._known) - before,
        ), ailing

    def _unexplained(self) -> Iterator[Knot]:
        """What is short of its goal although nothing that it waits for is known to hold it."""
        deadlocked = self.web.graph.deadlocked
        for key, lacking in self.web.short.items():
            if str(key) not in deadlocked:
                yield Knot(objects=(str(key),), short=(lacking,), remark="nothing that it waits for holds it for good: "
                           "either the run ended too early, or it goes round in circles")

    def conflict(self, names: tuple[str, ...]) -> Conflict:
        """The cores and ways out of a knot of the graph."""
        keys = tuple(key for key in self.web.keys if str(key) in names)
        return find_conflict(self.web.facts_behind(names), lambda gone: self._resolves(list(gone), keys))

    def _shape(self, web: Web, names: tuple[str, ...]) -> object:
        """What knots have in common that are stuck in the same way: whose pods they are, and by what sort of facts."""
        owners = []
        for key in web.keys:
            obj = self._evidence.state.find(key) if str(key) in names else None
            if obj is not None:
                controller = obj.metadata.controller
                whose = controller.uid if controller is not None else str(key)
                owners.append((key.kind, class_of(obj) if isinstance(obj, PersistentVolumeClaim) else whose))
        kinds = sorted({fact.kind for fact in web.facts_behind(names)})
        return tuple(owners), tuple(kinds)

    def _like(self, web: Web, names: tuple[str, ...], first: Knot, ailing: Ailing) -> tuple[Knot, Ailing]:
        """A knot like one that has been looked into."""
        keys = tuple(key for key in web.keys if str(key) in names)
        kinds = {fact.kind for fact in ailing.facts}
        facts = tuple(fact for fact in web.facts_behind(names) if fact.kind in kinds)
        knot = Knot(objects=names, short=tuple(web.short[key] for key in keys), effects=_effects(web, names),
                    alike=first.objects[0])
        return knot, Ailing(keys, facts)

    def _resolves(self, gone: Sequence[Fact], keys: tuple[Key, ...]) -> bool:
        """Whether some run resolves some objects once these facts are taken away."""
        name = frozenset(fact.name for fact in gone), keys
        known = self._known.get(name)
        if known is None:
            draft = self.alone(keys).copy()
            take_away(draft, gone)
            known = self._known[name] = self._judge(draft.scenario(), keys, ANY).can
        return known

    def alone(self, keys: tuple[Key, ...]) -> Draft:
        """The end of the run, everything else that is stuck set aside: it is not to take what an experiment frees."""
        draft = self._without.get(keys)
        if draft is None:
            draft = self._without[keys] = self.draft.copy()
            if not any(key.kind == "Node" for key in keys):
                draft.drains = ()
            for key in self.web.keys:
                if key not in self._related(keys):
                    relax.set_aside(draft, key)
        return draft

    def _related(self, keys: Collection[Key]) -> set[Key]:
        """Some objects, the claims of the pods among them, and the pods that use the claims among them."""
        pods = [pod for key in keys if isinstance(pod := self._evidence.state.find(key), Pod)]
        claims = (Key("PersistentVolumeClaim", pod.namespace, name) for pod in pods for name in pod.claim_names)
        users = (user.key for key in keys if key.kind == "PersistentVolumeClaim"
                 for user in self._evidence.state.by("pods-by-claim", (key.namespace, key.name)))
        return {*keys, *claims, *users}

    def _remark(self, conflict: Conflict, keys: tuple[Key, ...]) -> str:
        if conflict.is_certified:
            return ""
        if self._resolves((), keys):
            return ("the objects alone do not hold it: begun anew from them, as after a restart of the control plane, "
                    "it resolves")
        return "what holds it is not among the facts that experiments can take away"

    def _member(self, fact: Fact) -> Member:
        where, made_from = self._origins.story(fact.about[0], fact.field)
        return Member(fact.text, str(fact.about[0]), where, made_from, fact.without, fact.nodes, fact.rule, fact.kind,
                      fact.ties)


def _verdict_of(log: Log) -> Mapping[str, Any]:
    for entry in reversed(log.entries):
        if entry.verb == "verdict" and entry.detail is not None:
            return entry.detail
    raise ScenarioError("the log ends before its run does: it has no verdict. Write it again with `bindsim run --log`.")


def _effects(web: Web, names: Sequence[str]) -> tuple[str, ...]:
    """What waits for some objects, directly or not, in words."""
    waiting = web.graph.waiting_for(names)
    return tuple(f"{short(key)} {why}" for key, why in web.short.items() if str(key) in waiting)


def _about(knots: Sequence[tuple[str, ...]], objects: Collection[str], web: Web) -> tuple[tuple[str, ...], ...]:
    """The knots that some objects belong to, or wait for.

    Raises
    ------
    ScenarioError
        If nothing of a name given is stuck.
    """
    chosen: dict[tuple[str, ...], None] = {}
    for wanted in objects:
        kind, _, name = wanted.rpartition("/")
        struct = find_kind(kind.partition("/")[0]) if kind else None
        keys = [key for key in web.keys if key.name == name and (struct is None or key.kind == struct.KIND)]
        if not keys:
            there = ", ".join(f"{key.kind.lower()}/{key.name}" for key in web.keys) or "nothing"
            raise ScenarioError(f'nothing called "{wanted}" is stuck. What is short of its goal: {there}.')
        for knot in knots:
            members = {*knot, *web.graph.waiting_for(knot)}
            if any(str(key) in members for key in keys):
                chosen[knot] = None
    return tuple(chosen)
