"""The few exceptions of the simulator.

Outcomes that a cluster knows (a refused write, a pod that does not fit) are values, never exceptions.
"""

from __future__ import annotations


class SimulatorError(Exception):
    """Base of everything that a caller may want to catch: bad input or a broken promise of the engine."""


class ManifestError(SimulatorError):
    """A manifest cannot be used: what is wrong, where (file:line) and how to mend it."""


class ScenarioError(SimulatorError):
    """A scenario file cannot be used: what is wrong, where (file:line) and how to mend it."""


class ReplayDiverged(SimulatorError):
    """A replayed run met a choice that differs from the recorded one; names the first difference."""


class InvariantViolated(SimulatorError):
    """The simulator contradicts itself: a defect of the simulator, never of the input."""
