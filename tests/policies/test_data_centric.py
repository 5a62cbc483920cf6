"""Each switch of the data-centric paradigm against bytes that can be counted by hand."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from janus_sim.errors import InputError
from janus_sim.policies import DataCentric, ExpertCentric, Janus, Pipelined, Policy
from janus_sim.testing import CLAUSES, rehearse_on
from janus_sim.topology import Topology
from tests.policies.small import (
    CLUSTERS,
    HIDDEN,
    LAYERS,
    TOKENS,
    TOP_K,
    WIDTH,
    carried,
    crossed,
    expert_of,
    fetches,
    gradients,
    run,
    uplink,
    weights,
)

EVERY = pytest.mark.parametrize("cluster", CLUSTERS)
FAR = {"two_gpus": 1, "2 x 2": 2, "a100_2x8": 8}  # experts of a layer that live in the other machine


# --- what leaves machines ---


@EVERY
def test_expert_centric_sends_each_row_four_times(cluster: str) -> None:
    _, n, m, _ = CLUSTERS[cluster]
    rows = n * m * TOKENS * TOP_K * (n - 1) // n  # out of all machines, one way
    assert crossed(run(ExpertCentric(), cluster)) == LAYERS * 4 * rows * HIDDEN * WIDTH


@EVERY
def test_data_centric_sends_each_far_expert_to_a_machine_once_and_one_gradient_back(cluster: str) -> None:
    one = run(DataCentric(), cluster)
    assert crossed(one) == LAYERS * 2 * 2 * FAR[cluster] * weights(one)


@EVERY
def test_the_ratio_of_both_is_r_to_the_last_byte(cluster: str) -> None:
    tokens, experts = run(ExpertCentric(), cluster), run(DataCentric(), cluster)
    m = CLUSTERS[cluster][2]
    ratio = experts.visits("forward")[0].traffic_ratio(m)
    assert crossed(tokens) / crossed(experts) == pytest.approx(ratio, rel=1e-12)


@EVERY
def test_without_hierarchy_each_gpu_of_a_machine_sends_for_itself(cluster: str) -> None:
    m = CLUSTERS[cluster][2]
    assert crossed(run(DataCentric(hierarchical=False), cluster)) == m * crossed(run(DataCentric(), cluster))


@EVERY
def test_what_a_machine_has_is_not_fetched_again_unless_told_to(cluster: str) -> None:
    one = run(DataCentric(), cluster)
    pulls = LAYERS * 2 * FAR[cluster] * weights(one)
    assert crossed(run(DataCentric(backward_from="host"), cluster)) == crossed(one) == 2 * pulls
    assert crossed(run(DataCentric(backward_from="refetch"), cluster)) == 3 * pulls
    assert crossed(run(DataCentric(cache="gpu"), cluster)) == 2 * pulls
    assert crossed(run(DataCentric(reduce="host"), cluster)) == 2 * pulls
    assert crossed(run(DataCentric(prefetch=False), cluster)) == 2 * pulls


@EVERY
def test_micro_batches_share_what_was_fetched_and_each_sends_its_gradients(cluster: str) -> None:
    one = run(DataCentric(), cluster, micro_batches=3)
    pulls = LAYERS * 2 * FAR[cluster] * weights(one)
    assert crossed(one) == (1 + 3) * pulls
    again = run(DataCentric(backward_from="refetch"), cluster, micro_batches=3)
    assert crossed(again) == (2 * 3 + 3) * pulls
    assert crossed(run(ExpertCentric(), cluster, micro_batches=3)) == 3 * crossed(
        run(ExpertCentric(), cluster)
    )


def test_skew_changes_what_tokens_cost_and_not_what_experts_cost() -> None:
    skew = {"routing": {"kind": "zipf", "exponent": 1.2}}
    assert crossed(run(DataCentric(), **skew)) == crossed(run(DataCentric()))
    assert run(ExpertCentric(), **skew).end > run(ExpertCentric()).end


def test_layers_with_more_experts_move_more() -> None:
    one = run(DataCentric(), model={"experts_per_rank": [1, 2]})
    assert crossed(one) == (1 + 2) * 2 * 2 * FAR["a100_2x8"] * weights(one)


# --- inside a machine ---


@EVERY
def test_gpus_of_a_switch_share_its_uplink(cluster: str) -> None:
    _, n, m, mates = CLUSTERS[cluster]
    split, alone = run(DataCentric(), cluster), run(DataCentric(pcie_split=False), cluster)
    expert = LAYERS * n * FAR[cluster] * weights(split)  # all far experts of all machines, once
    assert uplink(split, "up") == uplink(alone, "up") == expert  # into host memory
    assert uplink(split, "down") == m // mates * expert
    assert uplink(alone, "down") == m * expert
    handed_on = sum(sent.source in sent_mates(split, sent.target) for sent in fetches(split))
    assert handed_on * weights(split) >= (m - m // mates) * expert


def sent_mates(one: object, target: object) -> tuple[object, ...]:
    """The other GPUs under the switch of a GPU."""
    cluster = one.cluster  # type: ignore[attr-defined]
    return tuple(rank for rank in cluster.mates[target] if rank != target) if isinstance(target, int) else ()


@EVERY
def test_a_cache_on_gpus_leaves_the_host_alone(cluster: str) -> None:
    _, n, m, _ = CLUSTERS[cluster]
    one = run(DataCentric(cache="gpu"), cluster)
    assert uplink(one, "up") == uplink(one, "down") == 0
    landed = Counter(sent.target for sent in fetches(one) if sent.label.startswith("stage"))
    assert set(landed.values()) == {LAYERS * FAR[cluster] // m}  # all alike
    inside = LAYERS * n * m * (m - 1) * FAR[cluster] // m  # from its holder to each other GPU of the machine
    own = LAYERS * n * m * (m - 1)  # and the experts of the machine itself
    gradients_in = inside + own
    assert carried(one, lambda link: link.name.endswith("nvlink.out")) == (
        inside + own + gradients_in
    ) * weights(one)


def test_far_experts_land_and_their_gradients_meet_behind_the_nic_between() -> None:
    """Four experts a rank: those of rank r come in by the NIC of GPU r mod 8, and land there."""
    one = run(DataCentric(cache="gpu"), model={"experts_per_rank": 4})
    gpus = one.cluster.topology.gpus
    stages = [sent for sent in fetches(one) if sent.label.startswith("stage")]
    homeward = [sent for sent in gradients(one) if sent.label.endswith("home")]
    assert len(stages) == len(homeward) == LAYERS * 2 * 32  # into each of two machines, and out of it
    for sent in stages + homeward:
        source, target = gpus[sent.source], gpus[sent.target]  # type: ignore[index]
        assert source.machine != target.machine
        assert (source.local, source.nic) == (target.local, target.nic)


def test_the_ledger_of_a_cache_on_gpus_holds_what_lands() -> None:
    """Unlike machines, {0} and {1, 2, 3}, two experts a rank: rank 0's two land on its like, 1; six on 0."""
    cluster = Topology.load(MIXED)
    layers = rehearse_on(cluster, UNLIKE, DataCentric(cache="gpu")).visits("forward")
    size = layers[0].weight_bytes
    held = [
        DataCentric(cache="gpu").memory(rank, machine, layers, 1)["expert cache"] // size
        for rank, machine in ((0, (0,)), (1, (1, 2, 3)), (2, (1, 2, 3)), (3, (1, 2, 3)))
    ]
    assert held == [2 * 6, 2 * 2, 0, 0]  # in two layers


@EVERY
def test_backward_from_the_host_copies_twice(cluster: str) -> None:
    kept, copied = run(DataCentric(), cluster), run(DataCentric(backward_from="host"), cluster)
    assert uplink(copied, "down") == 2 * uplink(kept, "down")
    assert uplink(copied, "up") == uplink(kept, "up")


@EVERY
def test_gradients_that_meet_in_the_host_take_the_uplinks(cluster: str) -> None:
    _, n, m, _ = CLUSTERS[cluster]
    one, host = run(DataCentric(), cluster), run(DataCentric(reduce="host"), cluster)
    expert = LAYERS * n * FAR[cluster] * weights(one)
    assert uplink(host, "up") - uplink(one, "up") == m * expert  # each GPU its own
    assert uplink(host, "down") - uplink(one, "down") == expert  # the sum


@EVERY
def test_one_gradient_of_each_far_expert_leaves_a_machine(cluster: str) -> None:
    one = run(DataCentric(), cluster)
    machine = one.cluster.machine_of
    left = Counter(
        (machine[sent.source].index, sent.place.layer, expert_of(sent))
        for sent in gradients(one)
        if isinstance(sent.source, int) and machine[sent.source] is not machine[sent.target]
    )
    assert len(left) == 2 * LAYERS * FAR[cluster]
    assert set(left.values()) == {1}


# --- when ---


def test_what_is_kept_is_not_pulled_in_backward() -> None:
    assert {sent.place.phase for sent in fetches(run(DataCentric()))} == {"forward"}
    for backward in ("host", "refetch"):
        phases = Counter(sent.place.phase for sent in fetches(run(DataCentric(backward_from=backward))))
        assert phases["backward"] > 0
    again = run(DataCentric(), recompute="full")
    assert {sent.place.phase for sent in fetches(again)} == {"forward"}


def test_prefetch_begins_at_once_and_goes_in_the_order_of_visits() -> None:
    """Into each host through each NIC, and from mates into each GPU; these need not wait for those."""
    one = run(DataCentric(in_flight=2))
    assert min(sent.begin for sent in fetches(one)) == 0.0
    routes: dict[tuple[object, object], list[int]] = {}
    for sent in fetches(one):
        home = int(sent.source) if isinstance(sent.source, int) else -1
        if sent.label.startswith("stage"):
            routes.setdefault((sent.target, one.cluster.topology.gpus[home].nic), []).append(sent.place.layer)
        elif home == expert_of(sent):
            routes.setdefault((sent.target, "mates"), []).append(sent.place.layer)
    assert len(routes) == 2 * 4 + 16
    assert all(layers == sorted(layers) and set(layers) == {1, 3} for layers in routes.values())


def test_without_prefetch_nothing_comes_before_the_gate_has_run() -> None:
    one = run(DataCentric(prefetch=False))
    spans = one.spans
    gates = {
        (int(spans["layer"][index]), int(spans["rank"][index])): spans["end"][index]
        for index in np.flatnonzero((spans["label"] == "attention and gate") & (spans["phase"] == "forward"))
    }
    for sent in fetches(one):
        if isinstance(sent.target, int):
            assert sent.begin >= gates[sent.place.layer, sent.target]
        else:
            machine = one.cluster.machines[sent.target[1]]
            assert sent.begin >= min(gates[sent.place.layer, rank] for rank in machine.ranks)


def test_without_prefetch_what_nobody_chose_stays_at_home() -> None:
    skew = {"routing": {"kind": "zipf", "exponent": 4.0}, "micro_batch_size": 1, "seq_length": 16}
    one = run(DataCentric(prefetch=False), **skew)
    visits = {visit.layer: visit for visit in one.visits("forward")}
    chosen = {layer: {e for e in range(16) if visit.kept(e)} for layer, visit in visits.items()}
    assert all(0 < len(experts) < 16 for experts in chosen.values())
    for sent in fetches(one):
        assert expert_of(sent) in chosen[sent.place.layer]
        if isinstance(sent.target, int):
            assert visits[sent.place.layer].rows(sent.target, expert_of(sent)) > 0
    pulled = sum(isinstance(sent.target, int) for sent in fetches(one))
    wanted = sum(
        bool(visit.rows(rank, expert)) and visit.home_of(expert) != rank
        for visit in visits.values()
        for rank in range(16)
        for expert in range(16)
    )
    assert pulled == wanted
    for clause in CLAUSES:
        clause(one)


def test_an_expert_that_came_for_nothing_holds_nobody_up() -> None:
    """Its credit comes back as soon as it is there, and the kernels do not wait for it."""
    skew = {"routing": {"kind": "zipf", "exponent": 4.0}, "micro_batch_size": 1, "seq_length": 16}
    for few in (1, "layer"):
        one = run(DataCentric(credits=few), **skew)
        for clause in CLAUSES:
            clause(one)


@pytest.mark.parametrize("few", [1, 2, 5, 15])
def test_a_gpu_never_has_more_experts_under_way_or_waiting_than_credits(few: int) -> None:
    one = run(DataCentric(credits=few, in_flight=16))
    spans = one.spans
    done = {
        (int(spans["layer"][index]), int(spans["rank"][index]), spans["label"][index]): spans["end"][index]
        for index in np.flatnonzero((spans["kind"] == "compute") & (spans["phase"] == "forward"))
    }
    for rank in range(16):
        events = []
        for sent in fetches(one):
            if sent.target == rank:
                over = done[sent.place.layer, rank, sent.label]
                events += [(sent.begin, 1), (over, -1)]
        held = np.cumsum([change for _, change in sorted(events)])
        assert held.max() <= few
        assert held.max() == few or few == 15  # all of a layer are never under way at once


@pytest.mark.parametrize("few", [1, 4])
def test_mates_may_ask_before_a_gpu_has_made_room(few: int) -> None:
    """More pulls in flight than a machine has experts: the first GPU asks its mate at once."""
    assert run(DataCentric(credits=few, in_flight=16), "2 x 2").end > 0


def test_in_flight_limits_what_comes_through_a_nic() -> None:
    one = run(DataCentric(in_flight=1), "2 x 2", model={"experts_per_rank": 4})
    stages = [sent for sent in fetches(one) if sent.target == ("host", 0)]
    times = sorted((sent.begin, sent.end(one.cluster)) for sent in stages)
    assert len(times) == LAYERS * 8
    assert all(end <= begin for (_, end), (begin, _) in pairwise(times))


def test_more_credits_and_prefetch_are_not_slower() -> None:
    """Pulls of nearer layers come first on shared links, so that far ones cannot hold them up."""
    ends = [run(DataCentric(credits=few)).end for few in (1, 4, "layer", 30)]
    assert all(more <= few * (1 + 1e-9) for few, more in pairwise(ends))
    assert run(DataCentric(credits=30)).end <= run(DataCentric(credits=30, prefetch=False)).end


def test_staggered_order_mobs_no_owner() -> None:
    def first_owners(order: str) -> Counter[object]:
        one = run(DataCentric(order=order, in_flight=1))  # type: ignore[arg-type]
        firsts = [next(sent for sent in one.sent if sent.target == rank) for rank in range(8)]
        return Counter(sent.source for sent in firsts)

    assert set(first_owners("staggered").values()) == {1}
    assert first_owners("plain")[0] == 7


# --- groups ---


def test_groups_inside_machines_fetch_nothing_from_outside() -> None:
    one = run(DataCentric(), parallel={"ep": 8})
    assert all(one.cluster.fabric.path(sent.source, sent.target, 1).far == 0 for sent in one.sent)


@pytest.mark.parametrize(
    "policy", [ExpertCentric(), DataCentric(), Janus(chosen=(0,))], ids=["tokens", "experts", "janus"]
)
def test_replicas_in_two_machines_sum_the_gradients_of_their_experts(policy: Policy) -> None:
    """A ring of two sends 2 S (2 - 1) / 2 = S each way, and nothing else of experts leaves a machine."""
    one = run(policy, parallel={"ep": 8}, micro_batches=2)
    assert crossed(one) == LAYERS * 16 * weights(one)


@pytest.mark.parametrize(
    "policy",
    [
        DataCentric(),
        DataCentric(prefetch=False),
        DataCentric(cache="gpu"),
        DataCentric(reduce="host", backward_from="host", credits=1),
        Pipelined(inner=Janus()),
    ],
    ids=["all on", "no prefetch", "cache gpu", "host", "pipelined janus"],
)
def test_groups_that_share_a_machine_and_a_switch_do_not_mix(policy: DataCentric) -> None:
    """Ranks 0 1 2 | 3 4 5 in machines, 0 1 | 2 3 | 4 5 in groups: group 1 lies in both machines."""
    cluster = Topology.load({"base": "two_gpus", "machine": {"gpus": {"count": 3}}})
    about = {
        "model": {"layers": 2, "moe_layers": "all", "experts_per_rank": 2, "top_k": 2, "hidden": 64,
                  "ffn": {"width": 256}, "heads": 4, "vocabulary": 100},
        "precision": "fp16", "micro_batch_size": 2, "seq_length": 32, "parallel": {"ep": 2},
        "routing": {"kind": "zipf", "exponent": 1.0},
    }  # fmt: skip
    one = rehearse_on(cluster, about, policy, name="groups that share a machine")
    for clause in CLAUSES:
        clause(one)
    if isinstance(policy, DataCentric):
        expected = 2 * 2 * 2 * 2  # layers, ways over the border, experts, pull and gradient
        assert crossed_by_transfers(one) == expected


def crossed_by_transfers(one: object) -> int:
    """How many transfers of experts and gradients left a machine."""
    path = one.cluster.fabric.path  # type: ignore[attr-defined]
    return sum(path(sent.source, sent.target, 1).far for sent in one.sent)  # type: ignore[attr-defined]


# --- what is refused, and the ledger ---


@pytest.mark.parametrize(
    "knobs",
    [
        {"credits": 0},
        {"in_flight": 0},
        {"backward_from": "host", "hierarchical": False},
        {"backward_from": "host", "cache": "gpu"},
    ],
)
def test_knobs_that_contradict_each_other_are_refused(knobs: dict[str, object]) -> None:
    with pytest.raises((ValueError, InputError), match="write"):
        DataCentric(**knobs)  # type: ignore[arg-type]


def test_the_ledger_says_what_is_held() -> None:
    one = run(DataCentric(credits=3))
    layers, size = one.visits("forward"), weights(one)
    machine = tuple(range(8))
    assert DataCentric(credits=3).memory(0, machine, layers, 8) == {
        "credits": 3 * size,
        "kept experts": LAYERS * 15 * size,
        "gradients on their way": 15 * size,
        "gradient sums": size,
    }
    assert DataCentric(cache="gpu", backward_from="refetch").memory(0, machine, layers, 8) == {
        "credits": 15 * size,
        "gradients on their way": 15 * size,
        "expert cache": LAYERS * size,
        "gradient sums": size,
    }
    assert DataCentric().host_memory(machine, layers, 8) == {"expert cache": LAYERS * 8 * size}
    assert DataCentric(reduce="host").host_memory(machine, layers, 8) == {
        "expert cache": LAYERS * 8 * size,
        "gradient sums": 8 * size,
    }
    assert DataCentric(hierarchical=False).host_memory(machine, layers, 8) == {}
    assert DataCentric().memory(0, machine, [], 8) == {}


def test_the_ledger_of_unlike_machines_has_the_layers_that_pull() -> None:
    """R counts the GPUs of the smallest machine, on each of them."""
    cluster = Topology.load(MIXED)
    layers = rehearse_on(cluster, UNLIKE, ExpertCentric()).visits("forward")
    ratio = layers[0].traffic_ratio(1)
    policy = Janus(threshold=2 * ratio)  # between one GPU's R and three GPUs'
    assert policy.memory(1, (1, 2, 3), layers, 1) == ExpertCentric().memory(1, (1, 2, 3), layers, 1)
    assert "credits" in policy.memory(1, (1, 2, 3), layers, 3)


def test_the_ledger_keeps_one_micro_batch() -> None:
    one, three = run(DataCentric()), run(DataCentric(), micro_batches=3)
    machine = tuple(range(8))
    assert DataCentric().memory(0, machine, one.visits("forward"), 8) == DataCentric().memory(
        0, machine, three.visits("forward"), 8
    )


def test_prefetched_bytes_are_those_of_their_layer() -> None:
    """What runs beside the step belongs to the visit that it is for, in spans and in the table of layers."""
    one = run(DataCentric())
    far = one.spans["far_bytes"] * (one.spans["lane"] != "dense")
    by_layer = [int(far[one.spans["layer"] == layer].sum()) for layer in (1, 3)]
    assert by_layer == [crossed(one) // 2] * 2


MIXED = {
    "base": "two_gpus",
    "machines": None,
    "mixed": [{"machines": 1}, {"machines": 1, "machine": {"gpus": {"count": 3}}}],
}
UNLIKE = {
    "model": {"layers": 2, "moe_layers": "all", "experts_per_rank": 2, "top_k": 2, "hidden": 64,
              "ffn": {"width": 256}, "heads": 4, "vocabulary": 100},
    "precision": "fp16", "micro_batch_size": 2, "seq_length": 32,
}  # fmt: skip


def test_machines_of_unlike_size() -> None:
    cluster = Topology.load(MIXED)
    for policy in (
        DataCentric(),
        DataCentric(cache="gpu", prefetch=False),
        Pipelined(inner=Janus(by="simulated")),
    ):
        one = rehearse_on(cluster, UNLIKE, policy, name="unlike machines")
        for clause in CLAUSES:
            clause(one)
