"""The compiled belt and the generator text of `DataCentric` give the same spans: each is the other's twin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from janus_sim.errors import DeadlockError
from janus_sim.files import merge
from janus_sim.policies import DataCentric, ExpertCentric, Janus, Pipelined, Policy
from janus_sim.policies.on_belt import OnBelt, on_belt
from janus_sim.record import Record
from janus_sim.results.result import Result
from janus_sim.simulate import run
from janus_sim.topology import Topology
from janus_sim.workload.workload import Workload

SKEWED = {"kind": "dirichlet", "max_over_mean": 2.0, "seed": 3}
FEW = {"routing": {"kind": "zipf", "exponent": 1.5}, "micro_batch_size": 1, "seq_length": 16}
SMALL: dict[str, Any] = {
    "model": {
        "layers": 4, "moe_layers": "every 2", "experts_per_rank": 1, "top_k": 2,
        "hidden": 256, "ffn": {"width": 1024}, "heads": 4, "vocabulary": 1000,
    },
    "precision": "fp16", "micro_batch_size": 12, "seq_length": 64,
}  # fmt: skip
CASES: dict[str, tuple[Policy, dict[str, Any]]] = {
    "all strategies": (DataCentric(), {}),
    "balanced": (DataCentric(), {"routing": "balanced"}),
    "not hierarchical": (DataCentric(hierarchical=False), {}),
    "no split": (DataCentric(pcie_split=False), {}),
    "no prefetch": (DataCentric(prefetch=False), {}),
    "one credit, one in flight": (DataCentric(credits=1, in_flight=1), {}),
    "cache on the GPU": (DataCentric(cache="gpu"), {}),
    "no prefetch, cache on the GPU": (DataCentric(cache="gpu", prefetch=False), {}),
    "sums on the host": (DataCentric(reduce="host"), {}),
    "backward from the host": (DataCentric(backward_from="host"), {}),
    "fetched again": (DataCentric(backward_from="refetch"), {"recompute": "full", "micro_batches": 2}),
    "recomputed": (DataCentric(prefetch=False), {"micro_batches": 2, "recompute": "full"}),
    "four groups": (DataCentric(), {"parallel": {"ep": 4}}),
    "two groups": (DataCentric(), {"parallel": {"ep": 8}}),
    "two experts a rank": (DataCentric(), {"model": {"experts_per_rank": 2}}),
    "two experts a rank, cache on the GPU": (DataCentric(cache="gpu"), {"model": {"experts_per_rank": 2}}),
    "two steps": (DataCentric(), {"steps": 2}),
    "few rows": (DataCentric(), FEW),
    "few rows, no prefetch": (DataCentric(prefetch=False), FEW),
    "janus, one layer": (Janus(chosen=(1,)), {}),
    "janus by traffic": (Janus(threshold=0.05), {"micro_batches": 2}),
}


def both(policy: Policy, more: dict[str, Any], topology: Topology) -> tuple[Record, Record]:
    """The records of the generators, and of the belt."""
    about = merge(SMALL, {"routing": SKEWED, **more})
    if isinstance(more.get("routing"), dict):
        about["routing"] = more["routing"]
    first, second = (
        run(topology, Workload.load(about, world=topology.world), policy, belt=belt) for belt in (False, True)
    )
    return first, second


def told(record: Record) -> list[tuple[tuple[Any, ...], tuple[Any, ...]]]:
    """Each span beside the one that caused it, without their numbers."""
    columns = [column.tolist() for name, column in record.spans.items() if name != "why"]
    rows = [*zip(*columns, strict=True), ()]  # the last is the beginning of the step
    return sorted((rows[span], rows[why]) for span, why in enumerate(record.spans["why"].tolist()))


def same(one: Record, other: Record) -> None:
    """Compare every span with its cause and every link, bit for bit; spans of one end have no order."""
    assert told(one) == told(other)
    assert [step.end for step in one.steps] == [step.end for step in other.steps]
    for first, second in zip(one.links, other.links, strict=True):
        assert (first.expert_bytes, first.dense_bytes) == (second.expert_bytes, second.dense_bytes)
        assert first.busy == second.busy
        assert first.series.tolist() == pytest.approx(second.series.tolist(), rel=1e-9, abs=1e-3)
    assert one.layers == other.layers
    assert one.memory == other.memory


@pytest.fixture(scope="module")
def machines() -> Topology:
    return Topology.load("a100_2x8")


@pytest.mark.parametrize("case", CASES)
def test_the_belt_gives_the_spans_of_the_generators(case: str, machines: Topology) -> None:
    same(*both(*CASES[case], machines))


@pytest.mark.parametrize(
    "about",
    [
        {"base": "two_gpus", "machine": {"gpus": {"count": 2}}},
        {"base": "h100", "machines": 2, "fabric": {"type": "rails"}},
        {"base": "a100", "machines": 2, "overrides": [{"gpus": [3], "speed": 0.5, "at": "1 ms"}]},
        {"base": "a100", "machines": 2, "overrides": [{"links": "m0.nic0.*", "scale": 0.1, "at": "1 ms"}]},
        {"base": "a100", "machines": 2, "machine": {"host": {"jitter": "100 us"}}},
        {"base": "a100", "machines": 2, "communication": {"overlap_loss": 0.3}},
    ],
    ids=["two by two", "rails", "a GPU slows down", "a NIC slows down", "jitter", "overlap"],
)
def test_also_on_other_clusters(about: dict[str, Any]) -> None:
    same(
        *both(
            DataCentric(),
            {"model": {"top_k": 1}, "routing": {"kind": "zipf", "exponent": 0.5}},
            Topology.load(about),
        )
    )


def test_a_summary_knows_no_difference(machines: Topology) -> None:
    one, other = (Result(record).summary() for record in both(DataCentric(), {}, machines))
    assert one.equals(other)


def test_what_hangs_hangs_on_the_belt_too(machines: Topology) -> None:
    @dataclass(frozen=True)
    class Stuck(OnBelt):
        """Never lets its experts go."""

        def _begin(self, gpu: Any, layer: Any, run: Any, me: int) -> Any:
            return gpu.belt.watch(int(run.ends[me]), f"the experts of {gpu.place}")

    workload = Workload.load(SMALL, world=16)
    from janus_sim.engine.cluster import Cluster
    from janus_sim.schedules.sequential import Sequential
    from janus_sim.step import Training

    training = Training(Cluster(machines, belt=True), workload, Stuck(), Sequential())
    with pytest.raises(DeadlockError, match="waits for the experts of step 0 micro-batch 0 layer 1 forward"):
        training.run(1)


def test_only_what_is_known_to_be_the_same_goes_on_the_belt() -> None:
    assert isinstance(on_belt(DataCentric(in_flight=2)), OnBelt)
    assert on_belt(Janus(data=ExpertCentric())) is None
    assert on_belt(Pipelined(inner=DataCentric())) is None

    class Mine(DataCentric):
        """Somebody's own."""

    assert on_belt(Mine()) is None
