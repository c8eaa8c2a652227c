"""`check`: what becomes of manifests before they are applied."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import inf
from pathlib import Path
from typing import Final, TextIO

from simulator.api.meta import Key, evolve
from simulator.choices import TIE_POLICIES
from simulator.errors import ScenarioError
from simulator.explanation.reason import Reason
from simulator.explanation.reasons import reasons
from simulator.manifests.loader import NotSimulated
from simulator.preflight.input import Input, read_input
from simulator.preflight.inventory import Inventory
from simulator.preflight.lints import LINTS, run_lints
from simulator.preflight.mending import LARGEST, changes_before, repair_after
from simulator.preflight.result import ALWAYS_CONVERGES, MAY_GET_STUCK, NO_VERDICT, Change, Preflight, Repair
from simulator.preflight.runs import Outlook, Question, look_ahead, look_once
from simulator.preflight.trouble import troubles_of
from simulator.sampling.processes import never
from simulator.scenario.header import header_of
from simulator.simulation import refused_line

_WORKLOADS: Final = ("Deployment", "DaemonSet", "ReplicaSet", "ReplicationController", "Job", "CronJob")
_COMES_UP: Final = ("StatefulSet", "Pod", "PersistentVolumeClaim")


def check(
    manifests: Sequence[str] | str | Path,
    *,
    cluster: Sequence[str] | str | Path = (),
    nodes: int | None = None,
    settings: Mapping[str, str] | None = None,
    seed: int | None = None,
    ties: str | None = None,
    precision: float | None = None,
    max_odds: float | None = None,
    jobs: int | None = None,
    stdin: TextIO | None = None,
    must_stop: Callable[[], bool] = never,
    clock: Callable[[], float] = float,
    patience: float = inf,
) -> Preflight:
    """Say what becomes of manifests before they are applied.

    Parameters
    ----------
    manifests : files, folders, "-" for standard input; or one scenario. Those that are dumps of a cluster, lists as
        ``kubectl get nodes,sc,pv,pvc,sts,pods,pdb,csistoragecapacity -A -o yaml`` prints them, are the present cluster
        unless `cluster` is given; the others are applied to it at once, in order. Without any cluster they are what
        there is, as for `run`.
    cluster : the present cluster: dumps or other manifests.
    nodes : so many nodes are added to the cluster, ``node1`` … ``nodeN``.
    settings : parameters of a scenario.
    seed, ties : of the runs; the scenario's own if not given.
    precision : where runs are sampled, half the width of the interval that is good enough, such as 0.01.
    max_odds : getting stuck is accepted if it is certainly not more likely than this.
    jobs : processes for sampling, where it takes long; one for each core if not given. The answer does not depend on
        it.
    must_stop : asked now and then; once it says yes the answer is what is known so far.
    clock, patience : seconds that pass for whoever waits, and how many of them to look for at the most.

    Raises
    ------
    ManifestError, ScenarioError
        If the input cannot be used: what is wrong, where, and how to mend it.
    """
    given = read_input(_several(manifests), _several(cluster), nodes=nodes, settings=settings, stdin=stdin)
    scenario = given.scenario
    seed = scenario.spec.seed if seed is None else seed
    ties = scenario.spec.ties if ties is None else ties
    if ties not in TIE_POLICIES:
        raise ScenarioError(f'"{ties}" is not a tie policy; there is {", ".join(TIE_POLICIES)}.')
    begin = clock()
    troubles = (*given.troubles, *troubles_of(given.present))
    question = Question(given, seed, ties, precision, jobs or os.cpu_count() or 1, must_stop, clock, patience)
    partial = next((trouble.what for trouble in troubles if trouble.is_contradiction), "")
    outlook = look_once(question, f"this is not the whole cluster: {partial}") if partial else look_ahead(question)
    changes = tuple(_changes(given, outlook))
    verdict, why = _about_what_is_simulated(given, outlook)
    is_refused = any(change.action == "refused" for change in changes)
    if is_refused:
        why = f"without what the API server refuses: {why}"
    failures = () if given.present else outlook.first.failures
    odds = outlook.odds
    may = verdict == outlook.verdict and verdict in (MAY_GET_STUCK, NO_VERDICT)
    is_within = may and max_odds is not None and odds is not None and odds.high <= max_odds
    head = header_of(scenario, 0, "")
    inventory = Inventory(given)
    return Preflight(
        verdict=verdict, why=why, is_proven=outlook.is_proven, why_not_proven=outlook.why_not,
        is_accepted=not is_refused and not failures and (verdict == ALWAYS_CONVERGES or is_within), failures=failures,
        odds=odds, max_odds=max_odds, waiting=outlook.waiting, reasons=_reasons(outlook),
        repairs=tuple(_repairs(question, outlook, clock() - begin)), before=outlook.before, changes=changes,
        findings=tuple(run_lints(inventory)), lints={each.name: each.about for each in LINTS.values()},
        troubles=troubles, cluster=given.cluster, manifests=given.manifests, counts=_counts(given),
        not_simulated=tuple(_not_simulated(given)), assumed=tuple(head["assumed"]),
        seed=seed, ties=ties,
    )


def _several(sources: Sequence[str] | str | Path) -> list[str]:
    return [str(sources)] if isinstance(sources, (str, Path)) else [str(source) for source in sources]


def _counts(given: Input) -> dict[str, int]:
    counts: dict[str, int] = {}
    for item in given.present:
        counts[item.obj.KIND] = counts.get(item.obj.KIND, 0) + 1
    return counts


def _about_what_is_simulated(given: Input, outlook: Outlook) -> tuple[str, str]:
    """The verdict, unless nothing of what is applied can come up in the simulation."""
    ignored = list(dict.fromkeys(item.kind for item in given.new_not_simulated if item.kind in _WORKLOADS))
    if outlook.verdict == ALWAYS_CONVERGES and ignored and not any(item.obj.KIND in _COMES_UP for item in given.new):
        return NO_VERDICT, f"nothing that is simulated was to come up; {', '.join(ignored)} is not simulated"
    return outlook.verdict, outlook.why


def _changes(given: Input, outlook: Outlook) -> Iterator[Change]:
    """What applying each manifest means, from the log of a run."""
    if not given.present:
        return
    there = {item.obj.key for item in given.present}
    refused: dict[Key, str] = {}
    written: set[Key] = set()
    for entry in outlook.first.log.entries:
        if entry.verb == "action" and entry.detail and entry.detail["refused"]:
            refused[entry.key] = entry.detail["refused"]
        elif entry.actor == "kubectl" and entry.verb in ("create", "patch"):
            written.add(entry.key)
    for item in given.new:
        key = item.obj.key
        message = refused.get(key, "")
        action = "refused" if message else "unchanged" if key not in written else "update" if key in there else "create"
        yield Change(str(key), f"{item.origin.file}:{refused_line(item, message)}", action, message)


def _repairs(question: Question, outlook: Outlook, spent: float) -> Iterator[Repair]:
    """The cheapest change before anything is applied, and the cheapest one afterwards."""
    if not outlook.waiting:
        return
    end = question.clock() + max(question.patience / 2, question.patience - spent)

    def is_enough() -> bool:
        return question.must_stop() or question.clock() > end

    for change in changes_before(question.given):
        if is_enough():
            return
        changed = evolve(question, given=change.given, patience=question.patience / 4, wants_proof=True)
        if look_ahead(changed).verdict == ALWAYS_CONVERGES:
            yield change.repair
            break
    if len(question.scenario.initial.objects) <= LARGEST:
        repair = repair_after(outlook.log, question.scenario, outlook.waiting, outlook.before, is_enough)
        if repair is not None:
            yield repair


def _reasons(outlook: Outlook) -> tuple[Reason, ...]:
    """Why what is stuck is so; of what is stuck anyway nothing is told."""
    if not outlook.waiting:
        return ()
    found = reasons(outlook.log)
    return tuple(each for each in found if str(each.subject) in outlook.waiting) if outlook.before else found


def _not_simulated(given: Input) -> Iterator[str]:
    """Kinds without effect: those of the manifests by name, those of the cluster by number."""
    for item in given.new_not_simulated:
        yield f"{item.kind}/{item.name} ({item.origin})"
    if not given.present:
        return
    counts: dict[str, list[NotSimulated]] = {}
    for item in given.scenario.initial.not_simulated:
        counts.setdefault(item.kind, []).append(item)
    for kind, items in counts.items():
        yield f"{kind}: {len(items)} in the cluster"
