"""Runs the code cells of the notebooks in this folder and stores what they print: ``python notebooks/make.py``."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def outputs(notebook: dict[str, Any]) -> list[str]:
    """What each code cell prints, run in order in one namespace, from the folder of the checkout."""
    space: dict[str, Any] = {}
    printed = []
    with contextlib.chdir(HERE.parent):
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                stream = io.StringIO()
                with contextlib.redirect_stdout(stream):
                    exec("".join(cell["source"]), space)
                printed.append(stream.getvalue())
    return printed


def stored(notebook: dict[str, Any]) -> list[str]:
    """What the code cells printed when they were stored."""
    return ["".join(text for output in cell["outputs"] for text in output["text"])
            for cell in notebook["cells"] if cell["cell_type"] == "code"]


def main() -> None:
    for path in sorted(HERE.glob("*.ipynb")):
        notebook = json.loads(path.read_text())
        cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
        for number, (cell, text) in enumerate(zip(cells, outputs(notebook), strict=True), 1):
            cell["execution_count"] = number
            cell["outputs"] = [{"name": "stdout", "output_type": "stream", "text": text.splitlines(keepends=True)}]
        path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
