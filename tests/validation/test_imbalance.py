"""The shipped experiment of W0 to W7, one step of each: loads by hand, and who suffers from them."""

from __future__ import annotations

import pandas as pd
import pytest

from janus_sim import sweep

KINDS = [f"W{number}" for number in range(8)]


@pytest.fixture(scope="module")
def layers(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Return one row a kind: the means of its layers, and its step time."""
    out = tmp_path_factory.mktemp("imbalance") / "out"
    table = sweep("megatron_imbalance", out=out, changes=["policies=expert_centric", "steps=1"])
    layers = pd.read_csv(out / "layers.csv").groupby("scenario").mean(numeric_only=True)
    layers.index = [name.rpartition("=")[2] for name in layers.index]
    times = table.set_axis(table["scenario"].str.rpartition("=")[2])["step_time_s"]
    return layers.assign(step_time_s=times).loc[KINDS]


def chance(rows: float) -> float:
    """Three standard deviations of a count, over the count: all ranks draw alike, and the largest is told."""
    return 3 / rows**0.5


def test_loads_are_those_of_the_rules(layers: pd.DataFrame) -> None:
    """8 of 32 experts are hot: each gets 3/4 / 8 + 1/4 / 32 of the 4096 rows of a rank, 3.25 of the mean."""
    found = layers["expert_imbalance"]
    assert found["W0"] == 1.0
    for kind in ("W4", "W7"):  # even but for chance; the burst of W7 comes in its fourth step
        assert 1.0 < found[kind] < 1.0 + chance(128)
    for kind in ("W1", "W2", "W3", "W6"):
        assert 3.25 < found[kind] < 3.25 * (1.0 + chance(416))
    assert 2.0 < found["W5"] < 2.0 * (1.0 + chance(256))


def test_uneven_gpus_cost_time_and_uneven_experts_alone_do_not(layers: pd.DataFrame) -> None:
    """W3 has the heat of W2, but each GPU has its share: it costs little of what W2 does."""
    time = layers["step_time_s"]
    assert time["W4"] < time["W0"] < time["W7"] < time["W5"] < time["W2"]
    assert time["W3"] - time["W0"] < 0.2 * (time["W2"] - time["W0"])
