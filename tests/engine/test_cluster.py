"""A cluster comes to life from a topology, and forgets at the end of a step what holds for one."""

from __future__ import annotations

import numpy as np
import pytest

from janus_sim.engine.cluster import Cluster
from janus_sim.engine.gpu import Gpu
from janus_sim.engine.time import Steps
from janus_sim.errors import PolicyError
from janus_sim.topology import Topology
from tests.engine.lab import BYTES, GB, Lab, everyone, topology


def test_gpus_of_one_kind_share_a_clock_and_slow_ones_have_their_speed() -> None:
    where = Topology.load({"base": "a100_2x8", "overrides": [{"gpus": [3], "speed": 0.8}]})
    streams = Cluster(where).computes
    assert len({id(stream.clock) for stream in streams}) == 1
    assert [stream.speed for stream in streams[:5]] == [1, 1, 1, 0.8, 1]


def test_a_slowdown_goes_to_the_clock() -> None:
    assert Cluster(topology(), slowdown=1.15).computes[0].clock.slowdown == 1.15


def test_credits_of_a_buffer_in_use_do_not_change() -> None:
    cluster = Cluster(topology())
    buffer = cluster.buffer(0, "experts", 4)
    assert cluster.buffer(0, "experts", 0) is cluster.buffer(0, "experts", 4) is buffer
    buffer.reserve()
    with pytest.raises(PolicyError, match="buffer 'experts' of rank 0 has 4 credits, not 5; it is in use"):
        cluster.buffer(0, "experts", 5)
    buffer.arrived("a")
    buffer.release("a")
    assert cluster.buffer(0, "experts", 5).credits == 5
    assert [one.credits for one in cluster.buffers] == [5]


def test_who_asked_for_an_arrival_before_there_was_room_still_hears_of_it() -> None:
    cluster = Cluster(topology())
    early = cluster.buffer(0, "experts", 0).arrival("a")
    buffer = cluster.buffer(0, "experts", 2)
    buffer.reserve()
    buffer.arrived("a")
    assert early.done


def test_the_next_step_begins_afresh_and_where_the_last_one_ended() -> None:
    def story(gpu: Gpu) -> Steps:
        yield gpu.all_to_all(everyone((0, 1)), "exchange")
        assert gpu.first("key")

    lab = Lab(topology(1, 2))
    lab.run([story] * 2)
    lab.cluster.timeline.why = 1
    lab.run([story] * 2)
    assert [round(one["end"], 9) for one in lab.spans] == [1, 1, 2, 2]


def test_changes_of_links_and_gpus_come_at_their_time() -> None:
    def story(gpu: Gpu) -> Steps:
        yield gpu.compute(BYTES, "kernel") & gpu.pull(1, 2 * GB, "pull")

    changes = [
        {"gpus": [0], "speed": 0.5, "at": "500 ms"},
        {"links": "m0.gpu0.nvlink.in", "bandwidth": "0.5 GB/s", "at": "1 s"},
        {"gpus": [0], "speed": 1.0, "at": "1 s"},
        {"links": "m0.gpu0.nvlink.in", "scale": 1.0, "at": "2 s"},
    ]
    lab = Lab(topology(1, 2, changes={"overrides": changes})).run([story])
    assert lab.end("kernel") == 1.25  # half, a quarter at half speed, a quarter
    assert lab.end("pull") == 2.5  # 1 GB, half a GB in the slow second, the rest
    assert np.isclose(lab.cluster.flows.carried.sum(), 4 * GB)
