"""`alike: machines`: one machine gives what all of them give, or is refused with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest

from janus_sim import Scenario, simulate
from janus_sim.errors import InputError
from janus_sim.files import merge
from janus_sim.policies import POLICIES as ALL
from janus_sim.policies import DataCentric, ExpertCentric, Janus, Modifier, Pipelined, Policy
from janus_sim.results.result import Result
from janus_sim.results.tables import text
from janus_sim.simulate import BINS, run
from janus_sim.step.alike import folded
from janus_sim.topology import Topology
from janus_sim.workload.layer import MoELayer, Plan
from janus_sim.workload.workload import Workload

MODEL = {
    "layers": 4, "moe_layers": "every 2", "experts_per_rank": 1, "top_k": 2,
    "hidden": 256, "ffn": {"width": 1024}, "heads": 4, "vocabulary": 1000,
}  # fmt: skip
SMALL = {"model": MODEL, "precision": "fp16", "micro_batch_size": 12, "seq_length": 64}
TOLERANCE = 1e-12

POLICIES: dict[str, Policy] = {
    "expert_centric": ExpertCentric(),
    "data_centric": DataCentric(),
    "not hierarchical": DataCentric(hierarchical=False),
    "no prefetch": DataCentric(prefetch=False),
    "no split": DataCentric(pcie_split=False),
    "three credits": DataCentric(credits=3),
    "cache on the GPU": DataCentric(cache="gpu"),
    "sums on the host": DataCentric(reduce="host"),
    "backward from the host": DataCentric(backward_from="host"),
    "fetched again": DataCentric(backward_from="refetch"),
    "janus by traffic": Janus(threshold=0.05),
    "janus, one layer": Janus(chosen=(1,)),
    "pairwise": ExpertCentric(path="pairwise"),
    "pipelined": Pipelined(inner=ExpertCentric()),
    "pipelined janus": Pipelined(inner=Janus(chosen=(0,)), chunks=3),
}
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "2 x 8": ({"base": "a100", "machines": 2}, {}),
    "3 x 8, two micro-batches": ({"base": "a100", "machines": 3}, {"micro_batches": 2}),
    "4 x 8, a capacity": ({"base": "a100", "machines": 4}, {"capacity_factor": 1.5}),
}


def same(whole: dict[str, Any], one: dict[str, Any]) -> None:
    """Compare all columns.

    Seconds that are a difference of others are exact to a part of the step, and the fullest bin of a link,
    one of 512, to a part of the run.
    """
    assert one.pop("images") > whole.pop("images") == 1
    for name, value in whole.items():
        if isinstance(value, float):
            near = TOLERANCE * (BINS if name.endswith("_peak") else 1)
            least = TOLERANCE * whole["step_time_s"] if name.endswith("_s") else 0.0
            assert one[name] == pytest.approx(value, rel=near, abs=least, nan_ok=True), name
        else:
            assert one[name] == value, name


def both(about: dict[str, Any], more: dict[str, Any], policy: Policy) -> None:
    topology = Topology.load(about)
    workload = Workload.load(merge(SMALL, more), world=topology.world)
    alike = folded(topology, workload, policy, workload.steps)
    whole, one = (Result(run(where, workload, policy)) for where in (topology, alike))
    same(*(result.summary().iloc[0].to_dict() for result in (whole, one)))
    count = len(one.record.links)
    for place, link in enumerate(whole.record.links):  # of every machine, to the byte
        image = one.record.links[place % count]
        assert (link.expert_bytes, link.dense_bytes) == (image.expert_bytes, image.dense_bytes), link.name
        assert link.busy == pytest.approx(image.busy, rel=1e-9)


@pytest.mark.parametrize("name", ALL)
def test_every_policy_that_ships_is_exact_or_refuses(name: str) -> None:
    """Whoever adds a policy need not know of this: it is run both ways, or has said why not."""
    kind = ALL[name]
    policy = kind(inner=ExpertCentric()) if issubclass(kind, Modifier) else kind()
    try:
        both({"base": "a100", "machines": 3}, {"model": {"experts_per_rank": 2}, "micro_batches": 2}, policy)
    except InputError as error:
        assert "machines are not alike" in str(error)  # noqa: PT017


@pytest.mark.parametrize("policy", POLICIES.values(), ids=[*POLICIES])
@pytest.mark.parametrize("case", CASES)
def test_one_machine_gives_what_all_give(case: str, policy: Policy) -> None:
    both(*CASES[case], policy)


@pytest.mark.parametrize("policy", [ExpertCentric(), DataCentric(), Janus(by="simulated")])
@pytest.mark.parametrize(
    ("about", "more"),
    [
        ({"base": "a100", "machines": 4}, {"parallel": {"ep": 16}}),
        ({"base": "a100", "machines": 2}, {"parallel": {"ep": 4}}),
        ({"base": "h100", "machines": 3, "fabric": {"type": "rails"}}, {"model": {"experts_per_rank": 2}}),
        ({"base": "two_gpus", "machine": {"pcie": {"lane": {"duplex": "half"}}}}, {"steps": 2}),
        ({"base": "a100", "machines": 2, "communication": {"overlap_loss": 0.3}}, {"recompute": "full"}),
        (
            {"base": "a100", "machines": 2, "machine": {"nics": {"count": 1}}},
            {"micro_batches": 3, "capacity_factor": 0.5},
        ),
    ],
    ids=[
        "two groups",
        "groups inside machines",
        "rails, two experts a rank",
        "half duplex",
        "overlap, again",
        "one NIC, three micro-batches",
    ],
)
def test_also_with_groups_rails_and_half_duplex(
    about: dict[str, Any], more: dict[str, Any], policy: Policy
) -> None:
    both(about, more, policy)


@pytest.mark.parametrize(
    ("about", "more", "policy", "reason"),
    [
        ({}, {"routing": {"kind": "zipf", "exponent": 1.0}}, "expert_centric", "the gates of layer 1"),
        ({}, {"parallel": {"ep": 12}}, "expert_centric", "groups of 12 ranks"),
        ({}, {}, {"type": "data_centric", "order": "plain"}, "order: plain"),
        ({}, {}, {"type": "pipelined", "inner": {"data_centric": {"order": "plain"}}}, "order: plain"),
        ({"overrides": [{"gpus": [9], "speed": 0.5}]}, {}, "janus", "GPU 9 is not what GPU 1 is"),
        ({"machine": {"host": {"jitter": "1 us"}}}, {}, "janus", "jitter"),
    ],
)
def test_what_is_not_alike_is_refused(
    about: dict[str, Any], more: dict[str, Any], policy: Any, reason: str
) -> None:
    asked = Scenario(
        topology={"base": "a100", "machines": 3, **about},
        workload=merge(SMALL, more),
        policy=policy,
        alike="machines",
    )
    with pytest.raises(InputError, match=f"alike.* machines are not alike: .*{reason}.*; leave `alike` out"):
        simulate(asked)


@dataclass(frozen=True)
class Moves(ExpertCentric):
    """Swaps two experts."""

    def plan(self, layers: Any, plan: Plan) -> Plan:
        return plan.swapped(0, 0, 1)


def test_a_policy_that_moves_experts_is_refused() -> None:
    topology = Topology.load("a100_2x8")
    workload = Workload.load(SMALL, world=16)
    with pytest.raises(InputError, match="the policy moves experts"):
        run(folded(topology, workload, Moves(), 1), workload, Moves())


@dataclass(frozen=True)
class Lopsided(ExpertCentric):
    """Sums something among the ranks of the first machine."""

    def gradients(self, gpu: Any, layer: MoELayer, replicas: tuple[int, ...]) -> Any:
        if gpu.rank < 8:
            yield gpu.all_reduce(tuple(range(9)), 1000, "lopsided")


def test_a_collective_of_some_machines_is_refused() -> None:
    topology = Topology.load("a100_2x8")
    workload = Workload.load(SMALL, world=16)
    with pytest.raises(InputError, match="a collective has other members on some machines"):
        run(folded(topology, workload, Lopsided(), 1), workload, Lopsided())


def test_a_scenario_asks_for_it_and_its_result_says_so() -> None:
    about = {"topology": "a100_4x8", "workload": SMALL, "policy": "expert_centric"}
    whole, one = simulate(Scenario(**about)), simulate(Scenario(**about, alike="machines"))
    assert (whole.record.facts["images"], one.record.facts["images"]) == (1, 4)
    assert len(whole.record.spans["rank"]) == 4 * len(one.record.spans["rank"])
    assert set(np.unique(one.record.spans["rank"]).tolist()) == set(range(8))
    assert one.layers.equals(whole.layers)
    assert Scenario(**about).key() != Scenario(**about, alike="machines").key()
    shown = text(pd.concat([whole.summary(), one.summary()]))
    assert list(shown["alike"]) == ["-", "1 machine for 4"]


def step_time(topology: Topology, more: dict[str, Any], policy: Policy, scale: float = 1.0) -> float:
    """The step with every link as many times as fast."""
    capacity = topology.capacity * scale
    vars(topology)["capacity"] = capacity
    workload = Workload.load(merge(SMALL, more), world=topology.world)
    return run(topology, workload, policy).steps[0].seconds


def test_where_one_rounding_moves_the_step_folding_moves_it_no_further() -> None:
    """Eight direct pulls at a time over half-duplex lanes: no course of events is the only right one.

    Links faster by 1e-15, a rounding, move the whole simulation by far more than 1e-12 of the step.
    """
    about = {"base": "a100", "machines": 3, "machine": {"nics": {"count": 8}}}
    about = merge(about, {"machine": {"pcie": {"lane": {"duplex": "half"}}}})
    more = {"micro_batches": 3, "capacity_factor": 0.5, "model": {"experts_per_rank": 2, "top_k": 3}}
    policy = DataCentric(hierarchical=False, prefetch=False, credits=8, cache="gpu", reduce="host")
    topology = Topology.load(about)
    workload = Workload.load(merge(SMALL, more), world=topology.world)
    whole = step_time(topology, more, policy)
    one = step_time(folded(topology, workload, policy, 1), more, policy)
    moved = [step_time(Topology.load(about), more, policy, 1.0 + part) for part in (1e-15, -1e-15, 1e-14)]
    assert abs(one - whole) <= 10 * max(abs(other - whole) for other in moved)
    assert abs(one - whole) <= 1e-6 * whole
