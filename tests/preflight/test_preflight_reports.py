"""The answer as text, JSON and JUnit XML."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree

import pytest

from simulator import ManifestError, Preflight, check
from simulator.preflight.lints import LINTS
from simulator.report.check import check_lines, check_result
from simulator.report.junit import junit
from simulator.version import __version__
from tests.preflight.conftest import Checks, Explores, FakeEnd, FakeExploration
from tests.preflight.dumps import Plain, meta, new_set, three_nodes, volume

DEVIL = str(Path(__file__).parents[2] / "scenarios" / "devil")
WEB = {"StatefulSet/default/web": "has 1 of 2 pods ready"}


def text(found: Preflight, width: int = 100) -> str:
    return "\n".join(check_lines(found, width))


def flat(found: Preflight) -> str:
    return " ".join(text(found).split())


@pytest.fixture
def stuck(checked: Checks) -> Preflight:
    """An answer with everything in it."""
    secret: Plain = {"apiVersion": "v1", "kind": "Secret", "metadata": meta("Secret", "s", namespace="default")}
    cluster = [obj for obj in three_nodes("Immediate") if obj["metadata"]["name"] != "db-disk-1"]
    refused = new_set("bad")
    refused["spec"]["replicas"] = -1
    return checked([*cluster, secret, volume("stray", "node9")], [new_set(), refused], max_odds=0.01)


# --- text -------------------------------------------------------------------------------------------------------------


def test_the_text_says_all_that_there_is(stuck: Preflight) -> None:
    said = flat(stuck)
    for part in (
        "Cluster: cluster.yaml (3 Node,", "Applied: new.yaml: create StatefulSet/web; refused StatefulSet/bad",
        "Verdict: may get stuck", "Odds of getting stuck: 3/7 = 42.86 % exactly, under uniform ties",
        "Accepted: no, --max-odds is 1 %", "Refused by the API server", "must be greater than or equal to 0",
        "Why web-", "Mended before anything is applied", "Stuck with or without it",
        "PersistentVolumeClaim/data-db-1 has lost its volume", "Warnings", "[immediate-with-anti-affinity]", "Mend:",
        "Strange in the dump", "which the dump does not have [claim-of-missing-volume]", "Not simulated",
        "Secret: 1 in the cluster",
    ):
        assert part in said, part


def test_the_verdict_stands_above_the_lints(stuck: Preflight) -> None:
    lines = check_lines(stuck)
    order = [next(n for n, line in enumerate(lines) if line.startswith(start)) for start in (
        "Cluster", "Applied", "Verdict", "Odds", "Refused", "Why", "Mended", "Stuck", "Warnings", "Strange")]
    assert order == sorted(order)


@pytest.mark.parametrize("width", [60, 100, 200])
def test_lines_keep_to_the_width(stuck: Preflight, width: int) -> None:
    for line in check_lines(stuck, width):
        assert len(line) <= max(width, 100) or line.startswith("    ")


def test_a_good_answer_is_short(checked: Checks) -> None:
    found = checked(three_nodes(), [new_set()])
    headings = [line for line in check_lines(found) if line and not line.startswith(" ")]
    assert [heading.partition(":")[0] for heading in headings] == [
        "Cluster", "Applied", "Verdict", "Odds of getting stuck", "Assumed"]


def test_a_sample_is_called_one(checked: Checks, unexplored: None) -> None:
    said = flat(checked(three_nodes(), [new_set()]))
    assert "got stuck (sampled)" in said
    assert "Exploration incomplete: so many states, and no end" in said
    assert "(95 % interval of 60 runs)" in said


def test_nothing_applied_is_said(checked: Checks) -> None:
    assert "Applied: nothing; this is about the cluster as it is" in text(checked(three_nodes()))


def test_of_many_alike_findings_a_few_are_told(checked: Checks) -> None:
    found = checked([*three_nodes(), *(volume(f"stray-{n}", f"gone-{n}") for n in range(20))])
    assert flat(found).count("[volume-on-missing-node]") == 4 and "and 17 more" in flat(found)
    assert len(found.findings) == 20


# --- JSON -------------------------------------------------------------------------------------------------------------


def test_json_carries_versions_and_everything_else(stuck: Preflight) -> None:
    data = json.loads(check_result(stuck))
    assert (data["apiVersion"], data["kind"], data["version"]) == ("bindsim/v1", "CheckResult", __version__)
    assert data["reasons"][0].keys() >= {"object", "text"}
    assert data["verdict"] == "may get stuck" and data["isProven"] is True and data["isAccepted"] is False
    share = 3 / 7  # of the 21 pairs of 7 volumes, 12 lie on different nodes that there are
    assert data["odds"] == {"ties": "uniform", "stuck": share, "low": share, "high": share, "exact": "3/7", "runs": 0}
    assert {change["action"] for change in data["changes"]} == {"create", "refused"}
    assert data["findings"][0].keys() == {"lint", "severity", "object", "where", "what", "why", "mend", "isNew"}
    assert data["troubles"][0].keys() == {"kind", "objects", "where", "what", "taken", "isContradiction"}
    assert data["repairs"][0]["when"] == "before"
    assert data["before"] == {"PersistentVolumeClaim/default/data-db-1": "has lost its volume"}
    assert data["counts"]["Node"] == 3 and set(data["lints"]) == set(LINTS)


def test_json_is_the_same_each_time(checked: Checks) -> None:
    assert check_result(checked(three_nodes(), [new_set()])) == check_result(checked(three_nodes(), [new_set()]))


# --- JUnit ------------------------------------------------------------------------------------------------------------


def parsed(found: Preflight) -> ElementTree.Element:
    return ElementTree.fromstring(junit(found))


def case(root: ElementTree.Element, name: str) -> ElementTree.Element:
    found = root.find(f"./testsuite/testcase[@name='{name}']")
    assert found is not None
    return found


def test_junit_has_the_shape_that_readers_expect(stuck: Preflight) -> None:
    assert junit(stuck).startswith('<?xml version="1.0" encoding="utf-8"?>\n<testsuites ')
    root = parsed(stuck)
    assert root.tag == "testsuites"
    suite, = root
    assert suite.tag == "testsuite"
    tags = [child.tag for child in suite]
    assert (tags[0], tags[-1]) == ("properties", "system-out") and set(tags[1:-1]) == {"testcase"}
    cases = suite.findall("testcase")
    assert {each.get("name") for each in cases} == {"verdict", "apply", *LINTS}
    assert len({(each.get("classname"), each.get("name")) for each in cases}) == len(cases)
    for each in (root, suite):
        assert each.get("tests") == str(len(cases))
        assert each.get("failures") == str(len(suite.findall("./testcase/failure")))
        assert each.get("errors") == "0" and each.get("time") == "0"
    for each in cases:
        assert each.get("time") and (each.get("classname") or "").startswith("bindsim.check.")
        assert {child.tag for child in each} <= {"failure", "skipped", "system-out"} and len(each) <= 1
    for failure in suite.findall("./testcase/failure"):
        assert failure.get("message") and failure.get("type") and failure.text


def test_junit_fails_where_the_verdict_is_not_accepted(checked: Checks, explored: Explores) -> None:
    explored(FakeExploration([FakeEnd("converged", Fraction(1, 2)), FakeEnd("stuck", Fraction(1, 2), WEB)]))
    failure = case(parsed(checked(three_nodes(), [new_set()])), "verdict").find("failure")
    assert failure is not None and failure.get("type") == "may get stuck" and "1/2" in (failure.text or "")
    accepted = case(parsed(checked(three_nodes(), [new_set()], max_odds=0.6)), "verdict")
    assert accepted.find("failure") is None and "may get stuck" in (accepted.findtext("system-out") or "")


def test_junit_fails_where_a_lint_finds_an_error_in_what_is_applied(checked: Checks) -> None:
    root = parsed(checked(three_nodes(), [new_set(replicas=4)]))
    assert case(root, "more-replicas-than-nodes").find("failure") is not None
    warned = case(parsed(checked(three_nodes("Immediate"), [new_set()])), "immediate-with-anti-affinity")
    assert warned.find("failure") is None and "warning: new.yaml:" in (warned.findtext("system-out") or "")
    old = parsed(checked([*three_nodes(), volume("stray", "node9")]))
    assert case(old, "volume-on-missing-node").find("failure") is None


def test_junit_fails_where_the_server_refuses(stuck: Preflight) -> None:
    failure = case(parsed(stuck), "apply").find("failure")
    assert failure is not None and "must be greater than or equal to 0" in (failure.text or "")


def test_junit_can_hold_what_xml_cannot(checked: Checks) -> None:
    odd = new_set()
    odd["metadata"]["annotations"] = {"a": "\x07"}
    odd["spec"]["template"]["spec"]["priorityClassName"] = "<b>&\u0007"
    try:
        found = checked(three_nodes(), [odd])
    except ManifestError:
        return  # the reader refuses it
    assert parsed(found).tag == "testsuites"


def test_a_scenario_is_reported_too() -> None:
    found = check(DEVIL, jobs=1)
    assert flat(found).startswith(f"Checked: {DEVIL} Verdict: may get stuck")
    assert "19/28 = 67.86 % exactly" in text(found)
    assert "Cheapest repair once it is stuck" in text(found) and found.repair is not None
