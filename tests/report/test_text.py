from __future__ import annotations

import io
import json
import subprocess
import sys
from typing import Any

import pytest

from simulator.eventlog import Log, read_log
from simulator.report.compare import compare_table, wilson
from simulator.report.condense import condense
from simulator.report.data import compare_result, run_data, run_result
from simulator.report.happenings import Happening, happenings
from simulator.report.kubectl import Query
from simulator.report.text import print_run, reason_lines, run_lines, timeline_lines
from simulator.report.watch import watch
from simulator.testing.builders import make_claim, make_pod
from simulator.units import MILLISECOND, SECOND
from tests.report.clusters import watch_story
from tests.report.story import Story, local, ready, running


def small_devil() -> Log:
    """Two pods whose volumes lie on one node, written by hand."""
    story = Story(
        {
            "scenario": "devil",
            "title": "In the details",
            "parameters": {"bindingMode": "Immediate"},
            "seed": 7,
            "ties": "uniform",
            "assumed": ["node1: 8 cpu"],
            "notSimulated": ["Role/web"],
            "warnings": [],
        }
    )
    apart = {
        "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "kubernetes.io/hostname"}
            ]
        }
    }
    for node in ("node1", "node2"):
        story.put("Node", node, {"status": ready()}, meta={"labels": {"kubernetes.io/hostname": node}})
    for volume, node in (("pv-a", "node2"), ("pv-b", "node2"), ("pv-c", "node1")):
        story.put("PersistentVolume", volume, {"spec": local(node, f"/mnt/{volume}"), "status": {"phase": "Available"}})
    web = story.at(SECOND).put("StatefulSet", "web", {"spec": {"replicas": 3}})
    owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web", "uid": web.metadata.uid, "controller": True}
    story.note("action", "StatefulSet", "web", {"entry": 1, "action": "apply", "refused": None}, "kubectl")
    main = {"name": "main", "image": "registry.example.com/web:1"}
    for number, volume in enumerate(("pv-a", "pv-b")):
        story.at((2 + number) * SECOND)
        claim, pod = f"data-web-{number}", f"web-{number}"
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        controller = "statefulset-controller"
        story.put("PersistentVolumeClaim", claim, {"spec": spec, "status": {"phase": "Pending"}}, actor=controller)
        wanted: dict[str, Any] = {
            "containers": [main],
            "affinity": apart,
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}],
        }
        labels = {"labels": {"app": "web"}, "ownerReferences": [owner]}
        story.put("Pod", pod, {"spec": wanted, "status": {"phase": "Pending"}}, actor=controller, meta=labels)
        story.note(
            "schedule-failed",
            "Pod",
            pod,
            {
                "nodes": {},
                "message": "0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found",
            },
        )
        story.note("choose", "PersistentVolumeClaim", claim, {"point": "volume", "chosen": volume, "among": ["x"] * 3})
        story.put(
            "PersistentVolumeClaim",
            claim,
            {"spec": {**spec, "volumeName": volume}, "status": {"phase": "Bound"}},
            meta={"annotations": {"pv.kubernetes.io/bind-completed": "yes"}},
        )
        story.at(story.now + 9 * MILLISECOND)
        if number == 0:
            placed = {**wanted, "nodeName": "node2"}
            story.put("Pod", pod, {"spec": placed, "status": {"phase": "Pending"}}, verb="bind", meta=labels)
            story.at(story.now + 500 * MILLISECOND).put(
                "Pod",
                pod,
                {
                    "spec": placed,
                    "status": {
                        "phase": "Running",
                        "containerStatuses": [running("main", story.now)],
                        "conditions": [{"type": "Ready", "status": "True"}],
                    },
                },
                meta=labels,
            )
        else:
            story.note(
                "schedule-failed",
                "Pod",
                pod,
                {
                    "nodes": {
                        "node1": [
                            "VolumeBinding",
                            "UnschedulableAndUnresolvable",
                            "node(s) didn't match PersistentVolume's node affinity",
                        ],
                        "node2": ["InterPodAffinity", "Unschedulable", "node(s) didn't match pod anti-affinity rules"],
                    },
                    "message": "0/2 nodes are available: 1 node(s) didn't match PersistentVolume's node affinity, "
                    "1 node(s) didn't match pod anti-affinity rules. no new claims to deallocate, preemption: 0/2 "
                    "nodes are available.",
                },
            )
    story.at(400 * SECOND).note(
        "verdict",
        "Node",
        "",
        {
            "verdict": "stuck",
            "why": "nothing can come any more",
            "time": story.now,
            "waiting": ["Pod/default/web-1"],
            "failures": ['"Pod/web-1 is ready" never came true'],
        },
        "bindsim",
    )
    return story.log


def test_the_timeline_tells_what_happened_and_no_more() -> None:
    assert timeline_lines(small_devil(), 200) == [
        "0s     given: 2 nodes, 3 volumes",
        "1.00s  kubectl apply StatefulSet/web (3 replicas, OrderedReady)",
        "2.00s  web-0 created, with its claim data-web-0",
        "2.00s  data-web-0 bound to pv-a on node2, one of 3 equally good ones",
        "2.01s  web-0 scheduled to node2",
        "2.51s  web-0 ready on node2",
        "3.00s  web-1 created, with its claim data-web-1",
        "3.00s  data-web-1 bound to pv-b on node2, one of 3 equally good ones",
        "3.01s  web-1 is not scheduled: 0/2 nodes are available: 1 node(s) didn't match PersistentVolume's node "
        "affinity, 1 node(s) didn't match pod anti-affinity rules",
    ]


def test_a_report_has_timeline_tables_verdict_reasons_and_notes() -> None:
    lines = run_lines(small_devil())
    heads = [line for line in lines if line and not line.startswith(" ")]
    assert heads == [
        "devil: In the details",
        "bindingMode=Immediate, seed 7, ties uniform",
        "Timeline",
        "kubectl get sts",
        "kubectl get pods -o wide",
        "kubectl get pvc",
        "kubectl get pv",
        "Verdict: stuck: nothing can come any more",
        'Timeline: "Pod/web-1 is ready" never came true',
        "Why",
        "Assumed",
        "Not simulated",
    ]
    assert "node2 already runs web-0, and web-1 may not share a node with app=web" in " ".join(" ".join(lines).split())
    assert max(map(len, lines[:13])) <= 100


def test_a_report_made_from_the_file_is_the_same() -> None:
    log = small_devil()
    read = read_log(list(log.lines()), "run.jsonl")
    assert run_lines(read) == run_lines(log)
    assert run_result(read) == run_result(log)


def test_the_result_as_data_has_a_version_and_what_the_report_says() -> None:
    data = run_data(small_devil())
    assert (data["apiVersion"], data["kind"]) == ("bindsim/v1", "RunResult")
    assert data["version"]
    assert data["verdict"] == "stuck"
    assert data["placements"] == {"default/web-0": "node2", "default/web-1": None}
    assert data["bindings"] == {"default/data-web-0": "pv-a", "default/data-web-1": "pv-b"}
    assert data["reasons"][0]["object"] == "Pod/default/web-1"
    assert data["notes"]["assumed"] == ["node1: 8 cpu"]
    assert json.loads(run_result(small_devil())) == data


def test_a_refused_action_is_told_with_the_words_of_the_api_server() -> None:
    story = Story().at(SECOND)
    story.note("action", "Pod", "web-0", {"entry": 1, "action": "evict", "refused": "Cannot evict pod"}, "kubectl")
    assert timeline_lines(story.log) == ["1.00s  kubectl evict Pod/web-0 is refused: Cannot evict pod"]


def test_a_pod_that_comes_back_finds_its_claim_again() -> None:
    story = Story()
    story.store(make_claim("data-web-0"))
    story.at(SECOND).store(make_pod("web-0", claims=("data-web-0",)), "statefulset-controller")
    story.at(2 * SECOND).gone("Pod", "web-0", actor="kubelet")
    assert timeline_lines(story.log) == [
        "0s     given: 1 claim",
        "1.00s  web-0 created, finds its claim data-web-0",
        "2.00s  web-0 gone",
    ]


def test_a_node_goes_down_and_comes_back() -> None:
    story = Story()
    story.put("Node", "node1", {"status": ready()})
    story.at(SECOND).note("node-stopped", "Node", "node1", {"machine": True}, "kubelet")
    down = {"conditions": [{"type": "Ready", "status": "Unknown", "message": "Kubelet stopped posting node status."}]}
    story.at(50 * SECOND).put("Node", "node1", {"status": down}, actor="node-controller")
    story.at(60 * SECOND).put("Node", "node1", {"status": ready()}, actor="kubelet")
    assert timeline_lines(story.log)[1:] == [
        "1.00s    node node1 goes down",
        "50s      node node1 is not ready: Kubelet stopped posting node status.",
        "1m00.0s  node node1 is ready",
    ]


def test_a_warning_is_told_once() -> None:
    story = Story()
    for second in range(5):
        story.at(second * SECOND).event("Pod", "web-0", "Warning", "FailedMount", "no such path", "kubelet")
    assert timeline_lines(story.log) == ["0s  web-0: FailedMount: no such path"]


def many(number: int) -> list[Happening]:
    return [
        Happening(place * SECOND, make_pod(f"web-{place}").key, what, f"web-{place} {what}")
        for place in range(number)
        for what in ("created", "ready")
    ]


def test_a_long_run_is_summed_up_by_sort() -> None:
    told = [*many(100), Happening(99 * SECOND, make_pod("odd").key, "failed", "odd has failed")]
    lines = condense(told)
    assert [(line.when, line.text) for line in lines] == [
        ("0s-1m39.0s", "100 pods created: web-0, web-1, web-2, web-3 and 96 more"),
        ("0s-1m39.0s", "100 pods ready: web-0, web-1, web-2, web-3 and 96 more"),
        ("1m39.0s", "odd has failed"),
    ]


def test_a_short_run_is_told_line_by_line() -> None:
    assert len(condense(many(20))) == 40


def test_what_happens_is_in_order_of_time() -> None:
    times = [happening.time for happening in happenings(small_devil())]
    assert times == sorted(times)


def test_a_watch_can_carry_the_simulated_time() -> None:
    lines = list(watch(watch_story().log, Query(("pods",)), SECOND, timestamps=True))
    assert lines[1].startswith("1.00s     old-0")
    assert lines[-1].startswith("2m30.0s   old-0")


class Outcome:
    def __init__(self, verdict: str, time: int) -> None:
        self.verdict, self.time = verdict, time


class Row:
    def __init__(self, settings: dict[str, str], *outcomes: Outcome) -> None:
        self.settings, self.outcomes = settings, outcomes

    def count(self, verdict: str) -> int:
        return sum(outcome.verdict == verdict for outcome in self.outcomes)


ROWS = [
    Row(
        {"mode": "Immediate"},
        Outcome("converged", SECOND),
        Outcome("converged", 3 * SECOND),
        Outcome("stuck", 9 * SECOND),
        Outcome("no verdict", 0),
    ),
    Row({"mode": "WaitForFirstConsumer"}, Outcome("stuck", 0)),
]


def test_a_comparison_is_one_line_for_each_setting() -> None:
    assert compare_table(ROWS) == [
        "mode                   RUNS   CONVERGED    STUCK         NO VERDICT   STUCK, 95 % INTERVAL   "
        "MEDIAN TIME TO READY",
        "Immediate              4      2 (50.0 %)   1 (25.0 %)    1 (25.0 %)   4.6 % to 69.9 %        2.00s",
        "WaitForFirstConsumer   1      0 (0.0 %)    1 (100.0 %)   0 (0.0 %)    20.7 % to 100.0 %      -",
    ]


def test_a_comparison_as_data_has_shares_and_intervals() -> None:
    data = json.loads(compare_result(ROWS, range(1, 5)))
    assert data["kind"] == "CompareResult"
    assert data["seeds"] == {"first": 1, "last": 4}
    assert data["rows"][0]["stuckShare"] == 0.25
    assert data["rows"][1]["medianTimeToReady"] is None


@pytest.mark.parametrize(
    ("hits", "runs", "low", "high"), [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0)]
)
def test_wilsons_interval_is_the_textbooks(hits: int, runs: int, low: float, high: float) -> None:
    assert wilson(hits, runs) == pytest.approx((low, high), abs=1e-4)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colour_is_for_terminals_and_no_color_switches_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal, pipe = Terminal(), io.StringIO()
    print_run(small_devil(), terminal)
    print_run(small_devil(), pipe)
    assert "\x1b[1;31mstuck" in terminal.getvalue()
    assert "\x1b" not in pipe.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    plain = Terminal()
    print_run(small_devil(), plain)
    assert "\x1b" not in plain.getvalue()


def test_colour_changes_no_word() -> None:
    from rich.text import Text

    from simulator.report.colour import coloured

    lines = run_lines(small_devil())
    assert Text.from_ansi(coloured(lines)).plain.split() == "\n".join(lines).split()


def test_a_piped_report_imports_nothing_heavy() -> None:
    script = (
        "import sys, simulator.report.text; "
        "print([m for m in ('rich', 'yaml', 'json', 'networkx') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_reasons_alone_are_what_the_report_says() -> None:
    assert reason_lines(small_devil(), 1000)[0].startswith("web-1 waits: its claim data-web-1 is bound to pv-b")
