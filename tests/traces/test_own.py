"""The project's own traces: what they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from janus_sim.traces import Trace, counts_of, open_trace

OWN = Path(__file__).parents[2] / "workloads" / "traces"
NAMES = ("small_moe_balanced", "small_moe_unbalanced")


def own(name: str) -> Trace:
    return open_trace(OWN / f"{name}.parquet")


@pytest.mark.parametrize("name", NAMES)
def test_they_begin_with_the_first_step_and_each_token_chose_two_experts(name: str) -> None:
    trace = own(name)
    assert (trace.info.steps[0], trace.ranks, trace.experts) == (0, 16, (16,) * 6)
    assert (trace.info.top_k, trace.info.tokens, trace.info.rows) == (2, 128, (256, 256))
    for block in trace.blocks():
        assert block.choices is not None
        assert (counts_of(block.choices, 16) == block.counts).all()
        assert (block.choices[..., 0] != block.choices[..., 1]).all()


def late(name: str) -> float:
    """Return max / mean over the experts, of the later half of the steps, meaned."""
    trace = own(name)
    rows = [trace.at(step, 0, moe).sum(axis=0) for step in range(50, trace.steps) for moe in range(6)]
    return float(np.mean([one.max() / one.mean() for one in rows]))


def test_a_balancing_loss_evens_out_the_load() -> None:
    assert late("small_moe_balanced") < late("small_moe_unbalanced") / 1.5
