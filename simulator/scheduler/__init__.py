"""kube-scheduler: the queue, the scheduling cycle, the binding cycle, and the default plug-ins."""

from __future__ import annotations

from simulator.scheduler.component import Scheduler

__all__ = ["Scheduler"]
