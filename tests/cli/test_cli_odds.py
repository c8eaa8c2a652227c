"""``bindsim odds`` as a user meets it."""

from __future__ import annotations

import json
import os
import pty
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from simulator.cli import BAD_INPUT, CONVERGED, INTERRUPTED, STUCK, main

ROOT = Path(__file__).parents[2]
DEVIL = str(ROOT / "scenarios" / "devil")
WAITING = str(ROOT / "scenarios" / "lab" / "17-wait-for-first-consumer")
COMMAND = [sys.executable, "-m", "simulator", "odds"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command that answers prints; nothing goes to stderr."""
    assert main(["odds", *arguments]) == CONVERGED
    out, err = capsys.readouterr()
    assert err == ""
    return out


def data(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(said(capsys, *arguments, "-o", "json"))
    return found


def test_a_closed_form_is_named_with_its_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    out = said(capsys, DEVIL)
    for words in ("devil: Several volumes per node", "ties uniform", "stuck       19/28 = 67.8571 %",
                  "converged   9/28 = 32.1429 %", 'by the closed form "equal nodes"',
                  "P(converges) = [N]_r · ([m]_k)^r / [N m]_(r k)", "N = 3 nodes that can run the pods",
                  "= 6 · 27 / 504", "`bindsim explore`"):
        assert words in out
    assert "Timed engine" not in out


def test_runs_stand_beside_the_closed_form(capsys: pytest.CaptureFixture[str]) -> None:
    out = said(capsys, DEVIL, "--runs", "4e1", "--jobs", "1")
    assert "Timed engine: 40 runs, seeds derived from root seed 0" in out
    (row,) = [line for line in out.splitlines() if line.startswith("  stuck  ") and "to" in line]
    assert row.split()[:2] == ["stuck", "25"] and row.endswith("19/28 = 67.8571 %")
    assert "another pod of consul, and anti-affinity keeps them" in " ".join(out.split())


def test_the_run_that_is_named_gets_stuck_as_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    out = said(capsys, DEVIL, "--set", "volumesPerNode=2", "--ties", "go-map", "--runs", "20", "--jobs", "1")
    (line,) = [line for line in out.splitlines() if "One of them again: " in line]
    program, *arguments = shlex.split(line.partition("again: ")[2])
    assert program == "bindsim" and main(arguments) == STUCK
    assert "consul-1 may not share a node" in " ".join(capsys.readouterr().out.split())


def test_without_a_closed_form_it_says_why_and_samples(capsys: pytest.CaptureFixture[str]) -> None:
    out = " ".join(said(capsys, WAITING, "--jobs", "1").split())
    assert "converged 100 100.0 % 96.3 % to 100.0 %" in out
    assert "was within ± 2 %; looked at after 100, 125, 157" in out
    assert "No closed form is known to hold: class local does not bind claims at once (WaitForFirstConsumer)" in out


def test_manifests_will_do(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A set without any volume, on nodes that the command adds."""
    path = str(ROOT / "scenarios" / "lab" / "consul.yaml")
    out = said(capsys, path, "--nodes", "3")
    assert "stuck       1 = 100 %" in out
    out = said(capsys, path, "--nodes", "3", "--runs", "3", "--jobs", "1")
    assert "a claim data of consul: there is no volume of class local, and none is made" in out
    assert f"bindsim run {path} --nodes 3 --seed" in out


def test_a_share_may_be_given_in_per_cent(capsys: pytest.CaptureFixture[str]) -> None:
    plain = said(capsys, DEVIL, "--precision", "0.2", "--confidence", "0.9", "--jobs", "1")
    assert said(capsys, DEVIL, "--precision", "20%", "--confidence", "90%", "--jobs", "1") == plain
    assert "90 % INTERVAL" in plain


INTERVAL = {"type": "array", "items": {"type": "number", "minimum": 0, "maximum": 1}, "minItems": 2, "maxItems": 2}
SHARE = {"type": "object", "required": ["runs", "share", "interval"], "properties": {"interval": INTERVAL}}
CHANCE = {"type": "object", "required": ["fraction", "decimal"]}
SCHEMA = {
    "type": "object",
    "required": ["apiVersion", "kind", "version", "scenario", "title", "parameters", "ties", "exact", "sampled"],
    "properties": {
        "apiVersion": {"const": "bindsim/v1"}, "kind": {"const": "OddsResult"},
        "exact": {"type": ["object", "null"], "required": ["form", "formula", "numbers", "converged", "stuck"],
                  "properties": {"converged": CHANCE, "stuck": CHANCE}},
        "sampled": {"type": ["object", "null"], "required": ["runs", "seed", "stopped", "shares", "causes"],
                    "properties": {"shares": {"type": "object", "additionalProperties": SHARE}}},
    },
}


@pytest.mark.parametrize("arguments", [[], ["--runs", "9"], ["--ties", "first", "--runs", "9"]])
def test_json_has_a_form_to_rely_on(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    found = data(capsys, DEVIL, "--jobs", "1", *arguments)
    jsonschema.validate(found, SCHEMA)
    assert (found["exact"] is None) == ("first" in arguments) == ("whyNotExact" in found)
    assert (found["sampled"] is None) == (not arguments)
    if found["exact"] is not None:
        assert found["exact"]["stuck"] == {"fraction": "19/28", "decimal": 19 / 28}
    if found["sampled"] is not None:
        assert sum(share["runs"] for share in found["sampled"]["shares"].values()) == 9


def test_the_output_is_the_same_for_any_number_of_processes() -> None:
    said = [subprocess.run([*COMMAND, DEVIL, "--runs", "120", "--jobs", jobs, "-o", "json"], env=ENVIRONMENT,
                           capture_output=True, check=True).stdout for jobs in ("1", "2")]
    assert said[0] == said[1] and b'"runs": 120' in said[0]


@pytest.mark.parametrize(("arguments", "words"), [
    (["nowhere.yaml"], "nowhere.yaml"),
    ([DEVIL, "--set", "volumes=2"], 'Did you mean "volumesPerNode"'),
    ([DEVIL, "--precision", "1"], "a precision of 1.0 makes no sense"),
    ([DEVIL, "--runs", "5", "--confidence", "0.2"], "a confidence of 0.2 makes no sense"),
])
def test_bad_input_gives_2_and_says_what_is_wrong(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str,
) -> None:
    assert main(["odds", *arguments]) == BAD_INPUT
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and words in err


@pytest.mark.parametrize(("arguments", "words"), [
    (["--runs", "0"], "0 is not a whole number of 1 or more"), (["--runs", "1.5"], "1.5 is not a whole number"),
    (["--runs", "many"], "many is not a whole number"), (["--runs", "nan"], "nan is not a whole number"),
    (["--runs", "inf"], "inf is not a whole number"), (["--precision", "-1"], "-1 is not a share"),
    (["--jobs", "0"], "0 is not a number of 1 or more"), (["--seed", "x"], "x is not a whole number"),
])
def test_bad_numbers_give_2_too(capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    with pytest.raises(SystemExit) as end:
        main(["odds", DEVIL, *arguments])
    assert end.value.code == BAD_INPUT and words in capsys.readouterr().err


@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize("output", ["text", "json"])
def test_ctrl_c_gives_what_is_known_so_far(jobs: str, output: str) -> None:
    """As the terminal sends it, to all processes at once."""
    with subprocess.Popen(
        [*COMMAND, DEVIL, "--runs", "1e6", "--jobs", jobs, "-o", output], env=ENVIRONMENT, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as running:
        time.sleep(2.5)
        os.killpg(running.pid, signal.SIGINT)
        out, err = running.communicate(timeout=60)
    assert running.returncode == INTERRUPTED
    runs = int(err.removeprefix("interrupted after ").removesuffix(" runs\n"))
    assert 0 < runs < 10**6 and err == f"interrupted after {runs} runs\n"
    if output == "json":
        assert json.loads(out)["sampled"]["runs"] == runs and json.loads(out)["sampled"]["stopped"] == "interrupted"
    else:
        assert f"Timed engine: {runs} runs" in out and "Interrupted: this is what was known so far." in out


def on_a_terminal(arguments: Sequence[str]) -> tuple[str, str]:
    """What a command writes to stdout, and to stderr where that is a terminal."""
    parent, child = pty.openpty()
    with subprocess.Popen([*COMMAND, *arguments], env={**ENVIRONMENT, "TERM": "xterm-256color"}, stderr=child,
                          stdout=subprocess.PIPE, text=True) as running:
        os.close(child)
        written = b""
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
    return out, written.decode()


def test_progress_is_for_terminals_and_goes_to_stderr() -> None:
    out, err = on_a_terminal([DEVIL, "--runs", "80", "--jobs", "1"])
    assert "runs" in err and "stuck:" in err
    quiet = subprocess.run([*COMMAND, DEVIL, "--runs", "80", "--jobs", "1"], env=ENVIRONMENT, capture_output=True,
                           text=True, check=True)
    assert (quiet.stdout, quiet.stderr) == (out, "")
