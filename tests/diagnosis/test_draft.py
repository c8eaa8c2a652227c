"""The end of a run as the beginning of others: nothing has changed, and nothing does by itself."""

from __future__ import annotations

import pytest

from simulator import load_scenario, run
from simulator.api.core import Pod
from simulator.api.meta import encode, with_meta
from simulator.choices import Scripted
from simulator.diagnosis.explain import Explainer
from simulator.diagnosis.judge import ended
from simulator.diagnosis.relax import ELSEWHERE, move_away
from simulator.scenario.load import Scenario
from simulator.testing.builders import make_volume
from tests.diagnosis.stuck_cases import CASES, Stuck

LIVE = ("A14", "E9")
"""Here somebody tries again and again, and what is short of its goal changes to and fro."""


@pytest.fixture(scope="module")
def devil() -> Scenario:
    return load_scenario(["scenarios/devil"])


@pytest.mark.parametrize("case", [case for case in CASES if not case.name.startswith(LIVE)], ids=lambda case: case.name)
def test_run_again_from_its_end_it_is_stuck_in_the_same_way_and_nobody_is_disturbed(case: Stuck) -> None:
    played = run(case.scenario(), seed=0)
    after = ended(Explainer(played.log).draft.scenario(), Scripted(), None).cluster
    before = {pod.key: (pod.spec.node_name, pod.is_ready) for pod in played.world.store.list(Pod)}
    assert {pod.key: (pod.spec.node_name, pod.is_ready) for pod in after.store.list(Pod)} == before


def test_all_times_lie_in_the_past(devil: Scenario) -> None:
    def times(value: object, name: str = "") -> list[int]:
        if isinstance(value, dict):
            return [time for key, item in value.items() for time in times(item, key)]
        if isinstance(value, (list, tuple)):
            return [time for item in value for time in times(item, name)]
        is_time = name.endswith(("Time", "Timestamp")) or name in ("startedAt", "timeAdded")
        return [value] if is_time and isinstance(value, int) else []

    draft = Explainer(run(devil, seed=0).log).draft
    found = [time for obj in draft.objects.values() for time in times(encode(obj))]
    assert len(found) > 20 and max(found) <= 0


def test_what_is_added_gets_a_uid_that_nobody_has(devil: Scenario) -> None:
    draft = Explainer(run(devil, seed=0).log).draft.copy()
    for name in "abc":
        draft.put(make_volume(name))
        draft.remove(make_volume(name).key)
        draft.put(with_meta(make_volume(name), uid=""))
    uids = [obj.metadata.uid for obj in draft.objects.values()]
    assert len(set(uids)) == len(uids) and all(uids)


def test_a_copy_changes_alone(devil: Scenario) -> None:
    draft = Explainer(run(devil, seed=0).log).draft
    copy = draft.copy()
    move_away(copy, [pod.key for pod in copy.list(Pod) if pod.spec.node_name])
    assert {pod.spec.node_name for pod in copy.list(Pod)} == {"", ELSEWHERE}
    assert ELSEWHERE not in {pod.spec.node_name for pod in draft.list(Pod)}
