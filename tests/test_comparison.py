from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from simulator import comparison
from simulator.comparison import compare, grid
from simulator.errors import ManifestError, ScenarioError
from simulator.scenario.load import load_scenario
from simulator.simulation import run

DEVIL = str(Path(__file__).parents[1] / "scenarios" / "devil")
SETTINGS = [{"volumesPerNode": "1"}, {"volumesPerNode": "2"}]


def test_a_grid_has_every_combination_the_last_varying_fastest() -> None:
    assert grid(["a=1,2", "b=x,y"]) == [
        {"a": "1", "b": "x"}, {"a": "1", "b": "y"}, {"a": "2", "b": "x"}, {"a": "2", "b": "y"}]
    assert grid([]) == [{}]


@pytest.mark.parametrize("written", ["a", "=1", "a=", ""])
def test_a_grid_needs_names_and_values(written: str) -> None:
    with pytest.raises(ScenarioError, match="write KEY=A,B"):
        grid([written])


def test_a_parameter_is_varied_once() -> None:
    with pytest.raises(ScenarioError, match=r"a is varied already\. Give all its values together"):
        grid(["a=1", "a=2"])


def test_every_setting_sees_every_seed_as_a_single_run_would() -> None:
    rows = compare([DEVIL], SETTINGS, range(1, 9), jobs=1)
    assert [row.settings for row in rows] == SETTINGS
    for row in rows:
        scenario = load_scenario([DEVIL], row.settings)
        assert [outcome.verdict for outcome in row.outcomes] == [run(scenario, seed=s).verdict for s in range(1, 9)]
    assert rows[0].count("converged") == 8 and rows[1].count("stuck") > 0


def test_the_result_depends_neither_on_processes_nor_on_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = compare([DEVIL], SETTINGS, range(1, 9), jobs=1)
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(comparison, "CHUNK", 3)
    assert compare([DEVIL], SETTINGS, range(1, 9), jobs=2, progress=lambda *at: told.append(at)) == whole
    assert told == [(3, 16), (6, 16), (8, 16), (11, 16), (14, 16), (16, 16)]


def test_no_seeds_are_no_runs() -> None:
    assert [row.outcomes for row in compare([DEVIL], SETTINGS, [], jobs=4)] == [[], []]


@pytest.mark.parametrize(("sources", "setting", "words"), [
    ([DEVIL], {"volumes": "1"}, 'Did you mean "volumesPerNode"'),
    (["nowhere.yaml"], {}, "nowhere.yaml"),
    (["-"], {}, "standard input can be read only once"),
])
def test_wrong_input_is_said_before_anything_runs(sources: list[str], setting: dict[str, str], words: str) -> None:
    with pytest.raises((ScenarioError, ManifestError)) as problem:
        compare(sources, [setting], range(100), jobs=4)
    assert words in str(problem.value)


def test_an_error_in_a_process_arrives_as_itself(tmp_path: Path) -> None:
    path = tmp_path / "pv.yaml"
    path.write_text("apiVersion: v1\nkind: PersistentVolume\nmetadata: {name: pv}\n"
                    "spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce]}\n")
    settings: list[dict[str, Any]] = [{}]
    with pytest.raises(ManifestError, match="must specify a volume type"):
        compare([str(path)], settings, range(60), jobs=2)
