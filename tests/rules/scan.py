"""Where the sources and the tests name rules."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
WIDEST = 20  # a longer range says what a module is about, not where a rule is applied

OTHER = re.compile(r"(?<![\w-])(?:(?:VB/|SC/)ND|CP|S|M|TL)-\d+\b")  # choices and examples
GAP = r"[\s#]*"
RULE = re.compile(
    r"\b(?P<document>VB|WL|SC)-(?P<first>\d+)"
    rf"(?:{GAP}(?:\.\.|–){GAP}(?:(?P=document)-)?(?P<last>\d+)|{GAP}\bto\b{GAP}(?P=document)-(?P<end>\d+))?"
)


@dataclass(frozen=True)
class Place:
    """A line of a file, and for a test its name."""

    path: str
    line: int
    name: str = ""

    def __str__(self) -> str:
        return f"{self.path}::{self.name}" if self.name else f"{self.path}:{self.line}"


def rules_in(text: str) -> Iterator[tuple[str, int]]:
    """The rules that a text names, with the position of each: "WL-88..91" and "VB-28 to VB-44" name all between."""
    for match in RULE.finditer(text):
        document, first = match["document"], int(match["first"])
        last = int(match["last"] or match["end"] or first)
        if last - first >= WIDEST:
            continue
        for number in range(first, max(first, last) + 1):
            yield f"{document}-{number}", match.start()


def scan_code(folder: Path = ROOT / "simulator", root: Path = ROOT) -> dict[str, list[Place]]:
    """The places of the sources by the rule that they name."""
    found: dict[str, list[Place]] = {}
    for path in sorted(folder.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        others = ((match[0], match.start()) for match in OTHER.finditer(text))
        for rule, position in (*rules_in(text), *others):
            place = Place(path.relative_to(root).as_posix(), text.count("\n", 0, position) + 1)
            places = found.setdefault(rule, [])
            if place not in places:
                places.append(place)
    return found


def is_rule_marker(node: ast.AST) -> bool:
    """Whether an expression is a call of pytest.mark.rule."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "rule"):
        return False
    return isinstance(node.func.value, ast.Attribute) and node.func.value.attr == "mark"


def markers(tree: ast.AST, name: str = "") -> Iterator[tuple[str, ast.Call]]:
    """Every marker of a module with the name of the test that carries it; markers outside of tests have no name."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Call) and is_rule_marker(node):
            yield name, node
        inner = name
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inner = f"{name}.{node.name}".lstrip(".")
        yield from markers(node, inner)


def scan_tests(folder: Path = ROOT / "tests", root: Path = ROOT) -> tuple[dict[str, list[Place]], list[str]]:
    """The tests by the rule whose marker they carry, and what is wrong with markers."""
    found: dict[str, list[Place]] = {}
    problems = []
    for path in sorted(folder.rglob("*.py")):
        relative = path.relative_to(root).as_posix()
        if not path.name.startswith("test_"):
            continue
        for name, call in markers(ast.parse(path.read_text(encoding="utf-8"))):
            place = Place(relative, call.lineno, name)
            for argument in call.args:
                if not (isinstance(argument, ast.Constant) and isinstance(argument.value, str)):
                    problems.append(f"{relative}:{call.lineno}: a marker must name its rules literally")
                    continue
                places = found.setdefault(argument.value, [])
                if place not in places:
                    places.append(place)
    return found, problems


def scan_points(folder: Path = ROOT / "simulator") -> str:
    """All sources as one text, in which the names of choice points are looked for."""
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.py")))
