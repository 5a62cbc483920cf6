"""Tokens or experts: the bytes of one machine, counted by hand for a layer of DeepSeek-V3 on 8 x 8 GPUs."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from janus_sim import Scenario, simulate
from janus_sim.results.figures_crossing import crossings
from janus_sim.results.summary import figures_of

GPUS, TOKENS, ROW = 8, 4096, 2 * 7168  # of a machine; of a GPU; bytes of a row in bf16
EXPERT = 2 * 3 * 7168 * 2048  # bytes

#: 8 experts a token, 7/8 of them elsewhere; 4 machines a token, 7/8 of them others; fp8 with a scale for 128.
BY_HAND = {
    "flat": GPUS * TOKENS * 8 * 7 / 8 * 2 * ROW,
    "deepep_bf16": GPUS * TOKENS * 4 * 7 / 8 * 2 * ROW,
    "deepep": GPUS * TOKENS * 4 * 7 / 8 * (7168 + 4 * 56 + ROW),
    "janus": 256 * 7 / 8 * EXPERT,
}
POLICIES: dict[str, dict[str, Any]] = {
    "flat": {"type": "expert_centric"},
    "deepep_bf16": {"type": "node_limited", "fp8": False},
    "deepep": {"type": "node_limited"},
    "janus": {"type": "data_centric"},
}


@cache
def forward(policy: str) -> float:
    """Bytes that leave a machine forward; what is pulled does not hang on routing, so one machine serves."""
    workload: dict[str, Any] = {"base": "deepseek_v3_layer", "micro_batch_size": TOKENS // 1024}
    if policy == "janus":
        workload["routing"] = {"machines": None}
    alike = {"alike": "machines"} if policy == "janus" else {}
    run = Scenario(topology="h100_8x8", workload=workload, policy=POLICIES[policy], **alike)  # type: ignore[arg-type]
    return float(figures_of(simulate(run))["forward_machine_bytes_per_layer"])


@pytest.mark.parametrize(
    ("policy", "gigabytes"), [("flat", 6.6), ("deepep_bf16", 3.3), ("deepep", 2.5), ("janus", 19.7)]
)
def test_bytes_are_those_by_hand(policy: str, gigabytes: float) -> None:
    assert forward(policy) == pytest.approx(BY_HAND[policy], rel=1e-3)  # the exchange of counts comes on top
    assert forward(policy) == pytest.approx(gigabytes * 1e9, rel=1e-2)


def test_the_lines_cross_near_12_and_25_thousand_tokens() -> None:
    """Rows grow with the tokens, what is pulled does not."""
    tokens = np.array([1024.0, 65536.0])
    pulled = np.full(2, forward("janus"))
    for policy, wanted in (("flat", 12_288), ("deepep_bf16", 24_576)):
        ((at, _),) = crossings(tokens, forward(policy) * tokens / TOKENS, pulled)
        assert at == pytest.approx(wanted, rel=1e-2)


def test_lines_that_do_not_cross_have_no_crossing() -> None:
    x = np.array([1.0, 2.0, 4.0])
    assert crossings(x, x, 2 * x) == []
    assert [round(at, 9) for at, _ in crossings(x, np.array([1.0, 4.0, 1.0]), np.full(3, 2.0))] == [
        round(2**0.5, 9), round(2**1.5, 9),
    ]  # fmt: skip
