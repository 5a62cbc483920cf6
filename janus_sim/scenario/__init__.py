"""What is to be run: an experiment (a file with a grid) and its scenarios, as frozen values."""

from __future__ import annotations

from janus_sim.scenario.experiment import Experiment
from janus_sim.scenario.plug import policy_from, schedule_from
from janus_sim.scenario.scenario import Scenario

__all__ = ["Experiment", "Scenario", "policy_from", "schedule_from"]
