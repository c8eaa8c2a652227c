"""Where reports get the objects of a moment from: `simulator.explanation.state`, which the explanations share."""

from __future__ import annotations

from simulator.explanation.state import EPOCH_NS, State, changes, replay, state_at

__all__ = ["EPOCH_NS", "State", "changes", "replay", "state_at"]
