"""What deciding after the gate costs where there is nothing to gain, and gains where there is.

The setting was chosen before it was run: the layers of Mixtral 8x7B on one machine of eight H100, an expert
and 4,096 tokens a GPU.
"""

from __future__ import annotations

from typing import Any

import pytest

from janus_sim import Result, Scenario, simulate

LAYERS = 2
OVER = ["replicate", "least_loaded"]


def step(policy: str, **routing: Any) -> Result:
    workload = {"base": "mixtral_8x7b", "model": {"layers": LAYERS}, "routing": routing}
    return simulate(Scenario(topology={"base": "h100", "machines": 1}, workload=workload, policy=policy))


def seconds(result: Result) -> float:
    return float(result.summary()["step_time_s"].iloc[0])


@pytest.mark.parametrize("policy", OVER)
def test_with_balanced_routing_it_costs_counting_and_planning_and_no_more(policy: str) -> None:
    plain, result = step("expert_centric", kind="balanced"), step(policy, kind="balanced")
    mine = result.spans[result.spans["rank"] == 0]
    spent = mine[mine["label"].isin(["counts", "plan"])]
    over = float((spent["end"] - spent["joined"]).sum())
    assert 0 < over < LAYERS * 200e-6
    assert seconds(result) - seconds(plain) == pytest.approx(over, rel=1e-6)


@pytest.mark.parametrize("policy", OVER)
def test_with_a_rank_of_three_times_the_mean_it_is_faster(policy: str) -> None:
    skew = {"kind": "dirichlet", "max_over_mean": 3.0, "seed": 1}
    plain, result = step("expert_centric", **skew), step(policy, **skew)
    before, after = (one.summary().iloc[0] for one in (plain, result))
    assert before["rank_imbalance"] == before["arriving_imbalance"] == pytest.approx(3.0, abs=0.01)
    assert after["rank_imbalance"] == before["rank_imbalance"]
    assert after["arriving_imbalance"] <= 1.05
    assert after["step_time_s"] < before["step_time_s"]
    assert after["peak_gpu_memory_bytes"] < before["peak_gpu_memory_bytes"]
