"""No rule without a state, no implemented rule without its place in the sources and a test."""

from __future__ import annotations

import ast

import pytest

from tests.rules.audit import Audit, Row, audit, misnumbered
from tests.rules.report import markdown, text
from tests.rules.scan import ROOT, Place, markers, rules_in
from tests.rules.table import DOCUMENTS, Entry, read_rules


@pytest.fixture(scope="module")
def found() -> Audit:
    return audit()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_rule_has_a_state_with_what_the_state_needs(found: Audit, document: str) -> None:
    assert not [f"{row.entry.id}: {problem}" for row in found.rows_of(document) for problem in row.problems]


def test_the_table_has_no_other_problems(found: Audit) -> None:
    of_rows = {f"{row.entry.id}: {problem}" for row in found.rows for problem in row.problems}
    assert not [problem for problem in found.problems if problem not in of_rows]


def test_the_page_of_the_rules_is_current(found: Audit) -> None:
    """Renew it with: python -m tests.rules --markdown."""
    assert (ROOT / "docs" / "rules.md").read_text(encoding="utf-8") == markdown(found)


def test_both_forms_show_every_rule(found: Audit) -> None:
    page, terminal = markdown(found), text(found)
    for entry in read_rules():
        assert f"| {entry.id} |" in page and entry.id in terminal


@pytest.mark.parametrize(("words", "rules"), [
    ("# VB-29", ["VB-29"]),
    ("SC-4, SC-6 and WL-1", ["SC-4", "SC-6", "WL-1"]),
    ("WL-88..91", ["WL-88", "WL-89", "WL-90", "WL-91"]),
    ("WL-88..WL-90", ["WL-88", "WL-89", "WL-90"]),
    ("VB-28 to VB-30", ["VB-28", "VB-29", "VB-30"]),
    ("VB-28 to\n    # VB-30", ["VB-28", "VB-29", "VB-30"]),
    ("WL-154: up to 10 s; SC-6 to 8 nodes", ["WL-154", "SC-6"]),
    ("WL-17 to WL-99", []),
    ("VBC-001, ASC-1", []),
])
def test_rules_are_found_in_ranges_and_lists(words: str, rules: list[str]) -> None:
    assert [rule for rule, _ in rules_in(words)] == rules


def test_markers_are_found_at_tests_classes_and_parameters() -> None:
    module = ast.parse(
        "import pytest\n"
        "pytestmark = pytest.mark.rule('VB-1')\n"
        "@pytest.mark.rule('VB-2', 'VB-3')\n"
        "def test_a(): ...\n"
        "class TestB:\n"
        "    @pytest.mark.parametrize('x', [pytest.param(1, marks=pytest.mark.rule('VB-4'))])\n"
        "    def test_c(self, x): ...\n"
    )
    found = {name: [ast.literal_eval(argument) for argument in call.args] for name, call in markers(module)}
    assert found == {"": ["VB-1"], "test_a": ["VB-2", "VB-3"], "TestB.test_c": ["VB-4"]}


def test_a_rule_needs_what_its_state_claims() -> None:
    place = (Place("simulator/a.py", 1),)

    def problems(
        state: str | None, reason: str = "", code: tuple[Place, ...] = place, tests: tuple[Place, ...] = place
    ) -> int:
        return len(Row(Entry("VB", "VB-1", "title", state, reason), code, tests).problems)

    assert problems("implemented") == 0
    assert problems("implemented", code=()) == 1
    assert problems("implemented", code=(), tests=()) == 2
    assert problems("out of scope") == problems("deviation") == 1
    assert problems("deviation", reason="says why", code=(), tests=()) == 0
    assert problems(None) == problems("maybe") == 1


def test_a_missing_rule_a_double_rule_and_an_unknown_one_are_told() -> None:
    rules = [entry for entry in read_rules() if entry.id != "SC-7"]
    wrong = [*rules, Entry("SC", "SC-8", "again"), Entry("WL", "WL-999", "unknown")]
    assert misnumbered(rules) == ["SC-7: is not in SC.yaml"]
    assert len(misnumbered(wrong)) == 3
