"""Node-limited: a token goes once to each machine and once to each GPU, counted by hand to the byte."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from janus_sim import Experiment, Scenario, simulate
from janus_sim.engine.cluster import Cluster
from janus_sim.errors import InputError
from janus_sim.policies import DataCentric, ExpertCentric, NodeLimited, Pipelined, Policy
from janus_sim.record import Record
from janus_sim.results.metrics import forward_machine_bytes
from janus_sim.schedules import Sequential
from janus_sim.simulate import Training
from janus_sim.step.account import record_of
from janus_sim.sweep import check_experiment
from janus_sim.testing import CLAUSES, rehearse_on
from janus_sim.topology import Topology
from janus_sim.workload.workload import Workload
from tests.policies.small import CLUSTERS, MODEL, crossed, run

#: Two machines of two GPUs; expert e lives on GPU e. The two experts of each of three tokens a GPU.
TOKENS = np.array(
    [
        [(0, 1), (2, 3), (0, 2)],  # two of the tokens of GPU 0 need machine 1
        [(1, 2), (2, 3), (0, 1)],  # two
        [(2, 3), (0, 3), (0, 1)],  # two of those of GPU 2 need machine 0
        [(3, 2), (2, 3), (1, 3)],  # one
    ]
)
FAR = {0: 2, 1: 2, 2: 2, 3: 1}  # tokens that GPU r sends to its like on the other machine
#: Tokens that pass NVLink: those of GPUs 0 and 2 by GPU 0 or 2, the others by 1 or 3, to who else needs them.
NEAR = {0: 2, 1: 1, 2: 3, 3: 4}
HIDDEN, FP8, BF16 = 256, 256 + 4 * 2, 512  # a scale for each 128 values
NOTIFY = 4 * 2, 4 * 2  # counts of two experts to the other machine; of one expert each from two sources, near
ABOUT = {"model": {**MODEL, "layers": 2}, "precision": "bf16", "micro_batch_size": 1, "seq_length": 3}


@dataclass(frozen=True)
class Written:
    """Routing that was written down."""

    table: np.ndarray
    known: bool = True
    steps: int = 1
    micro_batches: int = 1
    ranks: int = 4
    experts: tuple[int, ...] = (4,)

    def at(self, step: int, micro_batch: int, moe: int) -> np.ndarray:
        return np.array([np.bincount(rows.ravel(), minlength=4) for rows in self.table])

    def choices_at(self, step: int, micro_batch: int, moe: int) -> np.ndarray | None:
        return self.table if self.known else None


def simulated(policy: Policy, routing: Written) -> Record:
    topology = Topology.load(CLUSTERS["2 x 2"][0])
    workload = replace(Workload.load(ABOUT, world=4, width=2), trace=routing)  # type: ignore[arg-type]
    cluster = Cluster(topology)
    records, done = Training(cluster, workload, policy, Sequential()).run(1)
    return record_of(cluster, workload, records, done)


def sent(record: Record, label: str) -> tuple[dict[int, int], dict[int, int]]:
    """Bytes that each GPU sent in one exchange: out of the machine, and inside."""
    spans = record.spans
    rows = np.flatnonzero((spans["label"] == label) & (spans["kind"] == "all_to_all"))
    far = {int(spans["rank"][row]): int(spans["far_bytes"][row]) for row in rows}
    return far, {int(spans["rank"][row]): int(spans["bytes"][row]) - far[spans["rank"][row]] for row in rows}


def test_bytes_are_those_counted_by_hand() -> None:
    record = simulated(NodeLimited(), Written(TOKENS))
    assert (
        sent(record, "dispatch")
        == sent(record, "combine backward")
        == (
            {rank: FP8 * rows for rank, rows in FAR.items()},
            {rank: FP8 * rows for rank, rows in NEAR.items()},
        )
    )
    back = {rank: BF16 * FAR[(rank + 2) % 4] for rank in range(4)}  # each returns what came to it
    gathered = {rank: BF16 * NEAR[rank ^ 1] for rank in range(4)}
    assert sent(record, "combine") == sent(record, "dispatch backward") == (back, gathered)
    for label in ("dispatch", "combine", "combine backward", "dispatch backward"):
        assert sent(record, f"notify {label}") == tuple(dict.fromkeys(range(4), size) for size in NOTIFY)


def test_tokens_that_are_handed_on_are_those_counted_by_hand() -> None:
    """Two own tokens of GPUs 0, 1 and 2 stay in their machine, three of GPU 3; then those that came."""
    workload = replace(Workload.load(ABOUT, world=4, width=2), trace=Written(TOKENS))  # type: ignore[arg-type]
    layer = workload.routed(0, 0, workload.moe_layers[0], "forward", 0, workload.plan)
    assert layer.relayed((0, 0, 1, 1)) == (2 + 2, 2 + 1, 2 + 2, 3 + 2)


def test_rows_cost_what_the_topology_says() -> None:
    """A row goes through at 1 byte a microsecond: dispatches take as much longer, combines do not."""
    ends = {}
    for rows in ({}, {"pace": "1 MB/s"}):
        kernel = {"nvlink": [{"start": "0 s"}], "rdma": [{"start": "0 s"}], "rows": rows}
        where = Topology.load({"base": CLUSTERS["2 x 2"][0], "transfers": {"dispatch": kernel}})
        spans = rehearse_on(where, ABOUT, NodeLimited()).spans
        for label in ("dispatch", "combine backward", "combine"):
            chosen = spans["label"] == label
            ends[label, len(rows)] = (spans["end"] - spans["begin"])[chosen].max()
    for label in ("dispatch", "combine backward"):
        assert ends[label, 1] - ends[label, 0] == pytest.approx(FP8 * 1e-6, rel=1e-2)
    assert ends["combine", 1] == pytest.approx(ends["combine", 0])


def test_the_layers_and_the_summary_tell_them() -> None:
    (layer,) = simulated(NodeLimited(), Written(TOKENS)).layers
    seven, notify = 2 + 2 + 2 + 1, 4 * NOTIFY[0]  # tokens that leave their machine; one exchange of counts
    forward = seven * (FP8 + BF16) + 2 * notify
    assert layer["expert_cross_machine_bytes"] == 2 * forward  # backward moves as much
    assert (layer["token_counts"], layer["paradigm"]) == ("exact", "node_limited")
    assert forward_machine_bytes(simulated(NodeLimited(), Written(TOKENS))) == forward / 2


def test_without_fp8_rows_go_out_in_the_width_of_the_workload() -> None:
    record = simulated(NodeLimited(fp8=False), Written(TOKENS))
    for label in ("dispatch", "combine backward"):
        assert sent(record, label)[0] == {rank: BF16 * rows for rank, rows in FAR.items()}


def test_gpus_without_fp8_are_not_asked_for_it() -> None:
    """Nor inside another policy; and every such place is told at once."""
    about = {"base": "moe_gpt", "model": {"layers": 2, "top_k": 2}}
    inside: dict[str, object] = {"type": "janus", "tokens": {"node_limited": {"sms": 8}}}
    with pytest.raises(
        InputError, match=r"policies.janus.tokens.fp8.*a100-sxm4-80gb has no fp8; write fp8: false"
    ):
        simulate(Scenario(topology="two_gpus", workload=about, policy=inside))
    mistakes = {"name": "x", "topology": "two_gpus", "workload": about}
    policies = {"node_limited": {}, "inside": inside, "plain": {"type": "node_limited", "fp8": False}}
    with pytest.raises(InputError) as told:
        check_experiment(Experiment.model_validate({**mistakes, "policies": policies}))
    where = [mistake.path for mistake in told.value.mistakes]
    assert where == ["policies.node_limited.fp8", "policies.inside.tokens.fp8"]
    on_h100 = {"base": "two_gpus", "machine": {"gpus": {"kind": "h100-sxm5-80gb"}}}
    assert simulate(Scenario(topology=on_h100, workload=about, policy="node_limited")).steps is not None


def test_without_choices_of_tokens_it_goes_by_what_is_expected_and_says_so() -> None:
    record = simulated(NodeLimited(), Written(TOKENS, known=False))
    assert [layer["token_counts"] for layer in record.layers] == ["expected"]
    far, _ = sent(record, "dispatch")
    assert all(abs(far[rank] // FP8 - FAR[rank]) <= 1 for rank in range(4))


@pytest.mark.parametrize("known", [True, False])
def test_chunks_tell_how_their_tokens_were_counted(known: bool) -> None:
    """The tokens of a chunk are not known one by one, so that they are counted as expected, and told so."""
    record = simulated(Pipelined(inner=NodeLimited()), Written(TOKENS, known=known))
    assert [layer["token_counts"] for layer in record.layers] == ["expected"]


def test_on_one_machine_it_is_one_hop() -> None:
    one = run(NodeLimited(), "a100_2x8", parallel={"ep": 8})
    assert one.spans["far_bytes"][one.spans["kind"] == "all_to_all"].sum() == 0
    assert one.spans["bytes"][one.spans["label"] == "dispatch"].sum() > 0


def test_so_many_sms_move_so_much() -> None:
    """Each SM moves 1 MB/s: the rows of a dispatch take half the time with twice the SMs."""
    slow = {word: {"rdma": [{"start": "0 s", "sm_rate": "1 MB/s"}]} for word in ("dispatch", "combine")}
    where = Topology.load({"base": CLUSTERS["2 x 2"][0], "transfers": slow})
    seconds = []
    for sms in (2, 4):
        one = rehearse_on(where, {**ABOUT, "seq_length": 64}, NodeLimited(sms=sms))
        span = one.spans["label"] == "dispatch"
        seconds.append((one.spans["end"] - one.spans["begin"])[span].max())
        far = one.spans["far_bytes"][span].max()
        assert seconds[-1] == pytest.approx(far / (sms * 1e6), rel=1e-2)
    assert seconds[0] == pytest.approx(2 * seconds[1], rel=1e-2)
    with pytest.raises(InputError, match="sms"):
        NodeLimited(sms=0)


@pytest.mark.parametrize("policy", [ExpertCentric(), DataCentric(), NodeLimited()], ids=repr)
def test_groups_across_machines_keep_the_contract(policy: Policy) -> None:
    """Each group has one GPU of each machine, so that all that is not one's own leaves the machine."""
    parallel = {"ep": 2, "ep_order": "across"}
    one = run(policy, "2 x 2", model={"experts_per_rank": 2}, parallel=parallel, routing={"kind": "zipf"})
    for clause in CLAUSES:
        clause(one)
    assert one.visits("forward")[1].group == (1, 3)
    moved = one.spans["lane"] != "dense"
    assert one.spans["far_bytes"][moved].sum() == crossed(one) > 0


def test_a_limit_of_machines_is_kept_by_every_token() -> None:
    about = {"model": {**MODEL, "experts_per_rank": 2, "top_k": 4}, "precision": "fp16", "seq_length": 64}
    limit = {"micro_batch_size": 1, "routing": {"kind": "zipf", "machines": 2}}
    workload = Workload.load({**about, **limit}, world=16, width=4)
    layer = workload.routed(0, 0, workload.moe_layers[0], "forward", 0, workload.plan)
    pairs = layer.pairs(tuple(rank // 4 for rank in range(16)))
    assert pairs.sum(axis=1).tolist() == [2 * 64] * 16
    assert layer.chosen.sum(axis=1).tolist() == [4 * 64] * 16


@pytest.mark.parametrize(
    ("routing", "width", "told"),
    [
        ({"machines": 5}, 4, "5 is more than the 4 machines"),
        ({"machines": 3}, 4, "3 does not divide top_k 4"),
        ({"machines": 1}, 1, "needs 4 experts on each machine, which has 2"),
        ({"machines": 2}, None, "needs groups of whole machines"),
        ({"kind": "trace", "trace": "a.npz", "machines": 2}, 4, 'does nothing with kind "trace"'),
    ],
)
def test_a_limit_that_cannot_be_is_refused(routing: dict[str, object], width: int | None, told: str) -> None:
    model = {**MODEL, "experts_per_rank": 2, "top_k": 4}
    about = {"model": model, "precision": "fp16", "micro_batch_size": 1, "seq_length": 8, "routing": routing}
    with pytest.raises(InputError, match=f"routing.machines.*{told}"):
        Workload.load(about, world=16, width=width)
