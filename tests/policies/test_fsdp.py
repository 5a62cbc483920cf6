"""FSDP: every expert comes to every GPU, is used and freed, and each gets its shard of the sums."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from janus_sim.engine.gpu import Gpu, Shelf
from janus_sim.engine.place import Place
from janus_sim.engine.time import Steps
from janus_sim.errors import InputError
from janus_sim.policies import Fsdp
from janus_sim.record import Record
from janus_sim.step.account import record_of
from janus_sim.testing import CLAUSES, Rehearsal, rehearse_on
from janus_sim.testing.gradients import every_gradient_home_once, no_expert_runs_before_it_came
from janus_sim.topology import Topology
from janus_sim.workload.layer import RoutedLayer
from tests.policies.small import LAYERS, MODEL, run, weights


def sent(one: Rehearsal, kind: str, phase: str, column: str = "far_bytes") -> list[int]:
    """Bytes that each machine sent in all collectives of a kind."""
    spans = one.spans
    mine = (spans["kind"] == kind) & (spans["phase"] == phase) & (spans["lane"] != "dense")
    return [int(spans[column][mine & (spans["machine"] == machine)].sum()) for machine in range(2)]


@pytest.mark.parametrize(
    ("policy", "experts"),
    [(Fsdp(), 3), (Fsdp(prefetch=0), 3), (Fsdp(hierarchical=True), 2)],
    ids=["flat", "no prefetch", "hierarchical"],
)
def test_bytes_are_those_counted_by_hand(policy: Fsdp, experts: int) -> None:
    """Two machines of two GPUs, an expert each, S = 4 W in all, two layers.

    Two flat rings carry S/2 each, 3/4 of it over every edge, and each leaves every machine once: 3/4 S = 3 W.
    In two levels each GPU sends its own shard to its like on the other machine, once: 2 W a machine.
    """
    one = run(policy, "2 x 2")
    far = LAYERS * experts * weights(one)
    assert sent(one, "all_gather", "forward") == sent(one, "all_gather", "backward") == [far, far]
    assert sent(one, "reduce_scatter", "backward") == [far, far]
    received = LAYERS * 2 * 3 * weights(one)  # each of a machine's two GPUs gets the three experts it lacks
    assert sent(one, "all_gather", "forward", "bytes") == [received, received]


def test_machines_with_unequally_many_of_a_group_gather_along_flat_rings() -> None:
    """Machines of one and of three GPUs, and groups of three out of machines of two: no two levels there."""
    uneven = {"base": "two_gpus", "machines": None,
              "mixed": [{"machines": 1}, {"machines": 1, "machine": {"gpus": {"count": 3}}}]}  # fmt: skip
    three = {"base": "two_gpus", "machines": 3, "machine": {"gpus": {"count": 2}}}
    about = {"model": MODEL, "precision": "fp16", "micro_batch_size": 4, "seq_length": 64}
    for topology, ep in ((uneven, 4), (three, 3)):
        parts = {"parallel": {"ep": ep}, **about}
        flat, levels = (
            rehearse_on(Topology.load(topology), parts, Fsdp(hierarchical=knob)) for knob in (False, True)
        )
        assert {len(group) for group in levels.workload.layout.groups} == {ep}
        assert levels.end == flat.end
        for clause in CLAUSES:
            clause(levels)


def test_a_shard_that_does_not_divide_is_rounded_up() -> None:
    """As the chunks of FSDP: seven bytes among two GPUs of a machine are four of each."""
    one = run(Fsdp(hierarchical=True), "2 x 2")
    gpu = Gpu(one.cluster, 2, Place(0), Shelf(put_off=False))
    assert Fsdp(hierarchical=True)._levels(gpu, one.visits("forward")[0], 7) == [((0, 2), 4), ((2, 3), 7)]


def test_recomputation_and_backward_share_one_gather() -> None:
    once, twice = run(Fsdp(), "2 x 2"), run(Fsdp(), "2 x 2", recompute="full")
    for one in (once, twice):
        assert (one.spans["kind"] == "all_gather").sum() == 4 * LAYERS * 2
        assert (one.spans["kind"] == "reduce_scatter").sum() == 4 * LAYERS


def test_prefetch_gathers_the_next_layer_beside_what_comes_before_it() -> None:
    """With none ahead, a gather joins when its layer is reached, and the step is longer."""
    ends = []
    for prefetch in (0, 1):
        one = run(Fsdp(prefetch=prefetch), "2 x 2")
        spans = one.spans
        gather = (spans["kind"] == "all_gather") & (spans["rank"] == 0) & (spans["layer"] == 3)
        gate = (spans["label"] == "attention and gate") & (spans["rank"] == 0) & (spans["layer"] == 3)
        assert (spans["joined"][gather].min() < spans["end"][gate].min()) == bool(prefetch)
        ends.append(one.end)
    assert ends[1] < ends[0]


def test_the_ledger_holds_whole_layers() -> None:
    one = run(Fsdp(prefetch=2), "2 x 2")
    layer = 4 * weights(one)
    assert Fsdp(prefetch=2).memory(0, (0, 1), one.visits("forward"), 2) == {
        "gathered experts": 3 * layer, "flat buffers": 2 * layer, "whole gradients": layer,
    }  # fmt: skip


def test_a_layer_of_the_run_says_fsdp() -> None:
    one = run(Fsdp(), "2 x 2")
    record: Record = record_of(one.cluster, one.workload, one.records, one.steps)
    assert [layer["paradigm"] for layer in record.layers] == ["fsdp"] * LAYERS


def test_a_prefetch_below_none_is_refused() -> None:
    with pytest.raises(InputError, match="prefetch"):
        Fsdp(prefetch=-1)


@dataclass(frozen=True)
class Hasty(Fsdp):
    """Reduces before it has computed, or half of it, or twice."""

    how: str = "early"

    def _reduce(self, gpu: Gpu, layer: RoutedLayer) -> Steps:
        size = layer.experts * layer.gradient_bytes
        if self.how == "early":
            yield gpu.reduce_scatter(layer.group, size, "gradients among 4", stream="gradients")
        for expert in range(layer.experts):
            if rows := layer.rows(gpu.rank, expert):
                yield gpu.compute(layer.weight_gradient(expert, rows), f"expert {expert} weights")
        for _ in range({"early": 0, "half": 1, "twice": 2}[self.how]):
            part = size // 2 if self.how == "half" else size
            yield gpu.reduce_scatter(layer.group, part, "gradients among 4", stream="gradients")


@pytest.mark.parametrize(
    ("how", "complaint"),
    [("early", "before all were there"), ("half", "moved"), ("twice", "scattered 2 times")],
)
def test_the_contract_catches_a_reduction_that_goes_astray(how: str, complaint: str) -> None:
    every_gradient_home_once(run(Fsdp(), "2 x 2"))
    with pytest.raises(AssertionError, match=complaint):
        every_gradient_home_once(run(Hasty(how=how), "2 x 2"))


@dataclass(frozen=True)
class Greedy(Fsdp):
    """Gathers half of what it uses."""

    def _levels(self, gpu: Gpu, layer: RoutedLayer, size: int) -> list[tuple[tuple[int, ...], int]]:  # type: ignore[override]
        return [(layer.group, size // 2)]


def test_the_contract_catches_what_was_not_gathered() -> None:
    with pytest.raises(AssertionError, match="before it came"):
        no_expert_runs_before_it_came(run(Greedy(), "2 x 2"))
    assert np.isfinite(run(Greedy(), "2 x 2").end)
