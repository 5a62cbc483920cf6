"""`tolerance`: a run whose network is close instead of exact, and says so."""

from __future__ import annotations

from typing import Any

import pytest

from janus_sim import Scenario, simulate
from janus_sim.results.summary import figures_of
from janus_sim.results.tables import summary


def test_a_run_with_a_tolerance_says_so_and_is_near_the_exact_one() -> None:
    about: dict[str, Any] = {
        "topology": "a100_2x8",
        "workload": {"base": "moe_gpt", "routing": {"kind": "zipf", "exponent": 0.5}},
        "policy": {"type": "expert_centric"},
    }
    exact, near = simulate(Scenario(**about)), simulate(Scenario(**about, tolerance=2e-3))
    assert "tolerance" not in figures_of(exact)
    assert figures_of(near)["tolerance"] == 2e-3
    assert figures_of(near)["step_time_s"] == pytest.approx(figures_of(exact)["step_time_s"], rel=0.01)
    assert "tolerance" in summary([near]).columns
