"""``bindsim explore`` as a user meets it."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from simulator.cli import (
    BAD_INPUT,
    CONVERGED,
    FAILED,
    INTERRUPTED,
    MAY_GET_STUCK,
    NO_VERDICT,
    STUCK,
    main,
)
from simulator.eventlog import read_log

ROOT = Path(__file__).parents[2]
SCENARIOS = ROOT / "scenarios"
DEVIL = str(SCENARIOS / "devil")
LAB = SCENARIOS / "lab"
COMMAND = [sys.executable, "-m", "simulator", "explore"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def said(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> str:
    """What a command prints that ends with a code; nothing goes to stderr."""
    assert main(["explore", *arguments]) == code
    out, err = capsys.readouterr()
    assert err == ""
    return out


def data(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(said(capsys, code, *arguments, "-o", "json"))
    return found


def test_the_devil_in_one_page(capsys: pytest.CaptureFixture[str]) -> None:
    out = said(capsys, MAY_GET_STUCK, DEVIL)
    words = " ".join(out.split())
    for part in (
        "devil: Several volumes per node", "volumesPerNode=3", "ties uniform",
        "Explored: every run in which what comes first is done first; every way in which ties can fall",
        "Verdict: may get stuck: with a chance of exactly 19/28 = 67.8571 %, under uniform ties",
        "and there are no more", "4 ends, those alike but for names taken together",
        "1 converged 9/28 = 32.1429 % consul-0 on node2, consul-1 on node3 and consul-2 on",
        "2 stuck 1/4 = 25 % consul-1 not scheduled consul-0 on node2; data-consul-1 has",
        "3 stuck 3/14 = 21.4286 % consul-2 not scheduled",
        "The shortest run into end 2", "data-consul-1 bound to pv-node2-2 on node2, one of 8 equally good ones "
        "point of no return: from here on every run gets stuck consul-1 is not scheduled",
        "Why it is stuck consul-1 waits: its claim data-consul-1 is bound to pv-node2-2, which exists only on node2",
        "Ends 3 and 4 are stuck in a like way", "other orders of steps (--interleavings syncs or writes)",
        f"`bindsim why {DEVIL}` proves the cause", f"`bindsim odds {DEVIL}` tells how likely it is",
    ):
        assert part in words
    assert all(len(line) <= 100 for line in out.splitlines() if "`bindsim" not in line)


@pytest.mark.parametrize(("arguments", "code", "verdict"), [
    (["15-one-volume-per-node"], CONVERGED, "always converges: every run does"),
    (["17-wait-for-first-consumer"], CONVERGED, "always converges: every run does"),
    (["09-no-volumes"], STUCK, "always gets stuck: every run does"),
    (["16-several-volumes-per-node"], MAY_GET_STUCK, "may get stuck: with a chance of exactly 3/5 = 60 %"),
    (["16-several-volumes-per-node", "--ties", "first"], STUCK, "always gets stuck: every run does, under first ties"),
    (["16-several-volumes-per-node", "--interleavings", "syncs"], MAY_GET_STUCK, "may get stuck: with a chance of"),
    (["16-several-volumes-per-node", "--states", "4"], NO_VERDICT, "no verdict: no run was followed to its end"),
])
def test_the_exit_code_says_the_verdict(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, verdict: str,
) -> None:
    out = said(capsys, code, str(LAB / arguments[0]), *arguments[1:])
    assert f"Verdict: {verdict}" in out


def test_when_no_step_is_to_blame_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    out = said(capsys, STUCK, str(LAB / "05b-node-lost-for-good"))
    assert "No step of it is to blame: every run gets stuck, from the beginning." in out
    story = out.partition("The shortest run into end 1\n")[2].partition("\n\n")[0]
    assert len(story.splitlines()) <= 20 and "node node2 goes down" in story


def test_an_unfinished_exploration_claims_no_more_than_it_knows(capsys: pytest.CaptureFixture[str]) -> None:
    """At the bound some runs are stuck; the rest is not known."""
    devil, most = str(LAB / "16-several-volumes-per-node"), "--states=430"
    found = data(capsys, MAY_GET_STUCK, devil, "--raw", most)
    assert not found["isComplete"] and found["openStates"] > 0 and found["stuck"] is None
    chances = {verdict: sum(end["chance"]["decimal"] for end in found["ends"] if end["verdict"] == verdict)
               for verdict in ("stuck", "converged")}
    assert 0 < chances["stuck"] < 0.6 and 0 < chances["converged"] < 0.4000001
    words = " ".join(said(capsys, MAY_GET_STUCK, devil, "--raw", most).split())
    assert "Verdict: may get stuck: some runs get stuck, with a chance of at least" in words
    assert "Incomplete: the bound of 430 states was met after" in words and "nothing is claimed of what" in words
    assert "ends so far" in words and "--states and --time go further" in words
    early = said(capsys, NO_VERDICT, devil, "--raw", "--states", "250")
    assert "Verdict: no verdict: all ends so far converge" in early and "at least 1/120" in early


def test_time_is_a_bound_too(capsys: pytest.CaptureFixture[str]) -> None:
    out = said(capsys, NO_VERDICT, DEVIL, "--time", "0s")
    assert "Incomplete: time was up after" in out


def test_many_ends_are_summed_up(capsys: pytest.CaptureFixture[str]) -> None:
    out = said(capsys, MAY_GET_STUCK, str(LAB / "16-several-volumes-per-node"), "--raw")
    assert "102 ends\n" in out and "exactly 3/5" in out and "told apart by name" in out
    more = "… and 34 more ends converged, together 17/60 = 28.3333 %; 48 more ends stuck, together 2/5 = 40 % (--full)"
    assert more in " ".join(out.split())
    assert len(out.splitlines()) < 110
    table = out.partition("102 ends")[2].partition("\n\n")[0]
    assert sum(line[2:4].strip().isdigit() for line in table.splitlines()) == 20


def test_in_full_each_stuck_end_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    out = said(capsys, MAY_GET_STUCK, DEVIL, "--full")
    assert all(f"The shortest run into end {number}" in out for number in (2, 3, 4)) and "in a like way" not in out


def test_ties_that_tell_equal_volumes_apart_do_not_make_other_ends(capsys: pytest.CaptureFixture[str]) -> None:
    out = said(capsys, MAY_GET_STUCK, DEVIL, "--ties", "go-map", "--set", "volumesPerNode=2")
    assert "with a chance of exactly 49/64 = 76.5625 %, under go-map ties" in out
    assert "4 ends, those alike but for names" in out


def test_faults_have_no_chance_and_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    out = said(capsys, MAY_GET_STUCK, str(LAB / "16-several-volumes-per-node"), "--faults", "1", "--full")
    words = " ".join(out.split())
    assert "at most one API call fails, or succeeds with its answer lost" in words
    assert "how likely that is depends on which calls fail" in words
    assert "possible" in words and "1/4 = 25 %" not in words
    assert "'s call to " in words


def test_the_log_of_the_shortest_stuck_run_is_written(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "stuck.jsonl"
    out = said(capsys, MAY_GET_STUCK, DEVIL, "--log", str(path))
    assert f"`bindsim why {path}` proves the cause" in out
    with path.open("rb") as file:
        log = read_log(file, str(path))
    assert "seed" not in log.header, "no seed leads there for sure"
    assert log.entries[-1].detail is not None and log.entries[-1].detail["verdict"] == "stuck"
    assert [entry.verb for entry in log.entries].count("no-return") == 1
    assert main(["get", "pods", str(path)]) == CONVERGED and "Pending" in capsys.readouterr().out
    assert main(["why", str(path)]) == CONVERGED
    assert "consul-1 is not scheduled" in capsys.readouterr().out


def test_without_a_stuck_end_the_first_is_written(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    said(capsys, CONVERGED, str(LAB / "15-one-volume-per-node"), "--log", str(path))
    with path.open("rb") as file:
        assert (read_log(file, str(path)).entries[-1].detail or {})["verdict"] == "converged"


def test_without_any_end_there_is_no_log(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    assert main(["explore", DEVIL, "--states", "4", "--log", str(path)]) == BAD_INPUT
    out, err = capsys.readouterr()
    assert "no verdict" in out and err == f"error: --log {path}: no end was come to, so there is no run to write\n"
    assert not path.exists()


@pytest.mark.parametrize("suffix", [".graphml", ".dot", ".png", ".svg", ".pdf"])
def test_the_graph_is_written_as_its_suffix_says(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, suffix: str,
) -> None:
    path = tmp_path / f"graph{suffix}"
    said(capsys, MAY_GET_STUCK, DEVIL, "--graph", str(path))
    begins = {".graphml": b"<?xml", ".dot": b"digraph", ".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}
    assert path.read_bytes().startswith(begins[suffix])
    if suffix == ".graphml":
        assert b"pv-node2-2 for data-consul-1" in path.read_bytes() and b"stuck" in path.read_bytes()


def test_a_picture_of_too_many_states_is_refused_after_the_report(
    capsys: pytest.CaptureFixture[str], tmp_path: Path,
) -> None:
    path = tmp_path / "graph.png"
    devil = str(LAB / "16-several-volumes-per-node")
    assert main(["explore", devil, "--set", "volumesPerNode=3", "--raw", "--graph", str(path)]) == BAD_INPUT
    out, err = capsys.readouterr()
    assert "exactly 19/28" in out and not path.exists()
    assert err.count("\n") == 1 and "a picture shows up to 300. Write it as .graphml or .dot instead" in err


CHANCE = {"type": ["object", "null"], "required": ["fraction", "decimal"]}
SCHEMA = {
    "type": "object",
    "required": [
        "apiVersion", "kind", "version", "scenario", "title", "parameters", "ties", "interleavings", "lag", "faults",
        "verdict", "isComplete", "whyIncomplete", "stuck", "stuckBounds", "states", "transitions", "ends",
        "shortestRuns", "notExplored",
    ],
    "properties": {
        "apiVersion": {"const": "bindsim/v1"}, "kind": {"const": "ExploreResult"}, "stuck": CHANCE,
        "stuckBounds": {"type": ["object", "null"], "properties": {"least": CHANCE, "greatest": CHANCE}},
        "ends": {"type": "array", "items": {
            "type": "object",
            "required": ["number", "verdict", "isLivelock", "chance", "waiting", "placements", "bindings", "states"],
            "properties": {"verdict": {"enum": ["converged", "stuck"]}, "chance": CHANCE,
                           "placements": {"type": "object"}, "bindings": {"type": "object"}},
        }},
        "shortestRuns": {"type": "array", "items": {
            "type": "object", "required": ["end", "timeline", "hasPointOfNoReturn", "reasons"],
        }},
    },
}


@pytest.mark.parametrize("arguments", [
    [], ["--interleavings", "syncs"], ["--states", "9"], ["--ties", "go-map", "--set", "volumesPerNode=2"], ["--full"],
])
def test_json_has_a_form_to_rely_on(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    found = data(capsys, NO_VERDICT if "--states" in arguments else MAY_GET_STUCK, DEVIL, *arguments)
    jsonschema.validate(found, SCHEMA)
    if not arguments:
        assert found["stuck"] == {"fraction": "19/28", "decimal": 19 / 28}
        assert found["ends"][1]["bindings"]["PersistentVolumeClaim/default/data-consul-1"] == "pv-node2-2"
        assert found["ends"][0]["placements"]["Pod/default/consul-2"] == "node4"
        (run,) = found["shortestRuns"]
        assert run["end"] == 2 and run["alike"] == [3, 4] and run["hasPointOfNoReturn"]
        assert any(each["what"] == "no-return" for each in run["timeline"])
        assert run["reasons"][0]["object"] == "Pod/default/consul-1"


def test_manifests_will_do(capsys: pytest.CaptureFixture[str]) -> None:
    path = str(LAB / "consul.yaml")
    out = said(capsys, STUCK, path, "--nodes", "3")
    assert "1 end\n" in out and "data-consul-0 is not bound" in out
    assert f"`bindsim why {path} --nodes 3` proves" in out


def test_a_timeline_that_goes_wrong_is_a_failure(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_text(
        "apiVersion: bindsim/v1\nkind: Scenario\nmetadata: {name: wrong}\nspec:\n"
        "  timeline:\n  - {at: 1s, delete: Pod/nobody}\n"
    )
    out = said(capsys, FAILED, str(path))
    assert "Timeline: it goes wrong in 1 of 1 end" in out and 'pods "nobody" not found' in out


@pytest.mark.parametrize(("arguments", "words"), [
    (["nowhere.yaml"], "nowhere.yaml"),
    ([DEVIL, "--lag", "1"], "--lag: caches can lag only where each write is a step. Add --interleavings writes."),
    ([DEVIL, "--lag", "1", "--interleavings", "syncs"], "Add --interleavings writes."),
    ([DEVIL, "--graph", "graph.jpg"], "--graph graph.jpg: that name says no format"),
    ([DEVIL, "--graph", "/no/such/folder/graph.png"], "/no/such/folder/graph.png: cannot be written"),
    ([DEVIL, "--log", "/no/such/folder/run.jsonl"], "/no/such/folder/run.jsonl: cannot be written"),
    ([DEVIL, "--log", str(ROOT)], "cannot be written"),
    ([DEVIL, "--set", "volumes=2"], 'Did you mean "volumesPerNode"'),
])
def test_bad_input_gives_2_and_a_line(capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    assert main(["explore", *arguments]) == BAD_INPUT
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and err.count("\n") == 1 and words in err


@pytest.mark.parametrize(("arguments", "words"), [
    (["--lag", "-1"], "-1 is negative"), (["--faults", "few"], "few is not a whole number"),
    (["--states", "0"], "0 is not a whole number of 1 or more"), (["--states", "1.5"], "1.5 is not a whole number"),
    (["--time", "soon"], '"soon" is not a duration'), (["--interleavings", "all"], "invalid choice: 'all'"),
    (["--ties", "fair"], "invalid choice: 'fair'"),
])
def test_bad_numbers_give_2_too(capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    with pytest.raises(SystemExit) as end:
        main(["explore", DEVIL, *arguments])
    assert end.value.code == BAD_INPUT and words in capsys.readouterr().err


def test_the_same_bytes_whatever_the_hash_seed(tmp_path: Path) -> None:
    said = []
    for seed in ("1", "2"):
        path = tmp_path / f"{seed}.jsonl"
        out = subprocess.run(
            [*COMMAND, DEVIL, "--interleavings", "syncs", "-o", "json", "--log", str(path)],
            env={**ENVIRONMENT, "PYTHONHASHSEED": seed}, capture_output=True, check=False,
        )
        assert out.returncode == MAY_GET_STUCK
        said.append((out.stdout, path.read_bytes()))
    assert said[0] == said[1]


@pytest.mark.parametrize("output", ["text", "json"])
def test_ctrl_c_gives_what_is_known_so_far_and_progress_is_for_terminals(output: str) -> None:
    """Caches that lag and calls that fail: more states than anybody waits for."""
    parent, child = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, DEVIL, "--interleavings", "writes", "--lag", "2", "--faults", "2", "-o", output],
        env={**ENVIRONMENT, "TERM": "xterm-256color"}, stderr=child, stdout=subprocess.PIPE, text=True,
        start_new_session=True,
    ) as running:
        os.close(child)
        written = b""
        deadline = time.monotonic() + 30
        while b"transitions/s" not in written and time.monotonic() < deadline:
            written += os.read(parent, 65536)
        os.killpg(running.pid, signal.SIGINT)
        while True:
            try:
                piece = os.read(parent, 65536)
            except OSError:  # the terminal is closed once its last writer is gone
                break
            if not piece:
                break
            written += piece
        assert running.stdout is not None
        out = running.stdout.read()
    os.close(parent)
    assert running.returncode == INTERRUPTED
    said = written.decode()
    assert "states waiting" in said and "interrupted after " in said
    if output == "json":
        assert json.loads(out)["whyIncomplete"] == "it was interrupted"
    else:
        assert "Incomplete: it was interrupted after" in out


# --- bindsim test ---------------------------------------------------------------------------------------------------


def expecting(tmp_path: Path, every_run: str) -> list[str]:
    """A copy of the devil with two volumes a node that expects this of every run."""
    text = (LAB / "16-several-volumes-per-node" / "scenario.yaml").read_text().replace("../", f"{LAB}/")
    assert "everyRun: {verdict: may get stuck}" in text
    path = tmp_path / "scenario.yaml"
    path.write_text(text.replace("everyRun: {verdict: may get stuck}", f"everyRun: {every_run}"))
    return [str(tmp_path)]


@pytest.mark.parametrize("every_run", [
    "{verdict: may get stuck}", "{verdict: may get stuck, states: 25}", "{states: 25}",
])
def test_what_is_expected_of_every_run_is_explored(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, every_run: str,
) -> None:
    assert main(["test", *expecting(tmp_path, every_run), "-v"]) == CONVERGED
    out = capsys.readouterr().out
    assert ("every run: may get stuck: yes" in out) == ("verdict" in every_run)
    assert ("every run: 25 states: yes" in out) == ("states" in every_run)


@pytest.mark.parametrize(("every_run", "words"), [
    ("{verdict: always converges}", "every run: always converges: may get stuck"),
    ("{verdict: always gets stuck}", "every run: always gets stuck: may get stuck"),
    ("{states: 24}", "every run: 24 states: there are 25"),
])
def test_what_some_run_denies_is_a_failure(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, every_run: str, words: str,
) -> None:
    assert main(["test", *expecting(tmp_path, every_run)]) == FAILED
    assert words in capsys.readouterr().out


def test_expected_odds_are_exact_where_all_runs_can_be_explored(
    capsys: pytest.CaptureFixture[str], tmp_path: Path,
) -> None:
    sources = expecting(tmp_path, "{}")
    path = tmp_path / "scenario.yaml"
    path.write_text(path.read_text().replace("ties: uniform, stuck: 3/5", "ties: go-map, stuck: 0.77"))
    assert main(["test", *sources, "-v"]) == CONVERGED
    assert "odds of getting stuck 0.77, ties go-map, by exploring every run: yes" in capsys.readouterr().out
