"""Simulated speedups held against a baseline: `janus-sim check`, for continuous integration."""

from __future__ import annotations

from janus_sim.regression.baseline import Baseline
from janus_sim.regression.compare import Finding, compare
from janus_sim.regression.rerun import Checked, TimeUpError, between, rerun

__all__ = ["Baseline", "Checked", "Finding", "TimeUpError", "between", "compare", "rerun"]
