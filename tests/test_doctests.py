from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import simulator

ROOT = Path(simulator.__file__).parent
MODULES = sorted(
    ".".join(("simulator", *path.relative_to(ROOT).with_suffix("").parts))
    for path in ROOT.rglob("*.py")
    if ">>>" in path.read_text() and path.stem != "__init__"
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_docstrings_give_what_they_say(name: str) -> None:
    outcome = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert outcome.attempted and not outcome.failed
