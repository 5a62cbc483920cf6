"""All-to-All and all-reduce as stories: who waits for whom, and when each may go."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from janus_sim.engine.gpu import Gpu
from janus_sim.engine.time import Steps
from janus_sim.errors import PolicyError
from janus_sim.workload.copies import Traffic
from tests.engine.lab import FLOPS, GB, Lab, Story, everyone, table, topology


def exchange(sizes: Traffic, after: float = 0.0, sms: int | None = None) -> Story:
    def story(gpu: Gpu) -> Steps:
        yield gpu.think(after)
        yield gpu.all_to_all(sizes, "exchange", sms=sms)

    return story


def reduce(members: tuple[int, ...], gigabytes: float = 1.0, after: float = 0.0) -> Story:
    def story(gpu: Gpu) -> Steps:
        yield gpu.think(after)
        yield gpu.all_reduce(members, int(gigabytes * GB), "sum", traffic="dense")

    return story


# --- All-to-All ---


def test_a_balanced_exchange_takes_what_a_port_takes() -> None:
    lab = Lab(topology(1, 4)).run([exchange(everyone(range(4)))] * 4)
    assert [lab.times("exchange", rank) for rank in range(4)] == [(0, 0, 3)] * 4
    assert lab.span("exchange", 0)["bytes"] == 3 * GB


def test_the_start_comes_on_top() -> None:
    lab = Lab(topology(1, 2, start="250 ms")).run([exchange(everyone((0, 1)))] * 2)
    assert lab.end("exchange", 0) == 1.25


def test_a_skewed_exchange_is_bound_by_its_busiest_port_and_who_is_done_leaves() -> None:
    sizes = table(range(4), {(0, 1): 3, (2, 1): 1, (2, 3): 1})  # rank 1 receives 4 GB
    lab = Lab(topology(1, 4)).run([exchange(sizes)] * 4)
    assert [lab.end("exchange", rank) for rank in range(4)] == [4, 4, 2, 2]
    assert lab.span("exchange", 1)["resource"] == "m0.gpu1.nvlink.in"


@settings(max_examples=25)
@given(
    st.lists(st.integers(0, 5), min_size=16, max_size=16), st.lists(st.integers(0, 3), min_size=4, max_size=4)
)
def test_no_rank_leaves_before_its_port_has_carried_its_bytes(cells: list[int], late: list[int]) -> None:
    sizes = np.array(cells, dtype=np.int64).reshape(4, 4) * GB
    lab = Lab(topology(1, 4)).run([exchange(Traffic((0, 1, 2, 3), sizes), after) for after in late])
    np.fill_diagonal(sizes, 0)
    busiest = max(sizes.sum(axis=0).max(), sizes.sum(axis=1).max()) / GB
    for rank in range(4):
        joined, _, end = lab.times("exchange", rank)
        assert joined == late[rank]
        assert end >= joined + max(sizes[rank].sum(), sizes[:, rank].sum()) / GB - 1e-6
        assert end <= max(late) + sizes.sum() / GB + 1e-6
        assert lab.span("exchange", rank)["bytes"] == sizes[rank].sum()
    assert max(lab.end("exchange", rank) for rank in range(4)) >= busiest - 1e-6


def test_who_comes_late_delays_only_its_pairs() -> None:
    sizes = table(range(4), {(0, 1): 1, (1, 0): 1, (2, 3): 1, (3, 2): 1, (1, 3): 1})
    lab = Lab(topology(1, 4)).run([exchange(sizes, after) for after in (0, 0, 0, 5)])
    assert [lab.times("exchange", rank) for rank in range(3)] == [(0, 0, 1), (0, 5, 7), (0, 5, 7)]
    assert lab.times("exchange", 3) == (5, 5, 7)  # 2 GB come in by one port


def test_the_last_part_began_when_the_later_of_its_two_ends_joined() -> None:
    sizes = table(range(3), {(0, 1): 1, (2, 1): 1})
    lab = Lab(topology(1, 3)).run([exchange(sizes, after) for after in (4, 0, 2)])
    assert [lab.times("exchange", rank) for rank in range(3)] == [(4, 4, 5), (0, 4, 5), (2, 2, 3)]
    cause = lab.spans[lab.span("exchange", 1)["why"]]
    assert (cause["label"], cause["rank"]) == ("think", 0)


def test_who_has_nothing_to_send_or_receive_leaves_at_once() -> None:
    lab = Lab(topology(1, 3)).run(
        [exchange(table(range(3), {(0, 1): 1, (2, 2): 9}), after) for after in (0, 7, 3)]
    )
    assert lab.times("exchange", 2) == (3, 3, 3)
    assert lab.times("exchange", 0) == (0, 7, 8)


def test_one_member_alone_and_a_table_of_zeros_take_no_time() -> None:
    lab = Lab(topology(1, 2)).run([exchange(everyone((0,))), exchange(everyone((1,)))])
    assert [lab.times("exchange", rank) for rank in (0, 1)] == [(0, 0, 0)] * 2
    lab = Lab(topology(1, 2)).run([exchange(everyone((0, 1), 0))] * 2)
    assert [lab.times("exchange", rank) for rank in (0, 1)] == [(0, 0, 0)] * 2


def test_members_may_stand_anywhere_and_in_any_order() -> None:
    sizes = table((3, 0, 2), {(3, 0): 1, (0, 2): 2, (2, 3): 1})
    lab = Lab(topology(2, 2, nics=2)).run({rank: exchange(sizes) for rank in (0, 2, 3)})
    assert [lab.end("exchange", rank) for rank in (0, 2, 3)] == [2, 2, 1]
    assert [lab.span("exchange", rank)["far_bytes"] for rank in (0, 2, 3)] == [2 * GB, 0, GB]


def test_it_holds_sms_from_the_join_on_waiting_included() -> None:
    def early(gpu: Gpu) -> Steps:
        yield gpu.all_to_all(everyone((0, 1)), "exchange", sms=54) & gpu.compute(FLOPS, "kernel")

    lab = Lab(topology(1, 2)).run([early, exchange(everyone((0, 1)), after=5, sms=54)])
    assert lab.end("kernel") == 2  # at half speed from the start
    assert lab.end("exchange", 0) == 6
    assert lab.cluster.computes[0].taken == 0


def test_it_joins_in_the_middle_of_a_kernel() -> None:
    def story(gpu: Gpu) -> Steps:
        kernel = gpu.compute(FLOPS, "kernel")
        yield gpu.think(0.5)
        yield gpu.all_to_all(everyone((0, 1), 0.25), "exchange", sms=54)
        yield kernel

    lab = Lab(topology(1, 2)).run([story] * 2)
    # half is done at 0.5; the exchange lasts to 0.75, in which an eighth is done; then at full speed
    assert lab.times("exchange", 0) == (0.5, 0.5, 0.75)
    assert lab.end("kernel", 0) == 1.125


def test_a_rank_that_leaves_one_exchange_may_start_flows_of_the_next_at_the_end_of_another_flow_of_it() -> (
    None
):
    one, two = table(range(4), {(0, 1): 1}), table(range(4), {(2, 3): 1, (1, 3): 2})

    def story(gpu: Gpu) -> Steps:
        yield gpu.all_to_all(one, "one") & gpu.all_to_all(two, "two")

    lab = Lab(topology(1, 4)).run([story] * 4)
    assert lab.times("two", 3) == (0, 1, 3)  # at 1 s nothing is on its way to rank 3, and it must not leave


@pytest.mark.parametrize("wrong", [[[0, -1], [0, 0]], [[0, 1]], [[0, 0, 0]] * 3])
def test_what_is_no_table_of_bytes_is_told(wrong: list[list[int]]) -> None:
    with pytest.raises(PolicyError, match=r"the all_to_all 'exchange' of step 0 .* a table of 2 by 2"):
        Lab(topology(1, 2)).run([exchange(Traffic((0, 1), np.array(wrong)))] * 2)


def test_other_sizes_than_those_before_are_told() -> None:
    with pytest.raises(PolicyError, match="rank 1 brings other sizes to the all_to_all 'exchange'"):
        Lab(topology(1, 2)).run([exchange(everyone((0, 1), size)) for size in (1, 2)])


# --- all-reduce ---


def test_all_start_together_and_end_together() -> None:
    lab = Lab(topology(1, 4)).run([reduce((0, 1, 2, 3), 1, after) for after in (0, 1, 2, 3)])
    # each sends 2 x 3/4 GB to the next
    assert [lab.times("sum", rank) for rank in range(4)] == [(rank, 3, 4.5) for rank in range(4)]
    assert lab.spans[lab.span("sum", 0)["why"]]["rank"] == 3


def test_2_s_times_n_minus_1_over_n_leave_a_machine() -> None:
    lab = Lab(topology(4, 2, nics=2)).run([reduce(tuple(range(8)))] * 8)
    leaving = [
        sum(one["far_bytes"] for one in lab.spans if one["machine"] == machine) for machine in range(4)
    ]
    assert leaving == [1.5 * GB] * 4
    crossing = [link.index for link in lab.cluster.topology.links if link.crosses]
    assert lab.cluster.fabric.carried["dense"][crossing].sum() == 6 * GB
    assert not lab.cluster.fabric.carried["expert"].any()
    # half of the buffer goes round on each rail: 0.75 GB; inside, 1 GB over NVLink
    assert lab.end("sum", 0) == 1


def test_between_machines_a_ring_reaches_only_a_part_of_the_rate() -> None:
    half = {"communication": {"all_reduce_efficiency": 0.5}}
    lab = Lab(topology(2, 1, changes=half)).run([reduce((0, 1))] * 2)
    assert lab.end("sum", 0) == 2
    lab = Lab(topology(1, 2, changes=half)).run([reduce((0, 1))] * 2)
    assert lab.end("sum", 0) == 1  # inside, the line of the envelope says what is reached


def test_a_part_of_the_rate_that_links_have_when_it_is_first_called() -> None:
    changes = {
        "communication": {"all_reduce_efficiency": 0.5},
        "overrides": [{"links": "*.nic0.out", "scale": 0.5, "at": "1 s"}],
    }
    lab = Lab(topology(2, 1, changes=changes)).run([reduce((0, 1), 1, after=2)] * 2)
    assert lab.times("sum", 0) == (2, 2, 6)


def test_alone_or_with_no_bytes_it_ends_when_all_are_there() -> None:
    lab = Lab(topology(1, 2)).run([reduce((0,)), reduce((1,))])
    assert lab.times("sum", 0) == (0, 0, 0)
    lab = Lab(topology(1, 2)).run([reduce((0, 1), 0, after) for after in (1, 2)])
    assert [lab.times("sum", rank) for rank in (0, 1)] == [(1, 2, 2), (2, 2, 2)]


def test_other_bytes_than_those_before_are_told() -> None:
    with pytest.raises(PolicyError, match="rank 1 brings 2000000000 bytes to the all_reduce 'sum'"):
        Lab(topology(1, 2)).run([reduce((0, 1), size) for size in (1, 2)])
    with pytest.raises(PolicyError, match="bytes, 0 or more, not -1"):
        Lab(topology(1, 2)).run([lambda gpu: (yield gpu.all_reduce((0, 1), -1, "sum"))] * 2)
