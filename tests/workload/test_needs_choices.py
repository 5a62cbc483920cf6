"""A policy that needs the experts of each token says so where a trace has counts alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from janus_sim.errors import InputError, Mistake
from janus_sim.traces import Block, Recorded, TraceInfo, counts_of, open_trace, write_trace
from janus_sim.workload import Workload
from janus_sim.workload.imbalance import ImbalanceRouting
from janus_sim.workload.layer import RoutedLayer

MACHINES = tuple(rank // 8 for rank in range(16))


class ByToken:
    """A policy's plan that needs each token's experts, and says so where there are counts alone."""

    def plan(self, layer: RoutedLayer) -> np.ndarray:
        tokens = layer.pairs(MACHINES)
        if layer.counted != "exact":
            found = f"{layer.counted} from counts alone"
            raise InputError(Mistake("routing", f"tokens are {found}; record the choices of tokens"))
        return tokens


@pytest.fixture
def recorded(tmp_path: Path) -> dict[str, Recorded]:
    """Return one routing of 16 ranks, 128 tokens and 16 experts as two traces: with choices, and without."""
    chosen = ImbalanceRouting(name="W1", ranks=16, experts=(16,), tokens=128, top_k=2).choices_at(0, 0, 0)
    found = {}
    for name, choices in (("choices", chosen), ("counts", None)):
        path = tmp_path / f"{name}.parquet"
        write_trace(path, TraceInfo("tiny", 2), [Block(0, 0, 0, counts_of(chosen, 16), choices)])
        found[name] = open_trace(path)
    return found


def layer_of(trace: Recorded) -> RoutedLayer:
    about = {"base": "smartmoe_gpt", "model": {"layers": 1, "experts": 16}, "seq_length": 128}
    workload = replace(Workload.load(about | {"micro_batch_size": 1}, world=16), trace=trace)
    return workload.routed(0, 0, 0, "forward", 0, workload.plan)


def test_with_choices_tokens_are_counted_one_by_one(recorded: dict[str, Recorded]) -> None:
    chosen = recorded["choices"].choices_at(0, 0, 0)
    assert chosen is not None
    machines = np.stack([(chosen // 8 == machine).any(axis=2).sum(axis=1) for machine in (0, 1)], axis=1)
    assert ByToken().plan(layer_of(recorded["choices"])).tolist() == machines.tolist()


def test_with_counts_alone_it_is_told_and_the_expected_is_near(recorded: dict[str, Recorded]) -> None:
    layer = layer_of(recorded["counts"])
    with pytest.raises(InputError, match="expected from counts alone; record the choices of tokens"):
        ByToken().plan(layer)
    exact = ByToken().plan(layer_of(recorded["choices"]))
    assert layer.pairs(MACHINES).sum() == pytest.approx(exact.sum(), rel=0.1)
