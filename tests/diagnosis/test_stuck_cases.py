"""Every way to get stuck that is shipped or tested: its core is irreducible, and a repair mends the run itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from simulator.api.meta import Key, evolve
from simulator.choices import Seeded
from simulator.diagnosis.data import Diagnosis, Repair
from simulator.diagnosis.draft import Draft
from simulator.diagnosis.explain import Explainer, explain
from simulator.diagnosis.fact import Fact, take_away
from simulator.diagnosis.judge import ended
from simulator.eventlog import Log
from simulator.manifests.origin import Origin
from simulator.scenario.file import TimelineEntry
from simulator.scenario.load import Scenario, load_scenario
from simulator.scenario.timeline import parse_timeline
from simulator.simulation import run
from tests.diagnosis.stuck_cases import CASES, Stuck
from tests.whole.small_worlds import CLASSES, STUCK, nodes, play
from tests.whole.test_vb_stuck import CASES as RULES
from tests.whole.test_vb_stuck import Case

ROOT = Path(__file__).parents[2] / "scenarios"
NEVER_AT_REST = ("a budget that lets nobody go", "A14", "E9")
"""These never come to rest, so that no timeline can wait for it."""
NOT_HERE = ("S-27", "S-21", "S-21 node gone")
"""S-27 has converged before the controller finds out; that the driver of S-21 has an instance on each node is known
neither to the log nor to a scenario file."""
ONLY_BY_HAND = ("never ready", "a readiness gate", "a node is down with the pod on it",
                "a pod is deleted on a node that is down")
"""What mends these is not done through the API."""


def stuck_files() -> list[Any]:
    found = []
    for path in sorted(ROOT.rglob("scenario.yaml")):
        scenario = load_scenario([str(path)])
        expected = scenario.spec.expect
        is_stuck = expected is not None and (
            (expected.run is not None and expected.run.verdict == "stuck")
            or (expected.every_run is not None and "stuck" in (expected.every_run.verdict or "")))
        if is_stuck:
            found.append(pytest.param(scenario, id=str(path.parent.relative_to(ROOT))))
    return found


def resolves(draft: Draft, gone: Iterable[Fact], keys: Sequence[Key]) -> bool:
    """Whether some run resolves the objects: asked of 6 seeds, not of the search that found the core."""
    draft = draft.copy()
    take_away(draft, gone)
    scenario = draft.scenario()

    return any(not ended(scenario, Seeded(seed), keys).short for seed in range(6))


def assert_irreducible(log: Log, scenario: Scenario | None) -> None:
    """For each core: with all other facts gone it is stuck, and with each member gone too it is not."""
    explainer = Explainer(log, scenario)
    web = explainer.web
    assert web.graph.knots
    for names in web.graph.knots:
        keys = tuple(key for key in web.keys if str(key) in names)
        facts = web.facts_behind(names)
        conflict = explainer.conflict(names)
        assert conflict.is_certified, [fact.text for fact in facts]
        draft = explainer.alone(keys)
        for core in conflict.cores:
            others = [fact for fact in facts if fact not in core]
            assert not resolves(draft, others, keys)
            for member in core:
                assert resolves(draft, [*others, member], keys), member.text
        for way_out in conflict.ways_out:
            assert resolves(draft, way_out, keys)
            for member in way_out if len(way_out) > 1 else ():
                assert not resolves(draft, [other for other in way_out if other is not member], keys)


def through_the_api(found: Diagnosis) -> list[Repair]:
    return [repair for repair in found.repairs
            if repair.is_certain and all(step.command or step.words.startswith("join") for step in repair.steps)]


def carried_out(scenario: Scenario, repair: Repair) -> Scenario:
    """The scenario, and once it is stuck, the repair."""
    written = [{"when": STUCK, "sleep": "1s"}, *repair.timeline]
    entries = parse_timeline([msgspec.convert(entry, TimelineEntry) for entry in written], Path("r"), Origin("r", 1))
    count = len(scenario.timeline)
    later = tuple(evolve(entry, number=entry.number + count) for entry in entries)
    return evolve(scenario, timeline=(*scenario.timeline, *later))


@pytest.mark.parametrize("scenario", stuck_files())
def test_of_every_stuck_scenario_the_core_is_irreducible_and_a_repair_mends_it(scenario: Scenario) -> None:
    found = explain(scenario)
    assert found.stuck and all(knot.cores for knot in found.stuck if not knot.alike)
    assert_irreducible(run(scenario, seed=found.seed).log, scenario)
    repairs = through_the_api(found)
    assert repairs
    for repair in repairs:
        played = run(carried_out(scenario, repair), seed=found.seed)
        assert played.verdict == "converged" and not played.failures, (repair.title, played.why, played.failures)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_of_what_people_met_the_core_is_named_is_irreducible_and_a_repair_mends_it(case: Stuck) -> None:
    scenario = case.scenario()
    found = explain(scenario, seed=0)
    cores = [[member.text for member in core.members] for knot in found.stuck for core in knot.cores]
    assert all(any(part in text for core in cores for text in core) for part in case.core), cores
    assert any(case.repair in repair.title for repair in found.repairs), [repair.title for repair in found.repairs]
    assert_irreducible(run(scenario, seed=0).log, scenario)
    if not case.name.startswith(NEVER_AT_REST):
        repairs = through_the_api(found)
        assert repairs or case.name in ONLY_BY_HAND
        for repair in repairs:
            played = run(carried_out(scenario, repair), seed=0)
            assert played.verdict == "converged" and not played.failures, (repair.title, played.why, played.failures)


def way_to_be_stuck(case: Case, *more: Any) -> Any:
    return play([*CLASSES, *nodes(2), *case.given], [*case.steps, *more], faults=case.faults, drivers=case.drivers,
                ties=case.ties, latency=dict(case.latency)).run


@pytest.mark.parametrize("case", [case for case in RULES if case.name not in NOT_HERE], ids=lambda case: case.name)
def test_of_every_known_way_to_get_stuck_the_core_is_irreducible_and_a_repair_mends_it(case: Case) -> None:
    stuck = way_to_be_stuck(case)
    found = explain(stuck)
    assert found.stuck and all(knot.cores for knot in found.stuck if not knot.alike)
    assert_irreducible(stuck.log, None)
    repairs = through_the_api(found)
    assert repairs
    for repair in repairs[:3]:
        played = way_to_be_stuck(case, {"when": STUCK, "sleep": "1s"}, *repair.timeline)
        assert played.verdict == "converged", (repair.title, played.why)
