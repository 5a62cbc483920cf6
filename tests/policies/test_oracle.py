"""Who may see the future: what it is shown, what it gains, and that it is called a bound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pytest

from janus_sim import Experiment, simulate, sweep
from janus_sim.engine.gpu import Gpu
from janus_sim.engine.time import Steps
from janus_sim.errors import InputError
from janus_sim.policies import (
    DataCentric,
    Deciding,
    ExpertCentric,
    Janus,
    LeastLoaded,
    Modifier,
    Pipelined,
    Policy,
    Replicate,
)
from janus_sim.results.choosing import choose
from janus_sim.results.wording import finding
from janus_sim.scenario.plug import policy_from
from janus_sim.workload.layer import MoELayer, Plan, RoutedLayer
from tests.policies.four import step
from tests.policies.small import fetches, run

SKEW = {"routing": {"kind": "zipf", "exponent": 1.2, "seed": 1}}


@dataclass(frozen=True)
class Looks(Deciding, Modifier):
    """Writes down what it is shown."""

    seen: list[object] = field(default_factory=list)

    def plan(self, layers: Sequence[MoELayer], plan: Plan) -> Plan:
        self.seen.append(None if layers[0].past is None else len(layers[0].past))
        return plan

    def beside(self, gpu: Gpu, visits: Sequence[MoELayer]) -> Steps:
        if gpu.rank == 0:
            self.seen.append([(visit.phase, isinstance(visit, RoutedLayer)) for visit in visits])
        yield from ()


@pytest.mark.parametrize("oracle", [False, True])
def test_visits_have_counts_and_the_past_holds_the_step_to_come(oracle: bool) -> None:
    policy = Looks(inner=ExpertCentric(), oracle=oracle)
    run(policy, "two_gpus", steps=2)
    visits = [("forward", oracle)] * 2 + [("backward", oracle)] * 2
    assert policy.seen == [0 + oracle, visits, 1 + oracle, visits]


def test_trials_run_on_the_routing_to_come() -> None:
    """Janus tries the same sets, and the best of them on this very routing wins."""
    better = min(run(policy, **SKEW).end for policy in (ExpertCentric(), DataCentric()))
    assert run(Janus(by="simulated", oracle=True), **SKEW).end <= better


def test_by_traffic_counts_the_fullest_rank() -> None:
    """Four GPUs in two machines, an expert each: R is 1/2 as expected, and a rank has 2.5 times the mean."""
    layer = run(ExpertCentric(), "2 x 2", **SKEW).visits("forward")[0]
    crowd, ratio = layer.imbalance("rank"), layer.traffic_ratio(2)
    assert crowd > 1.2
    threshold = ratio * (1 + crowd) / 2
    assert Janus(threshold=threshold, oracle=True).pulls(layer, 2)
    assert not Janus(threshold=threshold).pulls(layer, 2)


@pytest.mark.parametrize(
    ("policy", "bound"),
    [
        (Replicate(slots_a_rank=2), Replicate(slots_a_rank=2, oracle=True)),
        (LeastLoaded(piece=1, threshold=1.0), LeastLoaded(piece=1, threshold=1.0, oracle=True)),
    ],
    ids=["replicate", "least_loaded"],
)
def test_weights_come_before_the_gate_and_nothing_is_planned(policy: Policy, bound: Policy) -> None:
    real, ideal = run(policy, **SKEW), run(bound, **SKEW)
    assert {sent.place.lane for sent in fetches(real)} == {"F0", "B0"}
    assert {sent.place.lane for sent in fetches(ideal)} == {"beside"}
    assert len(fetches(real)) == len(fetches(ideal)) > 0
    assert not set(ideal.spans["label"]) & {"plan", "counts"}
    assert ideal.end < real.end


def test_a_bound_fetches_no_more_than_there_is_room_for() -> None:
    one = run(Replicate(slots_a_rank=1, oracle=True), **SKEW)
    assert {buffer.credits for buffer in one.cluster.buffers} == {1}


def test_what_sees_the_future_inside_is_a_bound_outside() -> None:
    ideal = Replicate(oracle=True)
    assert ideal.bound
    assert Pipelined(inner=Janus(tokens=ideal)).bound
    assert not Pipelined(inner=Janus(tokens=Replicate())).bound
    assert not ExpertCentric().bound


def test_what_decides_nothing_cannot_be_asked(tmp_path: Path) -> None:
    assert policy_from({"type": "janus", "oracle": True}).bound
    with pytest.raises(InputError, match=r"oracle.*unknown"):
        policy_from({"type": "expert_centric", "oracle": True}, "policies.e")
    assert not step(ExpertCentric(), tmp_path).steps[0].policy.bound


def experiment(baseline: str) -> Experiment:
    return Experiment.model_validate({
        "name": "bounds", "topology": "two_gpus",
        "workload": {"base": "moe_gpt", "model": {"layers": 2, "top_k": 2}},
        "baseline": baseline,
        "policies": {"expert_centric": {}, "ideal": {"type": "replicate", "oracle": True}},
    })  # fmt: skip


def test_tables_figures_and_reports_call_it_a_bound() -> None:
    """They take the name of a policy, or of a run, from the table, and the table has it with the mark."""
    table = sweep(experiment("expert_centric"))
    assert table["policy"].tolist() == table["scenario"].tolist() == ["expert_centric", "ideal (bound)"]
    assert table["speedup"].notna().all()


def test_a_bound_is_no_finding() -> None:
    """What is faster only with foresight is not what a figure says first, unless there is nothing else."""
    names, speedups = ["slow", "real", "ideal (bound)"], [1.0, 1.5, 2.0]
    rows = {"policy": names, "workload": ["gpt"] * 3, "step_time_s": [6.0, 4.0, 3.0], "speedup": speedups}
    table = pd.DataFrame(rows)
    assert finding(table) == "real is 1.50x faster than slow on gpt"
    assert finding(table[table["policy"] != "real"]) == "ideal (bound) is 2.00x faster than slow on gpt"


def test_a_bound_is_found_by_its_name_with_the_mark_or_without() -> None:
    kept = [simulate(one) for one in experiment("expert_centric").scenarios()]
    assert choose(kept, "ideal", "explain") is choose(kept, "ideal (bound)", "explain") is kept[1]
    assert kept[1].summary()["policy"].tolist() == ["ideal (bound)"]


def test_a_bound_is_no_baseline() -> None:
    with pytest.raises(InputError, match=r'baseline.*"ideal" may see the future'):
        sweep(experiment("ideal"))
