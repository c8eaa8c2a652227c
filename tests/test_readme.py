from __future__ import annotations

import re
from pathlib import Path

import pytest

from simulator.cli import main

README = Path(__file__).parents[1] / "README.md"
LEFT_OUT = "...\n"
"""The last line of an output that is shown in part."""
COMMAND = re.compile(r"```sh(?: run)?\n(?P<command>.*?)```\n\n```\n(?P<output>.*?)```\n", re.DOTALL)


def test_the_readme_shows_what_its_commands_print(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Renew it with: pytest tests/test_readme.py --update-golden."""
    monkeypatch.chdir(README.parent)
    text = README.read_text(encoding="utf-8")
    shown = list(COMMAND.finditer(text))
    assert len(shown) >= 4
    for found in shown:
        (line,) = [part for part in found["command"].splitlines() if part.startswith(".venv/bin/bindsim")]
        main([*line.split()[1:], *(["--jobs", "1"] if "compare" in line else [])])
        printed = capsys.readouterr().out
        if found["output"].endswith(LEFT_OUT):
            lines = found["output"].count("\n") - LEFT_OUT.count("\n")
            printed = "".join(printed.splitlines(keepends=True)[:lines]) + LEFT_OUT
        if request.config.getoption("--update-golden"):
            README.write_text(README.read_text(encoding="utf-8").replace(found["output"], printed), encoding="utf-8")
        else:
            assert printed == found["output"]
