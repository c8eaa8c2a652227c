"""The table put together, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass

from tests.rules.scan import Place, scan_code, scan_points, scan_tests
from tests.rules.table import DOCUMENTS, IMPLEMENTED, STATES, Entry, read_others, read_rules

ENOUGH = 0.95  # the share of the rules that must be implemented


@dataclass(frozen=True)
class Row:
    """A rule with its places."""

    entry: Entry
    code: tuple[Place, ...]
    tests: tuple[Place, ...]

    @property
    def problems(self) -> list[str]:
        """What is missing for the state that the rule claims to be in."""
        if self.entry.state not in STATES:
            return [f"has no state ({', '.join(STATES)})"]
        if self.entry.state != IMPLEMENTED:
            return [] if self.entry.reason else [f"is {self.entry.state} without a reason"]
        missing = []
        if not self.code:
            missing.append("no place in simulator/ names it")
        if not self.tests:
            missing.append("no test is marked with it")
        if self.entry.reason:
            missing.append("it is implemented and yet gives a reason")
        return missing


@dataclass(frozen=True)
class Audit:
    """All rules, the choices and examples beside them, and all problems."""

    rows: tuple[Row, ...]
    others: tuple[Row, ...]
    problems: tuple[str, ...]

    def rows_of(self, document: str) -> list[Row]:
        """The rules of one document."""
        return [row for row in self.rows if row.entry.document == document]


def count(rows: list[Row], state: str) -> int:
    """How many rules are in a state."""
    return sum(1 for row in rows if row.entry.state == state)


def misnumbered(rows: list[Entry]) -> list[str]:
    """Ids that a document lacks, has twice, or does not know."""
    problems = []
    for document, (_, size) in DOCUMENTS.items():
        ids = [entry.id for entry in rows if entry.document == document]
        expected = [f"{document}-{number}" for number in range(1, size + 1)]
        problems += [f"{rule}: is not in {document}.yaml" for rule in expected if rule not in ids]
        problems += [f"{rule}: {document} has no such rule" for rule in sorted(set(ids) - set(expected))]
        twice = [rule for rule in sorted(set(ids)) if ids.count(rule) > 1]
        problems += [f"{rule}: stands more than once in {document}.yaml" for rule in twice]
    return problems


def other_problems(row: Row, sources: str) -> list[str]:
    """A choice or an example needs a test, or a point at which the chooser is asked."""
    entry = row.entry
    if entry.state != IMPLEMENTED:
        return row.problems
    unknown = [f'no choice point "{point}" in simulator/' for point in entry.points if f'"{point}"' not in sources]
    return unknown + ([] if row.tests or entry.points else ["neither a test nor a choice point"])


def audit() -> Audit:
    """Read the data files, the sources and the tests, and compare."""
    rules, others = read_rules(), read_others()
    code, (tests, problems) = scan_code(), scan_tests()
    problems += misnumbered(rules)

    def row(entry: Entry) -> Row:
        return Row(entry, tuple(code.get(entry.id, ())), tuple(tests.get(entry.id, ())))

    rows, other_rows = [row(entry) for entry in rules], [row(entry) for entry in others]
    sources = scan_points()
    problems += [f"{row.entry.id}: {problem}" for row in rows for problem in row.problems]
    problems += [f"{row.entry.id}: {problem}" for row in other_rows for problem in other_problems(row, sources)]
    known = {entry.id for entry in (*rules, *others)}
    for rule, places in tests.items():
        if rule not in known:
            problems += [f"{rule}: no such rule, but {place} is marked with it" for place in places]
    for rule, places in code.items():
        if rule not in known and rule.startswith(tuple(f"{document}-" for document in DOCUMENTS)):
            problems += [f"{rule}: no such rule, but {place} names it" for place in places]
    share = count(rows, IMPLEMENTED) / len(rows)
    if share < ENOUGH:
        problems.append(f"only {share:.1%} of the rules are implemented, {ENOUGH:.0%} are needed")
    return Audit(tuple(rows), tuple(other_rows), tuple(problems))
