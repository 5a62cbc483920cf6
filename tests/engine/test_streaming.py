"""Hops that stream into one another: what comes by a relay, when it may begin, and who may leave when."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from janus_sim.engine.gpu import Gpu
from janus_sim.engine.time import Steps
from janus_sim.errors import PolicyError
from janus_sim.workload.copies import Traffic
from tests.engine.lab import GB, Lab, Story, table, topology

RANKS = (0, 1, 2, 3)  # two machines of two


def stream(*hops: Traffic, after: float = 0.0, sms: int | None = None) -> Story:
    def story(gpu: Gpu) -> Steps:
        yield gpu.think(after)
        yield gpu.all_to_all(hops, "stream", sms=sms)

    return story


def test_one_hop_takes_what_an_all_to_all_takes() -> None:
    sizes = table(RANKS, {(0, 1): 3, (2, 1): 1, (2, 3): 1})
    lab = Lab(topology(1, 4)).run([stream(sizes)] * 4)
    assert [lab.end("stream", rank) for rank in RANKS] == [4, 4, 2, 2]


def test_the_second_hop_runs_beside_the_first_and_nobody_leaves_before_all_came_to_its_relay() -> None:
    """2 GB go from GPU 0 to GPU 2, and 1 GB of it on to GPU 3, who has it when the last byte is there."""
    far, near = table(RANKS, {(0, 2): 2}), table(RANKS, {(2, 3): 1})
    lab = Lab(topology(2, 2)).run([stream(far, near)] * 4)
    assert [lab.end("stream", rank) for rank in RANKS] == [2, 0, 2, 2]
    assert [lab.span("stream", rank)["bytes"] for rank in RANKS] == [2 * GB, 0, GB, 0]
    assert [lab.span("stream", rank)["far_bytes"] for rank in RANKS] == [2 * GB, 0, 0, 0]


def test_the_slower_of_two_hops_tells_how_long_it_takes() -> None:
    far, near = table(RANKS, {(0, 2): 1}), table(RANKS, {(2, 3): 4})
    assert Lab(topology(2, 2)).run([stream(far, near)] * 4).end("stream", 3) == 4


def test_the_way_back_gathers_first() -> None:
    """GPU 3 gives 3 GB to GPU 2, who sends the sum of 1 GB to GPU 0 as they come."""
    lab = Lab(topology(2, 2)).run([stream(table(RANKS, {(3, 2): 3}), table(RANKS, {(2, 0): 1}))] * 4)
    assert [lab.end("stream", rank) for rank in RANKS] == [3, 0, 3, 3]


def test_the_second_hop_waits_for_the_first_bytes_of_the_first() -> None:
    """With a start of 250 ms each, both begin then; a source that comes late delays its own rows alone."""
    far, near = table(RANKS, {(0, 2): 1}), table(RANKS, {(2, 3): 1})
    lab = Lab(topology(2, 2, start="250 ms")).run([stream(far, near)] * 4)
    assert lab.end("stream", 3) == 1.25
    late = Lab(topology(2, 2)).run([stream(far, near, after=5.0), *[stream(far, near)] * 3])
    assert late.times("stream", 3) == (0, 5, 6)  # joined, began when GPU 0 joined, ended
    own = Traffic(RANKS, far.bytes + np.diag([0, 0, GB, 0]))  # GPU 2 has rows of its own for GPU 3
    early = Lab(topology(2, 2)).run([stream(own, near, after=5.0), *[stream(own, near)] * 3])
    assert early.end("stream", 3) == 6  # it still waits for what GPU 0 sends


def test_what_one_sm_moves_holds_both_hops() -> None:
    lines = {"nvlink": [{"start": "0 s", "sm_rate": "100 MB/s"}], "rdma": [{"start": "0 s"}]}
    where = topology(1, 2, changes={"transfers": {"all_to_all": lines}})
    ends = [
        Lab(where).run([stream(table((0, 1), {(0, 1): 1}), sms=sms)] * 2).end("stream", 0) for sms in (2, 5)
    ]
    assert ends == [5, 2]


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.lists(st.integers(0, 3), min_size=4, max_size=4))
def test_no_byte_is_lost_and_no_port_is_beaten(seed: int, late: list[int]) -> None:
    rng = np.random.default_rng(seed)
    hops = tuple(Traffic(RANKS, rng.integers(0, 4, (4, 4)) * GB) for _ in range(3))
    lab = Lab(topology(1, 4)).run([stream(*hops, after=after) for after in late])
    total = np.array(sum(hop.bytes for hop in hops))
    np.fill_diagonal(total, 0)
    for rank in RANKS:
        span, end = lab.span("stream", rank), lab.end("stream", rank)
        assert span["bytes"] == total[rank].sum()
        assert end + 1e-6 >= late[rank] + max(total[rank].sum(), total[:, rank].sum()) / GB
    assert lab.cluster.flows.in_flight == 0


@pytest.mark.parametrize("shape", [(2, 2), (4, 3)])
def test_a_table_of_another_shape_is_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(PolicyError, match="tables of 4 by 4"):
        Lab(topology(2, 2)).run([stream(Traffic(RANKS, np.zeros(shape, dtype=np.int64)))] * 4)


def test_other_sizes_on_one_rank_are_refused() -> None:
    one, other = (stream(table(RANKS, {(0, 2): size})) for size in (1, 2))
    with pytest.raises(PolicyError, match="rank 1 brings other sizes"):
        Lab(topology(2, 2)).run([one, other, one, one])
