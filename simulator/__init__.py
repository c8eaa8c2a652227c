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
    from simulator.diagnosis.data import Diagnosis
    from simulator.diagnosis.explain import explain
    from simulator.errors import ManifestError, ScenarioError, SimulatorError
    from simulator.eventlog import Log, read_log
    from simulator.expectations import verify
    from simulator.exploration.explore import Exploration, explore
    from simulator.preflight.check import check
    from simulator.preflight.result import Preflight
    from simulator.sampling.odds import Odds, odds
    from simulator.scenario.load import Scenario, load_scenario
    from simulator.simulation import Run, run

_HOMES = {
    "Diagnosis": "simulator.diagnosis.data",
    "Exploration": "simulator.exploration.explore",
    "Log": "simulator.eventlog",
    "ManifestError": "simulator.errors",
    "Odds": "simulator.sampling.odds",
    "Preflight": "simulator.preflight.result",
    "Run": "simulator.simulation",
    "Scenario": "simulator.scenario.load",
    "ScenarioError": "simulator.errors",
    "SimulatorError": "simulator.errors",
    "check": "simulator.preflight.check",
    "compare": "simulator.comparison",
    "explain": "simulator.diagnosis.explain",
    "explore": "simulator.exploration.explore",
    "load_scenario": "simulator.scenario.load",
    "odds": "simulator.sampling.odds",
    "read_log": "simulator.eventlog",
    "run": "simulator.simulation",
    "verify": "simulator.expectations",
}

__all__ = [
    "Diagnosis",
    "Exploration",
    "Log",
    "ManifestError",
    "Odds",
    "Preflight",
    "Run",
    "Scenario",
    "ScenarioError",
    "SimulatorError",
    "__version__",
    "check",
    "compare",
    "explain",
    "explore",
    "load_scenario",
    "odds",
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
