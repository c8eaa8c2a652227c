"""The report of an exploration: what it says of chances, ends and the way into a stuck one."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from simulator.api.meta import Key
from simulator.eventlog import Log
from simulator.exploration.chances import Bounds
from simulator.exploration.ends import End
from simulator.exploration.explore import Exploration, explore
from simulator.report.explore import chance_text, example, explore_lines, explored, short_of
from simulator.report.happenings import NO_RETURN, Happening
from simulator.report.shortest import MOST, story, story_lines
from simulator.scenario.load import load_scenario

SCENARIOS = Path(__file__).parents[2] / "scenarios"


@pytest.fixture(scope="module")
def devil() -> Exploration:
    return explore(load_scenario([str(SCENARIOS / "devil")]))


def end(verdict: str = "stuck", **more: Any) -> End:
    given: dict[str, Any] = {
        "is_livelock": False, "chance": None, "waiting": {}, "placements": {}, "bindings": {}, "failures": (),
        "states": (1,), **more,
    }
    return End(verdict, **given)


def verdict_of(found: Exploration) -> str:
    """The paragraph that says the verdict, as one line."""
    lines = explore_lines(found)
    begin = next(place for place, line in enumerate(lines) if line.startswith("Verdict: "))
    return " ".join(" ".join(lines[begin : lines.index("", begin)]).split())


def between(found: Exploration, least: Fraction, greatest: Fraction, is_exact: bool = True) -> str:
    return verdict_of(_changed(found, stuck=None, bounds=Bounds(least, greatest, is_exact)))


def _changed(found: Exploration, **changes: Any) -> Exploration:
    changed: Exploration = replace(found, **changes)
    return changed


@pytest.mark.parametrize(("chance", "text"), [
    (Fraction(19, 28), "19/28 = 67.8571 %"), (Fraction(1), "1 = 100 %"), (Fraction(0), "0 = 0 %"),
    (Fraction(10**21 + 1, 3 * 10**21), "33.3333 %"),
])
def test_a_chance_is_a_fraction_and_a_decimal(chance: Fraction, text: str) -> None:
    assert chance_text(chance) == text


def test_bounds_are_said_with_what_they_depend_on(devil: Exploration) -> None:
    quarter, half = Fraction(1, 4), Fraction(1, 2)
    assert "1/4 = 25 % to 1/2 = 50 %, as the order of steps may be" in between(devil, quarter, half)
    assert "of exactly 1/4 = 25 %, whatever the order of steps" in between(devil, quarter, quarter)
    assert "of within 1/4 = 25 % to 1/2 = 50 %" in between(devil, quarter, half, is_exact=False)


def test_without_bounds_it_is_possible(devil: Exploration) -> None:
    plain = tuple(replace(each, chance=None) for each in devil.ends)
    found = _changed(devil, stuck=None, ends=plain, interleavings="writes")
    assert "some runs do, others converge; the bounds of the chance are not worked out" in verdict_of(found)
    table = "\n".join(explore_lines(found))
    assert table.count("possible") == 4 and "1/4 = 25 %" not in table


def test_a_long_fraction_has_a_line_of_its_own(devil: Exploration) -> None:
    found = verdict_of(_changed(devil, stuck=Fraction(10**30 + 1, 3 * 10**30)))
    assert "with a chance of 33.3333 %, under uniform ties" in found and f"Exactly: 1{'0' * 29}1/3{'0' * 30}" in found
    assert "Exactly" not in verdict_of(devil)


def test_what_was_explored_is_said_in_words(devil: Exploration) -> None:
    assert explored(devil) == (
        "every run in which what comes first is done first; every way in which ties can fall, all equally likely"
    )
    found = _changed(devil, interleavings="writes", lag=2, faults=3, ties="first", is_symmetric=False)
    assert explored(found) == (
        "every order of API calls, each being a step; of equal things always the first; caches up to 2 changes behind; "
        "up to 3 API calls fail, or succeed with their answers lost; equal things told apart by name"
    )
    assert "caches never behind" in explored(_changed(devil, interleavings="writes"))


def test_pods_stand_for_what_waits_with_them() -> None:
    waiting = {"StatefulSet/default/web": "has 0 of 3 pods ready", "Pod/default/web-0": "is not scheduled",
               "Pod/other/web-0": "is not scheduled", "PersistentVolumeClaim/default/data": "is not bound"}
    assert short_of(end(waiting=waiting)) == "web-0 and other/web-0 not scheduled"
    assert short_of(end(waiting={"PersistentVolumeClaim/default/data": "is not bound"})) == "data not bound"
    assert short_of(end(waiting={"StatefulSet/default/web": "is being deleted"})) == "web being deleted"
    assert short_of(end("converged")) == ""


def test_an_example_says_where_pods_are_and_what_holds_the_others() -> None:
    claim = "PersistentVolumeClaim/default/{}".format
    found = end(
        placements={"Pod/default/web-0": "node1"},
        bindings={claim("a"): "pv-1", claim("b"): "pv-2", claim("c"): "pv-3"},
        claims={"Pod/default/web-0": (claim("a"),), "Pod/default/web-1": (claim("b"),)},
        failures=('"Pod/web-1 is ready" never came true',),
    )
    assert example(found, {"pv-2": " on node1"}) == (
        'web-0 on node1; b has pv-2 on node1 and c has pv-3; timeline: "Pod/web-1 is ready" never came true'
    )
    many = end(placements={f"Pod/default/web-{n}": f"node{n}" for n in range(40)})
    assert len(example(many, {})) < 120 and "35 more" in example(many, {})


def test_a_livelock_is_called_so(devil: Exploration) -> None:
    busy = tuple(replace(each, is_livelock=each.verdict == "stuck") for each in devil.ends)
    assert "stuck, for ever busy" in "\n".join(explore_lines(_changed(devil, ends=busy)))


def test_lines_fit_the_width(devil: Exploration) -> None:
    for width in (80, 100, 140):
        assert not [line for line in explore_lines(devil, width) if len(line) > width and "`bindsim" not in line]


# --- the story ------------------------------------------------------------------------------------------------------


def happening(what: str, subject: str = "web-0", kind: str = "Pod") -> Happening:
    return Happening(0, Key(kind, "default", subject), what, f"{subject} {what}")


def told(monkeypatch: pytest.MonkeyPatch, *those: Happening) -> None:
    monkeypatch.setattr("simulator.report.shortest.happenings", lambda log: list(those))


def test_a_short_run_is_told_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    told(monkeypatch, happening("created"), happening("scheduled"), happening("ready"))
    assert [each.what for each in story(Log())] == ["created", "scheduled", "ready"]


def test_what_says_least_is_left_out_first(monkeypatch: pytest.MonkeyPatch) -> None:
    run = [happening(what, f"web-{n}") for n in range(5) for what in ("created", "scheduled", "ready")]
    told(monkeypatch, *run, happening("created", "web-5"), happening("not scheduled", "web-5"))
    found = [each.what for each in story(Log())]
    assert "ready" not in found and len(found) <= MOST and found[-2:] == ["created", "not scheduled"]
    assert len(story(Log(), is_full=True)) == 17


@pytest.mark.parametrize("at", [0, 3, 20, 39])
def test_the_point_of_no_return_is_never_left_out(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    run = [happening(f"does {n}", f"web-{n}") for n in range(40)]
    run.insert(at, Happening(0, Key("Run", "", ""), NO_RETURN, "point of no return"))
    told(monkeypatch, *run)
    lines = story_lines(Log(), 100)
    assert sum("point of no return" in line for line in lines) == 1 and len(lines) <= MOST + 2
    assert any("more lines" in line for line in lines)


def test_a_moment_is_said_once(devil: Exploration) -> None:
    lines = story_lines(devil.trace(devil.ends[1]), 98)
    assert [line.split()[0] for line in lines if line[0] != " "] == ["0s", "1.00s"]


@pytest.mark.parametrize("interleavings", ["ties", "syncs"])
def test_the_point_of_no_return_follows_the_step_that_is_to_blame(interleavings: str) -> None:
    found = explore(load_scenario([str(SCENARIOS / "devil")]), interleavings=interleavings)
    for each in found.ends:
        what = [(one.what, one.text) for one in story(found.trace(each), is_full=True)]
        places = [place for place, (name, _) in enumerate(what) if name == NO_RETURN]
        assert len(places) == (each.verdict == "stuck")
        if places:
            claim = "data-consul-1" if "Pod/default/consul-1" in each.waiting else "data-consul-2"
            assert what[places[0] - 1][1].startswith(f"{claim} bound to pv-")
            assert what[places[0]][1] == "point of no return: from here on every run gets stuck"


def test_runs_that_never_rest_are_not_judged(devil: Exploration) -> None:
    why = "some runs go on for ever without once coming to rest, and these are not judged"
    found = _changed(devil, verdict="no verdict", is_complete=False, why_incomplete=why, stuck=None, ends=())
    assert f"Incomplete: {why}: 25 states, 27 transitions" in verdict_of(found)
    assert "left unexplored" not in verdict_of(found)
