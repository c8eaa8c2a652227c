"""``bindsim check`` as people meet it: exit codes, standard input, files for CI, bad input."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from simulator.cli import BAD_INPUT, CONVERGED, FAILED, MAY_GET_STUCK, NO_VERDICT, STUCK, main
from tests.preflight.dumps import dump, manifest, new_set, three_nodes

ROOT = Path(__file__).parents[2]
DEVIL = str(ROOT / "scenarios" / "devil")


class Answer:
    """What the command said, and how it ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


Ask = Callable[..., Answer]


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Runs the command in a folder with a cluster and manifests."""
    monkeypatch.chdir(tmp_path)
    Path("waits.yaml").write_text(dump(*three_nodes()))
    Path("immediate.yaml").write_text(dump(*three_nodes("Immediate")))
    Path("full.yaml").write_text(dump(*three_nodes(free=0)))
    Path("web.yaml").write_text(manifest(new_set()))

    def answer(*arguments: str, stdin: str = "") -> Answer:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        try:
            code = main(["check", *arguments])
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        said = capsys.readouterr()
        return Answer(code, said.out, said.err)

    return answer


# --- exit codes -------------------------------------------------------------------------------------------------------


def test_it_gives_0_where_it_always_converges(ask: Ask) -> None:
    answer = ask("waits.yaml", "web.yaml")
    assert answer.code == CONVERGED == 0 and "Verdict: always converges" in answer.out


def test_it_gives_3_where_it_always_gets_stuck(ask: Ask) -> None:
    answer = ask("full.yaml", "web.yaml")
    assert answer.code == STUCK == 3 and "Verdict: always gets stuck" in answer.out


def test_it_gives_5_where_it_may_get_stuck(ask: Ask) -> None:
    answer = ask("immediate.yaml", "web.yaml")
    assert answer.code == MAY_GET_STUCK == 5 and "1/5 = 20 % exactly" in answer.out


def test_it_gives_4_where_the_dump_contradicts_itself(ask: Ask) -> None:
    Path("partial.yaml").write_text(dump(*(obj for obj in three_nodes() if obj["kind"] != "Node")))
    answer = ask("partial.yaml", "web.yaml")
    assert answer.code == NO_VERDICT == 4 and "this is not the whole cluster" in answer.out


@pytest.mark.parametrize(("limit", "code"), [("20%", 0), ("0.2", 0), ("100%", 0), ("19%", 5), ("0.1", 5)])
def test_max_odds_turns_5_into_0(ask: Ask, limit: str, code: int) -> None:
    assert ask("immediate.yaml", "web.yaml", "--max-odds", limit).code == code


def test_max_odds_does_not_help_where_it_always_gets_stuck(ask: Ask) -> None:
    assert ask("full.yaml", "web.yaml", "--max-odds", "100%").code == STUCK


def test_it_gives_2_where_the_api_server_refuses(ask: Ask) -> None:
    changed = new_set("db", 3)
    changed["spec"]["serviceName"] = "other"
    Path("db.yaml").write_text(manifest(changed))
    answer = ask("waits.yaml", "db.yaml")
    assert answer.code == BAD_INPUT == 2
    assert "updates to statefulset spec for fields other than 'replicas'" in " ".join(answer.out.split())


def test_it_gives_1_where_a_scenarios_timeline_goes_wrong(ask: Ask) -> None:
    Path("scenario.yaml").write_text(
        "apiVersion: bindsim/v1\nkind: Scenario\nmetadata: {name: s}\nspec:\n  nodes: {count: 1}\n"
        "  timeline: [{delete: Node/node9}]\n")
    answer = ask("scenario.yaml")
    assert answer.code == FAILED == 1 and 'Timeline: timeline entry 1: nodes "node9" not found' in answer.out


def test_a_scenario_can_be_checked_with_its_parameters(ask: Ask) -> None:
    assert ask(DEVIL).code == MAY_GET_STUCK
    assert ask(DEVIL, "--set", "bindingMode=WaitForFirstConsumer").code == CONVERGED


# --- where things come from and go to ---------------------------------------------------------------------------------


def test_the_cluster_may_be_piped_in(ask: Ask) -> None:
    answer = ask("web.yaml", "-", stdin=dump(*three_nodes()))
    assert answer.code == 0 and "Cluster: stdin" in answer.out
    assert ask("web.yaml", "--cluster", "-", stdin=dump(*three_nodes())).code == 0


def test_the_manifests_may_be_piped_in(ask: Ask) -> None:
    answer = ask("waits.yaml", "-", stdin=manifest(new_set()))
    assert answer.code == 0 and "Applied: stdin: create StatefulSet/web" in answer.out


def test_the_cluster_alone_can_be_checked(ask: Ask) -> None:
    for arguments in (["waits.yaml"], ["--cluster", "waits.yaml"]):
        answer = ask(*arguments)
        assert answer.code == 0 and "this is about the cluster as it is" in answer.out


def test_json_and_junit_go_to_standard_output(ask: Ask) -> None:
    answer = ask("immediate.yaml", "web.yaml", "-o", "json")
    data = json.loads(answer.out)
    assert answer.code == 5 and data["kind"] == "CheckResult" and data["verdict"] == "may get stuck"
    answer = ask("immediate.yaml", "web.yaml", "-o", "junit")
    assert answer.code == 5 and ElementTree.fromstring(answer.out).tag == "testsuites"


def test_junit_can_be_written_beside_the_text(ask: Ask) -> None:
    answer = ask("waits.yaml", "web.yaml", "--junit", "report.xml")
    assert answer.code == 0 and answer.out.startswith("Cluster")
    assert ElementTree.parse("report.xml").getroot().get("failures") == "0"


def test_nodes_can_be_added(ask: Ask) -> None:
    Path("few.yaml").write_text(dump(*(obj for obj in three_nodes() if obj["metadata"]["name"] != "node3")))
    assert ask("few.yaml", "web.yaml").code == CONVERGED and "2 Node" in ask("few.yaml").out
    Path("none.yaml").write_text(dump(*(obj for obj in three_nodes() if obj["kind"] in ("StorageClass", "Node")
                                        or obj["metadata"]["name"].startswith("free"))).replace("node3", "node4"))
    answer = ask("none.yaml", "web.yaml", "--nodes", "1")
    assert answer.code == BAD_INPUT and "given twice" in answer.err
    Path("two.yaml").write_text(dump(*(obj for obj in three_nodes() if obj["metadata"]["name"] not in ("node1", "node2")
                                       and obj["kind"] in ("Node", "StorageClass", "PersistentVolume")
                                       and "db" not in obj["metadata"]["name"])))
    assert "1 Node" in ask("two.yaml", "web.yaml").out
    assert "3 Node" in ask("two.yaml", "web.yaml", "--nodes", "2").out


def test_a_process_of_its_own_says_the_same(ask: Ask) -> None:
    command = [sys.executable, "-m", "simulator", "check", "immediate.yaml", "web.yaml"]
    ended = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True, capture_output=True,
                           check=False)
    assert (ended.returncode, ended.stderr) == (5, "")
    assert ended.stdout == ask("immediate.yaml", "web.yaml").out


def test_whoever_reads_may_leave(ask: Ask) -> None:
    command = f"{sys.executable} -m simulator check immediate.yaml web.yaml | head -1; echo ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", command], env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True,
                           capture_output=True, check=False)
    assert ended.stdout.splitlines()[-1] == "5" and not ended.stderr


# --- bad input --------------------------------------------------------------------------------------------------------

BAD = {
    "no input": ([], "no input"),
    "a file that is not there": (["wbe.yaml"], "Did you mean web.yaml?"),
    "a cluster that is not there": (["web.yaml", "--cluster", "nothing.yaml"], "no such file"),
    "standard input twice": (["-", "--cluster", "-"], "read only once"),
    "a scenario with a cluster": ([DEVIL, "--cluster", "waits.yaml"], "without --cluster"),
    "a parameter of bare manifests": (["web.yaml", "--set", "a=1"], "only a scenario file has parameters"),
    "a threshold that is no share": (["web.yaml", "--max-odds", "many"], "many is not a share"),
    "a threshold above one": (["web.yaml", "--max-odds", "150%"], "150% is not a share"),
    "a precision of nothing": (["web.yaml", "--precision", "0"], "0 is not a"),
    "an unknown output": (["web.yaml", "-o", "xml"], "invalid choice"),
    "an unknown tie policy": (["web.yaml", "--ties", "fair"], "invalid choice"),
    "a negative seed": (["web.yaml", "--seed", "-1"], ""),
    "no nodes": (["web.yaml", "--nodes", "0"], "not a number of 1 or more"),
    "a patience that is no time": (["web.yaml", "--patience", "long"], "not a duration"),
    "a report that cannot be written": (["waits.yaml", "--junit", "no/such/folder.xml"], "Name a file that can be"),
    "not YAML": (["bad.yaml"], "bad.yaml:2"),
    "a dump that was cut off": (["cut.yaml", "web.yaml"], "cut.yaml:"),
    "a sentence": (["sentence.yaml"], "is not a Kubernetes object"),
    "a field that is not there": (["typo.yaml"], 'Did you mean "replicas"?'),
    "the same object twice": (["waits.yaml", "web.yaml", "again.yaml"], "is given twice"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_mistake_is_told_in_a_line_and_gives_2(ask: Ask, what: str) -> None:
    arguments, part = BAD[what]
    Path("bad.yaml").write_text("a: 1\n\tb: [\n")
    text = dump(*three_nodes())
    Path("cut.yaml").write_text(text[: text.index("capacity:") + 4])
    Path("sentence.yaml").write_text("hello\n")
    Path("typo.yaml").write_text(manifest(new_set()).replace("replicas:", "replcas:"))
    Path("again.yaml").write_text(manifest(new_set()))
    answer = ask(*arguments)
    assert answer.code == BAD_INPUT and part in answer.err and "Traceback" not in answer.err
    assert not answer.out
