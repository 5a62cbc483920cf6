"""The seam: plans and moves, changed words, trials, and a schedule that splits backward."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from janus_sim.engine.gpu import Gpu
from janus_sim.engine.time import Steps
from janus_sim.errors import DeadlockError, PolicyError
from janus_sim.policies import DataCentric, ExpertCentric, Janus, LeastLoaded, Pipelined, Policy, Replicate
from janus_sim.schedules import Sequential
from janus_sim.simulate import settle
from janus_sim.testing import CASES, CLAUSES, Rehearsal, rehearse
from janus_sim.topology import Topology
from janus_sim.workload.layer import MoELayer, Plan, RoutedLayer
from janus_sim.workload.workload import Workload
from tests.policies import seam
from tests.policies.small import run, weights

SKEW = {"routing": {"kind": "zipf", "exponent": 1.0, "seed": 3}}


def keeps_the_contract(one: Rehearsal) -> None:
    for clause in CLAUSES:
        clause(one)


# --- a plan, and what it costs ---


@pytest.mark.parametrize("inner", [ExpertCentric(), DataCentric(), DataCentric(prefetch=False)], ids=repr)
def test_a_placement_swaps_two_experts_between_steps(inner: Policy) -> None:
    policy = seam.SwapHottest(inner=inner)
    one = run(policy, "2 x 2", steps=3, **SKEW)
    keeps_the_contract(one)
    rows = one.visits("forward")[0].useful.sum(axis=0)
    hot, cold = int(rows.argmax()), int(rows.argmin())
    homes = [step.routed(0, 1, "forward", 0).home.tolist() for step in one.steps]
    assert homes[0] == homes[2] == [0, 1, 2, 3]
    assert homes[1][hot], homes[1][cold] == (homes[0][cold], homes[0][hot])
    moves = [sent for sent in one.sent if sent.place.lane == "move"]
    assert len(moves) == 2 * 2 * 2  # steps, layers, experts
    assert {sent.size for sent in moves} == {weights(one) * (1 + seam.STATE)}
    assert {sent.place.step for sent in moves} == {1, 2}


def test_a_plan_knows_the_past_alone_and_its_planner_takes_time() -> None:
    policy = seam.SwapHottest(inner=ExpertCentric(), seconds=2e-3)
    one = run(policy, "2 x 2", steps=3, **SKEW)
    assert policy.seen == [(step, 4, 4) for step in range(3) for _ in range(2)]
    thought = (one.spans["label"] == "plan") & (one.spans["end"] > one.spans["begin"])
    assert thought.sum() == 2 * 4  # in steps 1 and 2, on each rank
    still = run(seam.SwapHottest(inner=ExpertCentric(), seconds=0.0), "2 x 2", steps=3, **SKEW)
    assert one.end - still.end == pytest.approx(2 * 2e-3)


def test_the_past_of_all_groups_is_known_to_the_plan() -> None:
    sums = []

    class Looks(seam.SwapHottest):
        def plan(self, layers: Sequence[MoELayer], plan: Plan) -> Plan:
            assert layers[0].past is not None
            sums.append(int(layers[0].past.sum()))
            return plan

    run(Looks(inner=ExpertCentric()), "2 x 2", steps=2, parallel={"ep": 2})
    assert sums == [0, 4 * 256 * 2]


def test_a_plan_that_is_none_is_refused() -> None:
    class Nowhere(ExpertCentric):
        def plan(self, layers: Sequence[MoELayer], plan: Plan) -> Plan:
            return Plan(tuple(home + 100 for home in plan.homes))

    with pytest.raises(PolicyError, match="positions from 0 to 3"):
        run(Nowhere(), "2 x 2")


# --- words ---


def test_a_modifier_changes_a_word() -> None:
    one = run(seam.Gently(inner=ExpertCentric()))
    keeps_the_contract(one)
    labels = set(one.spans["label"][one.spans["kind"] == "all_to_all"])
    assert labels == {
        f"gentle {label}" for label in ("dispatch", "combine", "combine backward", "dispatch backward")
    }
    assert one.end <= run(ExpertCentric()).end


def test_changed_words_go_through_modifiers_janus_and_peers() -> None:
    worn = []

    class Looks(DataCentric):
        def forward(self, gpu: Gpu, layer: RoutedLayer) -> Steps:
            worn.append(type(gpu.peers[0].within(part=(1,))))
            return super().forward(gpu, layer)

    run(Pipelined(inner=Janus(data=seam.Gently(inner=Looks()), chosen=(0, 1))), "two_gpus")
    assert set(worn) == {seam.Gentle}


# --- trials ---


def test_a_policy_may_ask_for_trials_again() -> None:
    topology = Topology.load("a100_2x8")
    workload = Workload.load(CASES["2 x 8, balanced"][1], world=16)
    settled = settle(topology, workload, seam.AutoChunks(), Sequential(), 0)
    assert isinstance(settled, Pipelined)
    ends = {chunks: rehearse(Pipelined(inner=ExpertCentric(), chunks=chunks), "2 x 8, balanced").end
            for chunks in (1, 2, 4)}  # fmt: skip
    assert ends[settled.chunks] == min(ends[1], ends[2], ends[2 * min((1, 2), key=lambda count: ends[count])])
    assert rehearse(seam.AutoChunks(), "2 x 8, balanced").end == ends[settled.chunks]


# --- a schedule in two halves ---


@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize(
    "policy",
    [ExpertCentric(), DataCentric(), DataCentric(backward_from="refetch"), Pipelined(inner=Janus())],
    ids=["tokens", "experts", "refetch", "pipelined janus"],
)
@pytest.mark.parametrize("case", ["2 x 8, balanced", "2 x 8, two groups of experts", "2 x 8, recomputed"])
def test_weight_gradients_may_be_put_off(policy: Policy, case: str, interleaved: bool) -> None:
    schedule = seam.TwoHalves(interleaved=interleaved)
    one = rehearse(policy, case, schedule, changes={"micro_batches": 2})
    keeps_the_contract(one)
    whole = rehearse(policy, case, changes={"micro_batches": 2})
    for traffic in ("expert", "dense"):
        assert (one.cluster.fabric.carried[traffic] == whole.cluster.fabric.carried[traffic]).all()


@pytest.mark.parametrize("policy", [Replicate(), LeastLoaded(piece=1), Replicate(oracle=True)], ids=repr)
def test_weight_gradients_of_replicas_may_be_put_off(policy: Policy) -> None:
    """They go home in the W pass then, each after its kernels."""
    changes = {"micro_batches": 2}
    one = rehearse(policy, "2 x 8, skewed, two experts a rank", seam.TwoHalves(), changes=changes)
    keeps_the_contract(one)
    whole = rehearse(policy, "2 x 8, skewed, two experts a rank", changes=changes)
    assert (one.cluster.fabric.carried["expert"] == whole.cluster.fabric.carried["expert"]).all()
    lanes = {sent.place.lane for sent in one.sent if sent.label.startswith("gradient")}
    assert lanes == {"I0", "I1"}


@pytest.mark.parametrize(
    "policy",
    [
        ExpertCentric(),
        DataCentric(credits=1),
        DataCentric(prefetch=False),
        Pipelined(inner=Janus(chosen=(1,))),
    ],
    ids=["tokens", "experts", "no prefetch", "pipelined janus"],
)
def test_passes_of_a_tuple_run_side_by_side_and_leave_together(policy: Policy) -> None:
    one = rehearse(policy, "2 x 8, balanced", seam.SideBySide(), changes={"micro_batches": 3})
    keeps_the_contract(one)
    spans, mine = one.spans, one.spans["rank"] == 5
    main = mine & ~np.array([str(label).endswith((" weights", " home")) for label in spans["label"]])
    first, last = {}, {}
    for lane in ("F0", "F1", "B0", "F2", "B1", "B2"):
        kernels = main & (spans["lane"] == lane) & (spans["kind"] == "compute")
        kernels &= ~np.array([str(label).startswith("add ") for label in spans["label"]])
        first[lane], last[lane] = spans["begin"][kernels].min(), spans["end"][kernels].max()
    assert max(first["F1"], first["B0"]) < min(last["F1"], last["B0"])
    for before, after in ((("F0",), ("F1", "B0")), (("F1", "B0"), ("F2", "B1")), (("F2", "B1"), ("B2",))):
        assert max(last[lane] for lane in before) <= min(first[lane] for lane in after)


def test_weight_gradients_run_in_their_own_pass() -> None:
    one = rehearse(ExpertCentric(), "2 x 8, balanced", seam.TwoHalves())
    spans = one.spans
    weights_of = np.array([str(label).endswith(" weights") for label in spans["label"]])
    on_rank = spans["rank"] == 0
    last_input = spans["end"][on_rank & (spans["label"] == "embedding backward")].max()
    assert (spans["begin"][on_rank & weights_of] >= last_input).all()


@pytest.mark.parametrize("policy", [ExpertCentric(), DataCentric()], ids=["tokens", "experts"])
@pytest.mark.parametrize("batches", [1, 3])
def test_the_last_bucket_is_flushed_after_the_last_weight_gradient(policy: Policy, batches: int) -> None:
    for schedule in (None, seam.TwoHalves(), seam.TwoHalves(interleaved=True)):
        one = rehearse(policy, "2 x 8, balanced", schedule, changes={"micro_batches": batches})
        spans = one.spans
        weights_of = np.array([str(label).endswith(" weights") for label in spans["label"]])
        dense = spans["label"] == "dense gradients"
        for rank in (0, 15):
            mine = spans["rank"] == rank
            assert spans["joined"][dense & mine].max() >= spans["end"][weights_of & mine].max()
            assert (
                spans["begin"][mine & (spans["label"] == "optimizer")].min()
                >= spans["end"][dense & mine].max()
            )


# --- what hangs, and what is rude ---


def test_a_policy_that_hangs_is_told_by_name() -> None:
    class Greedy(ExpertCentric):
        def forward(self, gpu: Gpu, layer: RoutedLayer) -> Steps:
            room = gpu.buffer("mine", 1)
            yield room.reserve()
            yield room.reserve()

    with pytest.raises(
        DeadlockError, match=r"rank 0 .*layer 1 forward.* waits for a credit of buffer mine"
    ) as caught:
        run(Greedy(), "two_gpus")
    assert caught.value.exit_code == 3


def test_ranks_that_do_not_agree_are_told_by_name() -> None:
    class OneStaysAway(ExpertCentric):
        def forward(self, gpu: Gpu, layer: RoutedLayer) -> Steps:
            if gpu.rank:
                yield gpu.all_to_all(layer.dispatch, "dispatch")

    with pytest.raises(DeadlockError, match=r"rank 1 .*waits for .*dispatch"):
        run(OneStaysAway(), "two_gpus")


def test_a_policy_that_yields_no_activity_is_told_what_to_write() -> None:
    class Rude(ExpertCentric):
        def forward(self, gpu: Gpu, layer: RoutedLayer) -> Steps:
            yield 5  # type: ignore[misc]

    with pytest.raises(PolicyError, match=r"yielded 5; yield what gpu\.compute"):
        run(Rude(), "two_gpus")
