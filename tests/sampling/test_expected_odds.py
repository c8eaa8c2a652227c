"""What `bindsim test` makes of ``expect.odds``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from simulator import expectations
from simulator.cli import CONVERGED, FAILED, main
from simulator.errors import ScenarioError
from simulator.expectations import Check, verify
from simulator.scenario.file import Expectations, ExpectedOdds, Spec
from simulator.scenario.load import Scenario
from tests.sampling.plain import plain, stateful_set

LAB = Path(__file__).parents[2] / "scenarios" / "lab"


def expecting(scenario: Scenario, **odds: Any) -> Check:
    """The check of the odds that a scenario expects."""
    spec: Spec = replace(scenario.spec, expect=Expectations(odds=ExpectedOdds(**odds)))
    (check,) = [one for one in verify(replace(scenario, spec=spec), jobs=1) if one.what.startswith("odds")]
    return check


@pytest.mark.parametrize("written", ["3/5", "6/10", "0.6", "60%", "60 %", 0.6, "0.60"])
def test_expected_odds_are_held_against_the_closed_form(written: str | float) -> None:
    check = expecting(plain((2, 2, 2)), stuck=written)
    assert check == Check(f'odds of getting stuck {written}, ties uniform, by the closed form "equal nodes"', None)


@pytest.mark.parametrize("written", ["0.679", "67.9%", "0.6786", 0.68, "0.7", "68 %"])
def test_a_decimal_may_be_rounded(written: str | float) -> None:
    assert expecting(plain((3, 3, 3)), stuck=written).problem is None


@pytest.mark.parametrize("written", ["18/28", "0.678", "0.67", 0, 1, 0.5, "67.8%"])
def test_what_the_closed_form_denies_is_a_problem(written: str | float) -> None:
    assert expecting(plain((3, 3, 3)), stuck=written).problem == "they are 19/28"


def test_without_a_closed_form_runs_must_bear_them_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expectations, "SAMPLED", 120)
    monkeypatch.setattr(expectations, "EXPLORED", 1)
    scenario = plain((2, 2, 2))
    right = expecting(scenario, stuck="0.77", ties="go-map")  # the real function: 0.232 of 20 000 runs converge
    assert right == Check("odds of getting stuck 0.77, ties go-map, by 120 runs", None)
    wrong = expecting(scenario, stuck="0.5", ties="go-map")
    assert wrong.problem is not None and "of 120 are stuck: " in wrong.problem and "99.9 % confidence" in wrong.problem


def test_what_is_certain_is_certain_in_every_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expectations, "SAMPLED", 60)
    monkeypatch.setattr(expectations, "EXPLORED", 1)
    never = plain((1, 1, 1), pods=stateful_set(podManagementPolicy="Parallel", ordinals={"start": 3}))
    assert expecting(never, stuck=0).problem is None and expecting(never, stuck=0).what.endswith("by 60 runs")
    assert expecting(never, stuck=1).problem is not None


@pytest.mark.parametrize("written", ["often", "3/0", "5/4", "-0.1", "120%", ""])
def test_odds_that_are_no_chance_are_an_error(written: str) -> None:
    with pytest.raises(ScenarioError, match=r'expect\.odds\.stuck: ".*" is not a chance; write 19/28 or 0\.679'):
        expecting(plain(), stuck=written)


def test_the_command_says_how_it_was_checked(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = LAB / "16-several-volumes-per-node"
    assert main(["test", str(path), "-v"]) == CONVERGED
    assert 'odds of getting stuck 3/5, ties uniform, by the closed form "equal nodes": yes' in capsys.readouterr().out
    wrong = (path / "scenario.yaml").read_text().replace("../", f"{LAB}/").replace("stuck: 3/5", "stuck: 2/5")
    (tmp_path / "scenario.yaml").write_text(wrong)
    assert main(["test", str(tmp_path)]) == FAILED
    out = capsys.readouterr().out
    assert 'odds of getting stuck 2/5, ties uniform, by the closed form "equal nodes": they are 3/5' in out
