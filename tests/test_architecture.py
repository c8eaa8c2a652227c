"""The imports of the package go one way: what is further up this list never imports what is further down."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import simulator

LAYERS = [
    {"errors", "units", "version"},
    {"api"},
    {"flows", "latency", "choices", "eventlog", "workqueue", "manifests", "binding"},
    {"cluster"},
    {"controllers", "scheduler"},
    {"assembly", "drivers"},
    {"explanation"},
    {"scenario"},
    {"simulation"},
    {"exploration", "sampling"},
    {"diagnosis"},
    {"preflight"},
    {"report", "testing"},
    {"comparison", "expectations"},
    {"cli"},
]
ROOT = Path(simulator.__file__).parent
ENTRANCES = {ROOT / "__init__.py", ROOT / "__main__.py"}
MODULES = sorted(path for path in ROOT.rglob("*.py") if path not in ENTRANCES)


def part_of(module: str) -> str:
    return module.split(".")[1] if module.count(".") else ""


def rank(part: str) -> int:
    for position, layer in enumerate(LAYERS):
        if part in layer:
            return position
    raise AssertionError(f"simulator.{part} stands in no layer: add it to LAYERS")


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("simulator."):
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names if alias.name.startswith("simulator."))
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_nothing_from_a_later_layer(path: Path) -> None:
    relative = path.relative_to(ROOT)
    own = relative.parts[0].removesuffix(".py")
    later = {module for module in imports(path) if part_of(module) and rank(part_of(module)) > rank(own)}
    assert not later


def relative_to_package(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_only_the_chooser_draws() -> None:
    """No random numbers, clocks, uuids or hashes of objects outside the one door; commands may see the time."""
    for path in MODULES:
        text = path.read_text()
        tree = ast.parse(text)
        names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        banned = {"random", "secrets", "uuid"} | ({"time"} if ROOT / "cli" not in path.parents else set())
        assert not banned & names, path
        called = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
        calls = {function.id for function in called if isinstance(function, ast.Name)}
        # one memory goes by identity: it only ever looks up, and what it finds is what it would find out again
        assert "id" not in calls or relative_to_package(path) == "exploration/identity.py", path
        assert "hash" not in calls or "__hash__" in text, path
