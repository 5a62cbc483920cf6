"""Means over seeds, and intervals of what differs under the same seed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from janus_sim.results.seeds import interval, means


def table(slow: list[float], fast: list[float]) -> pd.DataFrame:
    rows = [
        {"scenario": f"{name} seed={seed}", "policy": name, "seed": seed, "step_time_s": seconds,
         "speedup": base / seconds}
        for seed, (base, other) in enumerate(zip(slow, fast, strict=True))
        for name, seconds in (("slow", base), ("fast", other))
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_an_interval_is_that_of_a_t_test() -> None:
    sample = np.random.default_rng(0).normal(size=10)
    expected = stats.ttest_1samp(sample, 0.0).confidence_interval(0.95)
    assert interval(sample)[1:] == pytest.approx((expected.low, expected.high))


def test_seeds_that_move_both_alike_leave_no_doubt() -> None:
    slow = [10.0, 20.0, 40.0]
    fast = means(table(slow, [seconds - 2.0 for seconds in slow]), "slow").iloc[1]
    assert (fast["difference_low_s"], fast["difference_s"], fast["difference_high_s"]) == (-2.0, -2.0, -2.0)
    assert fast["speedup_high"] > fast["speedup"] > fast["speedup_low"]


def test_one_seed_has_no_interval() -> None:
    row = means(table([4.0], [2.0]), "slow").iloc[1]
    assert row["speedup"] == 2.0
    assert np.isnan(row["speedup_low"])


def test_a_seed_that_failed_is_left_out() -> None:
    rows = table([4.0, 6.0], [2.0, 3.0]).assign(error=[None, None, None, "deadlock"])
    found = means(rows, "slow")
    assert found["seeds"].tolist() == [2, 1]
    assert "error" not in found
