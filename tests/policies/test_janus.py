"""Which paradigm serves which layer, by either rule."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from janus_sim.errors import InputError
from janus_sim.policies import DataCentric, ExpertCentric, Janus, Outcome, Pipelined, Policy
from janus_sim.schedules import Sequential
from janus_sim.simulate import settle
from janus_sim.testing import CLAUSES
from janus_sim.topology import Topology
from janus_sim.workload.layer import MoELayer
from janus_sim.workload.workload import Workload
from tests.policies.small import CLUSTERS, MODEL, crossed, run, weights

#: R of a layer of the small model with one expert a rank is 1/4 on 2 x 8, and half of that with two.
PYRAMID = {"layers": 6, "experts_per_rank": [1, 2, 4]}


def visits(cluster: str = "a100_2x8", **workload: object) -> list[MoELayer]:
    return list(run(ExpertCentric(), cluster, **workload).visits("forward"))  # type: ignore[arg-type]


def test_r_is_that_of_the_paper() -> None:
    """R = B S k / (4 n H E): 256 tokens, top 2, 2 machines, H = 256, one expert a GPU; biases count too."""
    layer = visits()[0]
    weight = layer.weight_bytes / (8 * 256**2 * 2)  # with biases, against without
    assert layer.traffic_ratio(8) * weight == pytest.approx(256 * 2 / (4 * 2 * 256 * 1))


def test_by_traffic_takes_the_layers_whose_r_is_above_the_threshold() -> None:
    layers = visits(model=PYRAMID)
    ratios = [layer.traffic_ratio(8) for layer in layers]
    assert ratios[0] == pytest.approx(2 * ratios[1]) == pytest.approx(4 * ratios[2])
    for threshold, pulled in ((2 * ratios[0], 0), (1.5 * ratios[1], 1), (1.5 * ratios[2], 2), (0.0, 3)):
        policy = Janus(threshold=threshold)
        names = [policy.paradigm(layer, 8) for layer in layers]
        assert names == ["data_centric"] * pulled + ["expert_centric"] * (3 - pulled)
    assert not Janus(threshold=ratios[0]).pulls(layers[0], 8)  # R > threshold, not at it


def test_paradigms_mix_in_one_step_and_each_layer_moves_what_its_own_does() -> None:
    tokens, experts = run(ExpertCentric(), model=PYRAMID), run(DataCentric(), model=PYRAMID)
    mixed = run(Janus(chosen=(0, 2)), model=PYRAMID)
    for clause in CLAUSES:
        clause(mixed)
    size = weights(experts)
    assert crossed(mixed) == crossed(tokens) // 3 + (1 + 4) * 2 * 2 * 8 * size
    kinds = {
        int(layer): set(mixed.spans["kind"][mixed.spans["layer"] == layer]) & {"all_to_all", "transfer"}
        for layer in (1, 3, 5)
    }
    assert kinds == {1: {"transfer"}, 3: {"all_to_all"}, 5: {"transfer"}}


def test_credits_are_those_of_the_widest_layer_that_pulls() -> None:
    mixed = run(Janus(chosen=(0, 1)), model=PYRAMID)
    assert {buffer.credits for buffer in mixed.cluster.buffers} == {30}


@pytest.mark.parametrize("cluster", CLUSTERS)
@pytest.mark.parametrize("rows", [1, 8])
def test_by_simulated_is_never_slower_than_the_better_paradigm(cluster: str, rows: int) -> None:
    about = {"micro_batch_size": 4 * rows}
    better = min(run(policy, cluster, **about).end for policy in (ExpertCentric(), DataCentric()))
    assert run(Janus(by="simulated"), cluster, **about).end <= better


def test_by_simulated_may_choose_a_mixed_set() -> None:
    model = {**PYRAMID, "experts_per_rank": [1, 1, 8]}
    ends = {
        name: run(policy, model=model, micro_batch_size=48).end
        for name, policy in {
            "tokens": ExpertCentric(), "experts": DataCentric(), "janus": Janus(by="simulated")
        }.items()
    }  # fmt: skip
    assert ends["janus"] <= min(ends["tokens"], ends["experts"])


class Counting:
    """How long a trial takes, by the set that pulls; it writes down what was asked."""

    def __init__(self, seconds: dict[tuple[int, ...], float]) -> None:
        self.seconds, self.asked = seconds, []

    def settle(self, policy: Policy, layers: Sequence[MoELayer]) -> Policy:
        while trials := policy.trials(layers):
            self.asked += list(trials)
            policy = policy.settle({name: Outcome(self.seconds[name]) for name in trials})
        return policy


def test_trials_are_none_all_each_alone_and_the_set_of_those_that_gained() -> None:
    layers = visits(model=PYRAMID)
    counting = Counting({(): 10.0, (0,): 9.0, (1,): 11.0, (2,): 9.5, (0, 1, 2): 12.0, (0, 2): 8.0})
    settled = counting.settle(Janus(by="simulated"), layers)
    assert counting.asked == [(), (0,), (1,), (2,), (0, 1, 2), (0, 2)]
    assert [settled.paradigm(layer, 8) for layer in layers] == [
        "data_centric",
        "expert_centric",
        "data_centric",
    ]
    assert settled.trials(layers) == {}


@pytest.mark.parametrize(
    ("seconds", "best"),
    [
        ({(): 1.0, (0,): 2.0, (1,): 2.0, (2,): 2.0, (0, 1, 2): 3.0}, ()),
        ({(): 4.0, (0,): 2.0, (1,): 2.0, (2,): 2.0, (0, 1, 2): 3.0}, (0,)),
        ({(): 4.0, (0,): 2.0, (1,): 5.0, (2,): 5.0, (0, 1, 2): 1.0}, (0, 1, 2)),
        ({(): 4.0, (0,): 2.0, (1,): 3.0, (2,): 5.0, (0, 1, 2): 6.0, (0, 1): 7.0}, (0,)),
    ],
)
def test_the_best_of_all_trials_wins_and_nothing_is_tried_twice(
    seconds: dict[tuple[int, ...], float], best: tuple[int, ...]
) -> None:
    counting = Counting(seconds)
    settled = counting.settle(Janus(by="simulated"), visits(model=PYRAMID))
    assert isinstance(settled, Janus)
    assert settled.chosen == best
    assert len(counting.asked) == len(set(counting.asked)) == len(seconds)


def test_one_layer_alone_is_all_layers() -> None:
    counting = Counting({(): 2.0, (0,): 1.0})
    counting.settle(Janus(by="simulated"), visits(model={"layers": 2}))
    assert counting.asked == [(), (0,)]


def test_trials_never_see_the_trace() -> None:
    """Skewed routing is judged as if it were balanced."""
    topology = Topology.load("a100_2x8")
    chosen = []
    for routing in ("balanced", "zipf"):
        about = {
            "model": MODEL,
            "precision": "fp16",
            "micro_batch_size": 16,
            "seq_length": 64,
            "routing": routing,
        }
        workload = Workload.load(about, world=16)
        chosen.append(settle(topology, workload, Janus(by="simulated"), Sequential(), 0))
    assert chosen[0] == chosen[1]


def test_a_layer_that_is_not_there_cannot_be_chosen() -> None:
    with pytest.raises(InputError, match="no MoE layer 7; write 0 to 1"):
        run(Janus(chosen=(0, 7)))


def test_both_paradigms_may_be_others() -> None:
    patient = Janus(tokens=Pipelined(inner=ExpertCentric()), data=DataCentric(prefetch=False), chosen=(1,))
    one = run(patient)
    labels = one.spans["label"][one.spans["layer"] == 1]
    assert (labels == "dispatch").sum() == 2 * 16
    assert "beside" not in set(one.spans["lane"])


def test_its_ledger_adds_up_what_both_need() -> None:
    one = run(Janus(chosen=(0,)))
    layers, machine = one.visits("forward"), tuple(range(8))
    both = Janus(chosen=(0,)).memory(3, machine, layers, 8)
    assert both == {
        **ExpertCentric().memory(3, machine, layers[1:], 8),
        **DataCentric().memory(3, machine, layers[:1], 8),
    }
    assert Janus(chosen=(0,)).host_memory(machine, layers, 8) == DataCentric().host_memory(
        machine, layers[:1], 8
    )
    assert "credits" not in Janus(chosen=()).memory(3, machine, layers, 8)
