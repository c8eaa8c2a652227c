"""bindsim: a discrete-event simulation of Kubernetes' stateful scheduling.

    >>> from simulator import load_scenario, run
    >>> scenario = load_scenario(["scenarios/devil"])  # doctest: +SKIP
    >>> run(scenario, seed=1).verdict  # doctest: +SKIP
    'stuck'

The names below are public; all the rest may change.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from simulator.version import __version__

if TYPE_CHECKING:
    from simulator.comparison import compare
    from simulator.errors import ManifestError, ScenarioError, SimulatorError
    from simulator.eventlog import Log, read_log
    from simulator.expectations import verify
    from simulator.scenario.load import Scenario, load_scenario
    from simulator.simulation import Run, run

_HOMES = {
    "Log": "simulator.eventlog",
    "ManifestError": "simulator.errors",
    "Run": "simulator.simulation",
    "Scenario": "simulator.scenario.load",
    "ScenarioError": "simulator.errors",
    "SimulatorError": "simulator.errors",
    "compare": "simulator.comparison",
    "load_scenario": "simulator.scenario.load",
    "read_log": "simulator.eventlog",
    "run": "simulator.simulation",
    "verify": "simulator.expectations",
}

__all__ = [
    "Log",
    "ManifestError",
    "Run",
    "Scenario",
    "ScenarioError",
    "SimulatorError",
    "__version__",
    "compare",
    "load_scenario",
    "read_log",
    "run",
    "verify",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that ``bindsim --help`` need not load the simulation."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'simulator' has no attribute {name!r}")
    return getattr(import_module(home), name)
