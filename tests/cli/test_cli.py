"""The command as people meet it: exit codes, bad input, pipes, colour, JSON, Ctrl-C."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from simulator.cli import BAD_INPUT, CONVERGED, FAILED, INTERRUPTED, NO_VERDICT, STUCK, main
from simulator.version import __version__

ROOT = Path(__file__).parents[2]
DEVIL = str(ROOT / "scenarios" / "devil")
LAB = ROOT / "scenarios" / "lab"
COMMAND = [sys.executable, "-m", "simulator"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
NODE = "apiVersion: v1\nkind: Node\nmetadata: {name: n1}\n"
SET = """apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web}
spec:
  serviceName: web
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: registry.example.com/main}]}
"""
VOLUME = """apiVersion: v1
kind: PersistentVolume
metadata: {name: disk}
spec:
  capacity: {storage: 10Gi}
  accessModes: [ReadWriteOnce]
  local: {path: /mnt/disk}
"""
AFFINITY = """  nodeAffinity:
    required:
      nodeSelectorTerms:
        - matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [nowhere]}]
"""
SCENARIO = """apiVersion: bindsim/v1
kind: Scenario
metadata: {name: small}
spec:
  parameters: {count: 2}
  nodes: {count: "${count}"}
  timeline:
    - {at: 1s, cordon: Node/node1}
"""


class Answer:
    """What a command said, and how it ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


Ask = Callable[..., Answer]


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Runs a command in an empty folder of its own, in this process."""
    monkeypatch.chdir(tmp_path)

    def answer(*arguments: str) -> Answer:
        try:
            code = main(arguments)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        said = capsys.readouterr()
        return Answer(code, said.out, said.err)

    return answer


def process(arguments: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], env=ENVIRONMENT, text=True, capture_output=True, check=False, **options)


def write(name: str, text: str) -> str:
    Path(name).write_text(text, encoding="utf-8")
    return name


# --- exit codes -------------------------------------------------------------------------------------------------------


def test_run_gives_0_where_it_converges_and_3_where_it_is_stuck(ask: Ask) -> None:
    assert ask("run", DEVIL, "--set", "bindingMode=WaitForFirstConsumer").code == CONVERGED == 0
    assert ask("run", DEVIL, "--ties", "first").code == STUCK == 3


def test_run_gives_4_where_its_horizon_comes_first(ask: Ask) -> None:
    answer = ask("run", DEVIL, "--until", "2s")
    assert answer.code == NO_VERDICT == 4
    assert "Verdict: no verdict" in answer.out


@pytest.mark.parametrize("until", ["30m", "1h", "7201s"])
def test_a_run_that_is_stuck_is_still_so_if_it_is_to_go_on(ask: Ask, until: str) -> None:
    assert ask("run", DEVIL, "--ties", "first", "--until", until).code == STUCK


@pytest.mark.parametrize("until", ["30m", "1h", "7201s"])
def test_a_run_that_converges_is_still_so_if_it_is_to_go_on(ask: Ask, until: str) -> None:
    assert ask("run", DEVIL, "--set", "volumesPerNode=1", "--until", until).code == CONVERGED


def test_run_gives_1_where_its_timeline_went_wrong_and_names_it(ask: Ask) -> None:
    write("scenario.yaml", SCENARIO + "    - {when: Node/node1 is gone, uncordon: Node/node1}\n")
    answer = ask("run", "scenario.yaml")
    assert answer.code == FAILED == 1
    assert '"Node/node1 is gone" never came true' in answer.out
    write("scenario.yaml", SCENARIO + "    - {delete: Node/node9}\n")
    answer = ask("run", "scenario.yaml")
    assert answer.code == FAILED and 'nodes "node9" not found' in answer.out


def test_compare_and_get_give_0_once_they_have_answered(ask: Ask) -> None:
    assert ask("compare", DEVIL, "--vary", "volumesPerNode=1,2", "--seeds", "1..3", "--jobs", "1").code == 0
    assert ask("run", DEVIL, "--ties", "first", "--log", "run.jsonl").code == STUCK
    assert ask("get", "pods", "run.jsonl").code == 0
    assert ask("get", "pods", "--at", "0s", "run.jsonl").code == 0


def test_test_gives_0_where_all_passes_and_1_where_one_fails(ask: Ask) -> None:
    assert ask("test", str(LAB / "15-one-volume-per-node")).code == 0
    write("scenario.yaml", SCENARIO + "  expect: {run: {verdict: stuck}}\n")
    answer = ask("test", ".")
    assert answer.code == FAILED and "FAILED" in answer.out and "verdict stuck: converged" in answer.out
    assert "0 passed, 1 failed" in answer.out


# --- bad input --------------------------------------------------------------------------------------------------------

BAD_FILES: dict[str, tuple[str, str]] = {
    "bad YAML": ("a: [1, 2\n", "not YAML"),
    "a tab for indentation": ("a:\n\tb: 1\n", "not YAML"),
    "a wrong type": (
        NODE + "spec: {unschedulable: sometimes}\n", 'spec.unschedulable: must be true or false, not "sometimes"'),
    "an unknown field": (NODE + "spec: {unscheduleable: true}\n", 'Did you mean "unschedulable"?'),
    "an unknown version": (SET.replace("apps/v1", "apps/v1beta1"), "Write apiVersion: apps/v1"),
    "an unknown kind": (NODE.replace("kind: Node", "kind: Nodde"), "Did you mean Node"),
    "a bad quantity": (VOLUME.replace("10Gi", "10GiB") + AFFINITY, '"10GiB" is not a quantity'),
    "the same object twice": (NODE + "---\n" + NODE, 'Node "n1" is given twice; it stands at bad.yaml:1 too'),
    "a selector that does not match": (
        SET.replace("{labels: {app: web}}", "{labels: {app: db}}"), "`selector` does not match template `labels`"),
    "a local volume without affinity": (VOLUME, "Local volume requires node affinity"),
    "negative replicas": (SET.replace("replicas: 1", "replicas: -1"), "must be greater than or equal to 0"),
    "no object": ("# nothing here\n---\n", "no object in it"),
    "an empty list": ("apiVersion: v1\nkind: List\nitems: []\n", "no object in it"),
    "a sentence": ("hello\n", "is not a Kubernetes object"),
    "no name": ("apiVersion: v1\nkind: Node\nmetadata: {}\n", "metadata.name is missing"),
    "3000 brackets": ("a: " + "[" * 3000 + "]" * 3000 + "\n", "nested more than"),
    "a YAML bomb": (
        NODE + "x0: &x0 [0, 0, 0, 0, 0, 0, 0, 0, 0]\n"
        + "".join(f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]\n" for n in range(1, 9)), "aliases"),
    "an unknown action": (SCENARIO.replace("cordon:", "cordn:"), 'no field "cordn". Did you mean cordon?'),
    "two actions at once": (SCENARIO.replace("cordon:", "fail: Node/node1, cordon:"), "more than one action"),
    "no action": (SCENARIO.replace(", cordon: Node/node1", ""), "no action"),
    "an unknown parameter": (SCENARIO.replace("${count}", "${cout}"), '"${cout}" is not a parameter of this scenario'),
    "a bad time": (SCENARIO.replace("at: 1s", "at: soon"), '"soon" is not a duration'),
    "a bad condition": (
        SCENARIO.replace("at: 1s", "when: Node/node1 is happy"), '"happy" in "Node/node1 is happy" is not a state'),
    "a kind that is not": (SCENARIO.replace("Node/node1", "Nod/node1"), '"Nod"'),
    "a manifest that is not there": (
        SCENARIO.replace("  timeline:", "  manifests: [none.yaml]\n  timeline:"), '"none.yaml" does not exist'),
    "a latency of nothing": (
        SCENARIO.replace("  timeline:", "  latency: {wach: 1s}\n  timeline:"), 'Did you mean "watch"?'),
    "a scenario of another version": (SCENARIO.replace("bindsim/v1", "bindsim/v9"), "apiVersion: bindsim/v1"),
    "a scenario of a mistyped kind": (SCENARIO.replace("kind: Scenario", "kind: Scenaro"), "kind: Scenario"),
}


@pytest.mark.parametrize("what", BAD_FILES)
def test_a_bad_file_gives_2_and_one_line_that_says_where_and_what(ask: Ask, what: str) -> None:
    text, said = BAD_FILES[what]
    write("bad.yaml", text)
    answer = ask("run", "bad.yaml")
    assert answer.code == BAD_INPUT == 2
    assert answer.out == ""
    assert answer.err.count("\n") == 1, answer.err
    assert answer.err.startswith("error: bad.yaml:") and said in answer.err


BAD_ARGUMENTS: dict[str, tuple[list[str], str]] = {
    "a file that is not there": (["run", "god.yaml"], "god.yaml: no such file or folder. Did you mean good.yaml?"),
    "an empty folder": (["run", "empty"], "empty: no *.yaml, *.yml or *.json in this folder"),
    "a scenario and manifests": (["run", "scenario.yaml", "good.yaml"], "Give it alone"),
    "a parameter for manifests": (["run", "good.yaml", "--set", "count=1"], "only a scenario file has parameters"),
    "an unknown parameter": (["run", "scenario.yaml", "--set", "cout=1"], '"cout" is not a parameter'),
    "a parameter without value": (["run", "scenario.yaml", "--set", "count"], "write KEY=VALUE"),
    "a parameter of another type": (["run", "scenario.yaml", "--set", "count=many"], "the parameter is a number"),
    "a log that cannot be written": (["run", "good.yaml", "--log", "no/run.jsonl"], "Name a file that can be written"),
    "an unknown parameter to vary": (["compare", "scenario.yaml", "--vary", "cout=1,2"], '"cout" is not a parameter'),
    "nothing to vary": (["compare", "scenario.yaml", "--vary", "count"], "write KEY=A,B"),
    "a log that is none": (["get", "pods", "good.yaml"], "not a line of a bindsim log"),
    "a log that is not there": (["get", "pods", "run.jsonl"], "run.jsonl: No such file"),
    "no log": (["get", "pods"], "name the log of a run last"),
    "no scenario to test": (["test", "empty"], "no scenario.yaml in it"),
}


@pytest.mark.parametrize("what", BAD_ARGUMENTS)
def test_bad_arguments_give_2_and_one_line(ask: Ask, what: str) -> None:
    arguments, said = BAD_ARGUMENTS[what]
    write("good.yaml", NODE)
    write("scenario.yaml", SCENARIO)
    Path("empty").mkdir()
    answer = ask(*arguments)
    assert answer.code == BAD_INPUT
    assert answer.out == ""
    assert answer.err.count("\n") == 1 and answer.err.startswith("error: ") and said in answer.err


@pytest.mark.parametrize(("arguments", "said"), [
    ([], "required: COMMAND"), (["dance"], "invalid choice: 'dance'"), (["run"], "SCENARIO|MANIFESTS"),
    (["run", "x", "--seed", "-1"], "-1 is negative"), (["run", "x", "--seed", "one"], "one is not a whole number"),
    (["run", "x", "--ties", "fair"], "invalid choice: 'fair'"),
    (["run", "x", "--until", "soon"], '"soon" is not a duration'),
    (["run", "x", "--nodes", "0"], "0 is not a number of 1 or more"), (["run", "x", "--sed", "1"], "--sed"),
    (["compare", "x", "--seeds", "5..1"], "5..1 is empty"),
])
def test_a_wrong_option_gives_2_and_the_usage(ask: Ask, arguments: list[str], said: str) -> None:
    answer = ask(*arguments)
    assert answer.code == BAD_INPUT and answer.out == ""
    assert answer.err.startswith("usage: bindsim") and said in answer.err


def test_an_unreadable_file_gives_2(ask: Ask) -> None:
    Path("loop.yaml").symlink_to("loop.yaml")
    for arguments in (["run", "loop.yaml"], ["run", "."], ["get", "pods", "loop.yaml"]):
        answer = ask(*arguments)
        assert answer.code == BAD_INPUT and answer.err.count("\n") == 1
        assert "loop.yaml" in answer.err and "Too many levels of symbolic links" in answer.err


def test_a_file_that_is_no_text_gives_2(ask: Ask) -> None:
    Path("bytes.yaml").write_bytes(bytes(range(256)))
    answer = ask("run", "bytes.yaml")
    assert answer.code == BAD_INPUT and answer.err.count("\n") == 1 and "not UTF-8" in answer.err


def test_all_errors_of_a_file_are_told_a_line_each(ask: Ask) -> None:
    write("bad.yaml", NODE + "spec: {unschedulable: 1, podCDR: x}\n")
    answer = ask("run", "bad.yaml")
    assert answer.code == BAD_INPUT and answer.err.count("\n") == 2
    assert all(line.startswith("error: bad.yaml:4: ") for line in answer.err.splitlines())


def test_a_missing_service_name_is_accepted(ask: Ask) -> None:
    write("good.yaml", SET.replace("  serviceName: web\n", ""))
    assert ask("run", "good.yaml", "--nodes", "1").code == CONVERGED


def test_a_volume_of_a_node_that_does_not_exist_is_a_warning(ask: Ask) -> None:
    write("good.yaml", VOLUME + AFFINITY)
    answer = ask("run", "good.yaml", "--nodes", "1")
    assert answer.code == CONVERGED
    said = " ".join(answer.out.split())
    assert 'PersistentVolume "disk" is tied to node "nowhere", which no manifest defines' in said


@pytest.mark.parametrize("text", [NODE, SCENARIO], ids=["manifests", "a scenario"])
def test_standard_input_is_read_like_a_file(text: str) -> None:
    done = process(["run", "-", "-o", "json"], input=text)
    assert done.returncode == CONVERGED, done.stderr
    assert "1 node" in done.stdout or "2 nodes" in done.stdout


def test_bad_standard_input_gives_2_without_a_traceback() -> None:
    for text in ("", "a: [", "[" * 3000, "\0"):
        done = process(["run", "-"], input=text)
        assert done.returncode == BAD_INPUT and done.stdout == ""
        assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


def test_a_process_that_meets_bad_input_prints_no_traceback(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(NODE + "spec: {unscheduleable: true}\n")
    done = process(["run", str(path)])
    assert done.returncode == BAD_INPUT
    what = 'unknown field "spec.unscheduleable". Did you mean "unschedulable"?'
    assert done.stderr == f'error: {path}:4: Node "n1": {what}\n'


# --- get --------------------------------------------------------------------------------------------------------------


def test_get_refuses_as_kubectl_does(ask: Ask) -> None:
    ask("run", DEVIL, "--ties", "first", "--log", "run.jsonl")
    assert ask("get", "foos", "run.jsonl").err == 'error: the server doesn\'t have a resource type "foos"\n'
    answer = ask("get", "pod/web-0", "run.jsonl")
    assert answer.code != 0 and answer.err == 'Error from server (NotFound): pods "web-0" not found\n'
    answer = ask("get", "pods", "-n", "elsewhere", "run.jsonl")
    assert answer.out == "" and answer.err == "No resources found in elsewhere namespace.\n"


def test_get_shows_any_moment(ask: Ask) -> None:
    ask("run", DEVIL, "--ties", "first", "--log", "run.jsonl")
    assert "No resources found" in ask("get", "pods", "--at", "500ms", "run.jsonl").err
    then = ask("get", "pods", "--at", "2s", "run.jsonl").out.splitlines()
    assert then[1].split() == ["consul-0", "0/1", "ContainerCreating", "0", "1s"]
    now = ask("get", "pods", "run.jsonl").out.splitlines()
    assert [line.split()[2] for line in now] == ["STATUS", "Running", "Pending"]


# --- output -----------------------------------------------------------------------------------------------------------


def test_version_and_help(ask: Ask) -> None:
    answer = ask("--version")
    assert (answer.code, answer.out) == (0, f"bindsim {__version__}\n")
    answer = ask("--help")
    assert answer.code == 0 and all(command in answer.out for command in ("run", "compare", "get", "test"))
    for command in ("run", "compare", "get", "test"):
        assert ask(command, "--help").out.startswith(f"usage: bindsim {command}")


def test_json_carries_its_version_and_says_what_the_text_says(ask: Ask) -> None:
    answer = ask("run", DEVIL, "--ties", "first", "-o", "json")
    assert answer.code == STUCK and answer.err == ""
    data = json.loads(answer.out)
    assert (data["apiVersion"], data["kind"]) == ("bindsim/v1", "RunResult")
    assert data["verdict"] == "stuck" and "Pod/default/consul-1" in data["waiting"]
    assert data["placements"] == {"default/consul-0": "node2", "default/consul-1": None}
    assert data["bindings"] == {"default/data-consul-0": "pv-node2-1", "default/data-consul-1": "pv-node2-2"}
    assert {reason["object"] for reason in data["reasons"]} >= set(data["waiting"])


def test_a_comparison_as_json(ask: Ask) -> None:
    answer = ask("compare", DEVIL, "--vary", "volumesPerNode=1,2", "--seeds", "1..5", "--jobs", "1", "-o", "json")
    data = json.loads(answer.out)
    assert (data["apiVersion"], data["kind"]) == ("bindsim/v1", "CompareResult")
    assert [row["settings"] for row in data["rows"]] == [{"volumesPerNode": "1"}, {"volumesPerNode": "2"}]
    for row in data["rows"]:
        assert row["runs"] == 5 == row["converged"] + row["stuck"] + row["noVerdict"]
        low, high = row["stuckInterval95"]
        assert 0 <= low <= row["stuckShare"] <= high <= 1


def test_a_log_file_is_json_lines_with_a_version_in_its_header(ask: Ask) -> None:
    ask("run", DEVIL, "--seed", "5", "--ties", "last", "--log", "run.jsonl")
    header, *entries = map(json.loads, Path("run.jsonl").read_text().splitlines())
    assert header["bindsim-log"] == 1 and header["bindsim"] == __version__
    assert (header["seed"], header["ties"]) == (5, "last")
    assert [entry["seq"] for entry in entries] == list(range(len(entries)))
    assert [entry["time"] for entry in entries] == sorted(entry["time"] for entry in entries)
    assert entries[-1]["verb"] == "verdict"


def on_a_terminal(arguments: Sequence[str], **environment: str) -> str:
    """What a command writes to a terminal."""
    parent, child = pty.openpty()
    try:
        with subprocess.Popen([*COMMAND, *arguments], env={**ENVIRONMENT, "TERM": "xterm-256color", **environment},
                              stdin=child, stdout=child, stderr=subprocess.PIPE) as running:
            os.close(child)
            said = b""
            while True:
                try:
                    piece = os.read(parent, 65536)
                except OSError:  # the terminal is closed once its last writer is gone
                    break
                if not piece:
                    break
                said += piece
            assert running.stderr is not None and running.stderr.read() == b""
    finally:
        os.close(parent)
    return said.decode().replace("\r\n", "\n")


def test_colour_is_for_terminals_and_not_for_those_who_set_no_color() -> None:
    arguments = ["run", DEVIL, "--ties", "first"]
    assert "\x1b[" in on_a_terminal(arguments)
    assert "\x1b[" not in on_a_terminal(arguments, NO_COLOR="1")
    assert "\x1b[" not in process(arguments).stdout


def test_a_closed_pipe_is_no_complaint() -> None:
    lab = str(LAB / "15-one-volume-per-node")
    for arguments in (["run", lab], ["run", lab, "-o", "json"], ["test", lab], ["--help"]):
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(
            [*COMMAND, *arguments], env=ENVIRONMENT, stdout=writer, stderr=subprocess.PIPE, check=False)
        os.close(writer)
        assert done.stderr == b"", arguments
        assert done.returncode == 0


def test_head_gets_its_line(tmp_path: Path) -> None:
    line = f"{sys.executable} -m simulator run {DEVIL} --ties first | head -1"
    done = subprocess.run(line, shell=True, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.stdout == "devil: Several volumes per node, and the binding mode\n" and done.stderr == ""


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_gives_130_and_one_word(jobs: str) -> None:
    arguments = ["compare", DEVIL, "--seeds", "1..100000", "--jobs", jobs]
    with subprocess.Popen(
        [*COMMAND, *arguments], env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    ) as running:
        time.sleep(2)
        os.killpg(running.pid, signal.SIGINT)
        out, err = running.communicate(timeout=30)
    assert (running.returncode, out, err) == (INTERRUPTED, "", "interrupted\n")
    assert INTERRUPTED == 130


def test_what_it_says_goes_to_stdout_and_nothing_to_stderr() -> None:
    done = process(["run", DEVIL])
    assert done.returncode in (CONVERGED, STUCK) and done.stdout and done.stderr == ""
