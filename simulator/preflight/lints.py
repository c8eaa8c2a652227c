"""All lints; to add one, write a function with ``@lint`` in one of these modules."""

from __future__ import annotations

from simulator.preflight import lint_binding, lint_claims, lint_pods, lint_sets, lint_volumes
from simulator.preflight.registry import LINTS, run_lints

MODULES = (lint_binding, lint_claims, lint_volumes, lint_pods, lint_sets)
"""Where lints are written, in the order in which their findings of one severity are told."""

__all__ = ["LINTS", "MODULES", "run_lints"]
