"""A step on all ranks: its order, its dense gradients, its end, and what goes on to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from janus_sim.engine.gpu import Gpu
from janus_sim.engine.time import Steps
from janus_sim.errors import PolicyError
from janus_sim.policies import DataCentric, ExpertCentric
from janus_sim.schedules import Pass, Schedule
from janus_sim.step.past import Past
from janus_sim.testing import Rehearsal, rehearse, rehearse_on
from janus_sim.topology import Topology
from janus_sim.workload.layer import MoELayer
from janus_sim.workload.workload import Workload


def labels(one: Rehearsal, rank: int = 0) -> list[str]:
    """What runs on the compute stream of a rank, in order."""
    spans = one.spans
    return [str(label) for label in spans["label"][(spans["rank"] == rank) & (spans["kind"] == "compute")]]


def test_a_step_in_order() -> None:
    one = rehearse(ExpertCentric(), "two GPUs")
    assert labels(one) == [
        "embedding", "attention and FFN", "attention and gate", "expert 0", "combine rows", "loss head",
        "loss head backward", "loss head weights", "combine rows backward",
        "expert 0 input", "expert 0 weights", "attention backward", "attention weights",
        "attention backward", "attention weights", "embedding backward", "optimizer",
    ]  # fmt: skip


def test_recomputation_runs_each_block_again_before_its_backward() -> None:
    one = rehearse(ExpertCentric(), "two GPUs", changes={"recompute": "full"})
    again = one.spans["phase"] == "again"
    mine = again & (one.spans["rank"] == 0) & (one.spans["kind"] == "compute")
    assert list(one.spans["label"][mine]) == [
        "attention and gate",
        "expert 0",
        "combine rows",
        "attention and FFN",
    ]
    plain = rehearse(ExpertCentric(), "two GPUs")
    assert len(labels(one)) == len(labels(plain)) + 4


@dataclass(frozen=True)
class Listens(ExpertCentric):
    """Remembers the visits that it was told of, and those that it made."""

    told: Any = None
    made: Any = None

    def beside(self, gpu: Gpu, visits: Any) -> Steps:
        if gpu.rank == 0:
            self.told.extend((visit.micro_batch, visit.layer, visit.phase) for visit in visits)
            assert not any(hasattr(visit, "useful") for visit in visits)
        yield from ()

    def _note(self, gpu: Gpu, layer: MoELayer) -> None:
        if gpu.rank == 0:
            assert (gpu.place.layer, gpu.place.phase) == (layer.layer, layer.phase)
            self.made.append((layer.micro_batch, layer.layer, layer.phase))

    def forward(self, gpu: Gpu, layer: Any) -> Steps:
        self._note(gpu, layer)
        yield from super().forward(gpu, layer)

    def backward(self, gpu: Gpu, layer: Any) -> Steps:
        self._note(gpu, layer)
        yield from super().backward(gpu, layer)


@pytest.mark.parametrize("recompute", ["none", "full"])
def test_visits_are_told_in_the_order_in_which_they_come(recompute: str) -> None:
    policy = Listens(told=[], made=[])
    rehearse(policy, "2 x 8, balanced", changes={"micro_batches": 2, "recompute": recompute})
    assert policy.told == policy.made
    assert len(policy.told) == 2 * 2 * (3 if recompute == "full" else 2)


# --- dense gradients ---


@pytest.mark.parametrize("bucket", ["1 KB", "300 KB", "25 MB"])
def test_dense_gradients_are_complete_whatever_the_bucket(bucket: str) -> None:
    """A ring of two machines of one GPU: each sends 2 S (2 - 1) / 2 = S bytes."""
    one = rehearse(ExpertCentric(), "two GPUs", changes={"bucket": bucket})
    kernels = one.workload.kernels
    parameters = sum(kernels.dense_parameters(layer) for layer in range(2))
    parameters += kernels.embedding_parameters + kernels.head_parameters
    dense = one.spans["label"] == "dense gradients"
    assert one.spans["bytes"][dense & (one.spans["rank"] == 0)].sum() == 2 * parameters
    assert dense.sum() == {"1 KB": 3, "300 KB": 3, "25 MB": 1}[bucket] * 2


def test_several_micro_batches_are_reduced_once() -> None:
    once = rehearse(ExpertCentric(), "2 x 8, balanced").cluster.fabric.carried["dense"]
    thrice = rehearse(ExpertCentric(), "2 x 8, balanced", changes={"micro_batches": 3})
    assert (thrice.cluster.fabric.carried["dense"] == once).all()
    spans = thrice.spans
    assert set(spans["micro_batch"][spans["lane"] == "dense"]) == {2}


@dataclass(frozen=True)
class AllAtOnce(Schedule):
    """All micro-batches forward beside each other, then all backward."""

    def order(self, stage: int, stages: int, micro_batches: int) -> list[tuple[Pass, ...]]:
        return [tuple(Pass(kind, batch) for batch in range(micro_batches)) for kind in ("F", "B")]  # type: ignore[arg-type]


def test_a_bucket_waits_for_the_passes_beside_it() -> None:
    one = rehearse(
        DataCentric(), "2 x 8, balanced", AllAtOnce(), changes={"micro_batches": 2, "bucket": "1 KB"}
    )
    spans = one.spans
    for rank in range(16):
        mine = spans["rank"] == rank
        for layer in range(4):
            here = mine & (spans["layer"] == layer)
            dense = spans["joined"][here & (spans["label"] == "dense gradients")]
            weights = spans["end"][here & (spans["label"] == "attention weights")]
            assert len(dense) == 1
            assert len(weights) == 2
            assert dense.min() >= weights.max()


def test_one_gpu_reduces_nothing() -> None:
    topology = Topology.load({"base": "two_gpus", "machines": 1})
    about = {"model": {"layers": 2, "moe_layers": "all", "experts_per_rank": 4, "top_k": 2, "hidden": 64,
                       "ffn": {"width": 128}, "heads": 4, "vocabulary": 100},
             "precision": "fp16", "micro_batch_size": 2, "seq_length": 16}  # fmt: skip
    for policy in (ExpertCentric(), DataCentric()):
        one = rehearse_on(topology, about, policy)
        assert one.cluster.fabric.carried["dense"].sum() == one.cluster.fabric.carried["expert"].sum() == 0


# --- the end of a step ---


def test_no_rank_updates_before_the_gradients_of_all_are_home() -> None:
    one = rehearse(DataCentric(), "2 x 8, skewed, two experts a rank")
    spans = one.spans
    optimizer = spans["label"] == "optimizer"
    assert len(set(spans["begin"][optimizer])) == 1
    assert spans["begin"][optimizer].min() >= spans["end"][~optimizer].max()


def test_a_step_begins_when_the_one_before_is_over() -> None:
    one = rehearse(DataCentric(), "2 x 8, balanced", steps=3)
    first, second, third = one.records
    assert (first.begin, first.end, second.end) == (0.0, second.begin, third.begin)
    assert third.seconds == pytest.approx(first.seconds)
    for record in one.records:
        mine = one.spans["step"] == record.step
        assert one.spans["begin"][mine].min() == record.begin
        assert one.spans["end"][mine].max() == record.end == one.spans["end"][record.last_span]


def test_jitter_is_seeded_and_delays_a_rank() -> None:
    machine = {"base": "two_gpus", "machine": {"host": {"jitter": "1 ms"}}}
    about = rehearse(ExpertCentric(), "two GPUs").workload.spec
    ends = [
        rehearse_on(Topology.load(machine), about.model_dump(exclude_unset=True), ExpertCentric()).spans
        for _ in range(2)
    ]
    delays = ends[0]["end"][ends[0]["label"] == "start jitter"]
    assert len(set(delays)) == 2
    assert (delays < 1e-3).all()
    assert np.array_equal(ends[0]["end"], ends[1]["end"])


# --- plans and the past ---


def test_the_past_is_one_array_of_which_each_step_sees_its_beginning() -> None:
    about = {"model": {"layers": 2, "moe_layers": "all", "experts_per_rank": 1, "top_k": 1, "hidden": 64,
                       "ffn": {"width": 128}, "heads": 4, "vocabulary": 100},
             "precision": "fp16", "micro_batch_size": 2, "seq_length": 16, "micro_batches": 2,
             "routing": {"kind": "zipf", "drift": 0.5}, "parallel": {"ep": 2}}  # fmt: skip
    workload = Workload.load(about, world=4)
    past = Past(workload, 5)
    for step in range(5):
        seen = past.of(step, 1, 0)
        assert seen.tolist() == workload.past(step, 1, 0).tolist()
        assert not seen.flags.writeable
        assert np.shares_memory(seen, past.of(4, 1, 0)) or not step
    both = past.of(3, 1, 0) + past.of(3, 1, 1)
    assert past.of_all(3, 1).tolist() == both.tolist()
    assert past.of_all(0, 1).shape == (0, 2, 2)


def test_a_schedule_that_forgets_a_pass_is_refused() -> None:
    class Half(Schedule):
        def order(self, stage: int, stages: int, micro_batches: int) -> list[tuple[Pass, ...]]:
            return [(Pass("F", 0),)]

    with pytest.raises(PolicyError, match="micro-batch 0 as F;"):
        rehearse(ExpertCentric(), "two GPUs", Half())
