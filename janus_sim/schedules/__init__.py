"""Schedules: in which order a stage runs its passes."""

from __future__ import annotations

from janus_sim.schedules.base import Pass, Schedule
from janus_sim.schedules.sequential import Sequential

#: Every schedule by the name that files use.
SCHEDULES: dict[str, type[Schedule]] = {"sequential": Sequential}

__all__ = ["SCHEDULES", "Pass", "Schedule", "Sequential"]
