"""``bindsim test``: scenarios against what they expect."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from simulator.cli import CONVERGED, FAILED
from simulator.errors import ScenarioError


def main(arguments: Namespace) -> int:
    """Run every scenario found and print one line each; a failed one with what differs."""
    from simulator.expectations import verify
    from simulator.scenario.load import load_scenario

    failed = 0
    paths = [path for source in arguments.sources for path in _scenarios(Path(source))]
    for path in paths:
        scenario = load_scenario([str(path)])
        checks = verify(scenario)
        problems = [one for one in checks if one.problem is not None]
        failed += bool(problems)
        print(f"{'FAILED' if problems else 'ok':6}  {path.parent.name}: {scenario.spec.title}")
        for one in checks if arguments.verbose else problems:
            print(f"        {one.what}: {one.problem or 'yes'}")
    print(f"{len(paths) - failed} passed, {failed} failed")
    return FAILED if failed else CONVERGED


def _scenarios(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    found = sorted(source.rglob("scenario*.yaml"))
    if not found:
        raise ScenarioError(f"{source}: no scenario.yaml in it. Name a scenario file, or a folder that holds some.")
    return found
