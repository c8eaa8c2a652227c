"""``bindsim why`` as a user meets it: what it prints, what it writes, and what it says to wrong input."""

from __future__ import annotations

import io
import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from simulator.cli import main

DEVIL = "scenarios/devil"


class Output:
    """What a command printed, and its exit code."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


Why = Callable[..., Output]


@pytest.fixture
def why(capsys: pytest.CaptureFixture[str]) -> Why:
    def call(*arguments: str, command: str = "why") -> Output:
        code = main([command, *arguments])
        captured = capsys.readouterr()
        return Output(code, captured.out, captured.err)

    return call


@pytest.fixture
def log(why: Why, tmp_path: Path) -> str:
    path = tmp_path / "run.jsonl"
    why(DEVIL, "--seed", "0", "--log", str(path), command="run")
    return str(path)


def test_the_report_tells_cause_core_rules_and_repairs(why: Why) -> None:
    said = why(DEVIL)
    assert said.code == 0 and not said.err
    heads = [head for head in ("Why", "Core:", "Every rule on every node", "Repairs") if f"\n{head}" in said.out]
    assert heads == ["Why", "Core:", "Every rule on every node", "Repairs"]
    assert "[2] PersistentVolume pv-node2-2          scenarios/devil/scenario.yaml:21" in said.out
    assert "InterPodAffinity: node2 already runs consul-1" in said.out
    begin, end = said.out.index("\nWhy\n"), said.out.index("\n\nCore")
    assert said.out[begin:end].count("\n") <= 13, "at most a dozen lines"
    assert all(len(line) <= 100 for line in said.out.splitlines() if not line.startswith("kubectl"))


def test_commands_stand_flush_left_so_that_they_can_be_copied(why: Why) -> None:
    lines = why(DEVIL).out.splitlines()
    begin = lines.index("kubectl apply -f - <<'EOF'")
    end = lines.index("EOF", begin)
    assert lines[begin + 1] == "apiVersion: v1" and "  volumeName: pv-node4-1" in lines[begin:end]


def test_full_tells_all_rules_and_all_cores(why: Why) -> None:
    short, full = (why("scenarios/lab/05b-node-lost-for-good", *more).out for more in ([], ["--full"]))
    assert "2 other cores hold the same: --full tells" in short and "NodeUnschedulable" not in short
    assert full.count("Another core, enough by itself") == 2 and "NodeUnschedulable" in full


def test_a_log_gives_the_same_report_as_its_scenario(why: Why, log: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = why(DEVIL, "--seed", "0").out
    assert why(log).out == expected

    class Stdin:
        buffer = io.BytesIO(Path(log).read_bytes())

    monkeypatch.setattr("sys.stdin", Stdin())
    assert why("-").out == expected


def test_json_has_everything_and_a_version(why: Why) -> None:
    said = json.loads(why(DEVIL, "-o", "json").out)
    assert (said["apiVersion"], said["kind"]) == ("bindsim/v1", "WhyResult") and said["version"]
    knot, = said["stuck"]
    assert len(knot["cores"][0]["members"]) == 4 and len(knot["tables"][0]["nodes"][0]["answers"]) == 12
    assert {repair["data"] for repair in said["repairs"]} == {"kept"}
    assert all(vertex["deadlocked"] for vertex in said["graph"]["vertices"] if vertex["kind"] == "object")


def test_the_wait_for_graph_can_be_written(why: Why, tmp_path: Path) -> None:
    dot, graphml = tmp_path / "graph.dot", tmp_path / "graph.graphml"
    assert why(DEVIL, "--dot", str(dot), "--graphml", str(graphml)).code == 0
    assert dot.read_text().startswith("digraph waits_for {")
    nodes = ElementTree.parse(graphml).getroot().iter("{http://graphml.graphdrawing.org/xmlns}node")
    assert "Pod/default/consul-2" in {node.get("id") for node in nodes}


def test_a_run_that_converges_points_to_one_that_does_not(why: Why) -> None:
    said = why(DEVIL, "--seed", "3")
    assert said.code == 0 and "Verdict: converged" in said.out and "bindsim why --seed 0" in said.out
    said = why(DEVIL, "--set", "bindingMode=WaitForFirstConsumer")
    assert "seeds 0 to 49 converge; `bindsim explore` looks at every run" in said.out and "Repairs" not in said.out


def test_an_object_can_be_named(why: Why) -> None:
    assert "consul-2 is not scheduled" in why(DEVIL, "sts/consul").out


@pytest.mark.parametrize(("arguments", "complaint"), [
    (["pod/web-0"], "name a scenario, manifests or the log of a run"),
    (["nothing.yaml"], "nothing.yaml"),
    ([DEVIL, "pod/nobody"], 'nothing called "pod/nobody" is stuck. What is short of its goal: statefulset/consul, '
                            "pod/consul-2."),
    ([DEVIL, "--dot", "/no/such/folder/x.dot"], "--dot /no/such/folder/x.dot: No such file or directory"),
    ([DEVIL, "--set", "nodes=3"], '"nodes" is not a parameter'),
])
def test_wrong_input_is_answered_in_words(why: Why, arguments: Sequence[str], complaint: str) -> None:
    said = why(*arguments)
    assert said.code == 2 and complaint in said.err and "Traceback" not in said.err


@pytest.mark.parametrize(("cut", "complaint"), [
    (lambda text: text[: len(text) // 2], "not a line of a bindsim log"),
    (lambda text: b"\n".join(text.split(b"\n")[:5]) + b"\n", "the log ends before its run does"),
    (lambda text: b'{"bindsim-log": 99}\n', "a log of another version"),
    (lambda text: b"", "empty file"),
])
def test_a_broken_log_is_answered_in_words(why: Why, log: str, cut: Callable[[bytes], bytes], complaint: str) -> None:
    path = Path(log)
    path.write_bytes(cut(path.read_bytes()))
    said = why(log)
    assert said.code == 2 and complaint in said.err and "Traceback" not in said.err


def test_a_log_cannot_be_run_with_another_seed(why: Why, log: str) -> None:
    said = why(log, "--seed", "4")
    assert said.code == 2 and "--seed: a log tells of one run" in said.err
