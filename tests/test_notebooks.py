from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "notebooks"
spec = importlib.util.spec_from_file_location("make", FOLDER / "make.py")
assert spec is not None and spec.loader is not None
make = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_still_prints_what_it_shows(path: Path) -> None:
    """Renew it with: python notebooks/make.py."""
    notebook = json.loads(path.read_text())
    assert make.outputs(notebook) == make.stored(notebook)
