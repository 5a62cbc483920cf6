"""One training step: it reads policy and schedule, and owns dense gradients, plans and the past."""

from __future__ import annotations

from janus_sim.step.one import Step
from janus_sim.step.training import Training

__all__ = ["Step", "Training"]
