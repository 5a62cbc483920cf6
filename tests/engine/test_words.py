"""What GPUs do together, as stories: an exchange in hops, and the relatives of all-reduce."""

from __future__ import annotations

import pytest

from janus_sim.engine.gpu import Gpu
from janus_sim.engine.hops import AllToAllPath
from janus_sim.engine.time import Steps
from janus_sim.errors import PolicyError
from janus_sim.workload.copies import Traffic
from tests.engine.lab import GB, Lab, Story, everyone, topology

STARTS = {"all_reduce": 1, "in_switch": 2, "ring": 3}  # seconds


def exchange(sizes: Traffic, path: AllToAllPath) -> Story:
    def story(gpu: Gpu) -> Steps:
        yield from gpu.exchange(sizes, "rows", path)

    return story


def call(word: str, gigabytes: float = 4.0, members: tuple[int, ...] = tuple(range(8))) -> Story:
    def story(gpu: Gpu) -> Steps:
        yield getattr(gpu, word)(members, round(gigabytes * GB), word)

    return story


def test_two_hops_run_one_after_another_and_carry_what_crosses_once() -> None:
    sizes = everyone(range(8), 0.5)
    lab = Lab(topology(2, 4, nics=4)).run([exchange(sizes, "2dh")] * 8)
    # what a hop sends is read and written at 1 GB/s; near: 3 x (0.5 + 0.5) GB; far: 4 x 0.5
    assert lab.times("rows near laid out", 5) == (0, 0, 6)
    assert lab.times("rows near", 5) == (6, 6, 9)
    assert lab.times("rows far laid out", 5) == (9, 9, 13)
    assert lab.times("rows far", 5) == (13, 13, 15)
    crossing = [link.index for link in lab.cluster.topology.links if link.crosses]
    assert lab.cluster.fabric.carried["expert"][crossing].sum() == 2 * 4 * 4 * GB // 2


def test_one_leader_has_all_the_work() -> None:
    lab = Lab(topology(2, 4, nics=4)).run([exchange(everyone(range(8), 0.25), "1dh")] * 8)
    joined, _, end = lab.times("rows between", 0)
    assert end - joined == 4  # 16 pairs through one NIC
    assert lab.span("rows between", 1)["bytes"] == 0


@pytest.mark.parametrize(("window", "rounds"), [(1, 7), (3, 3), (8, 1)])
def test_pairwise_windows_pay_a_start_each_and_carry_the_same(window: int, rounds: int) -> None:
    """8 GPUs of 1 GB/s with 0.5 GB for each: S (n-1)/(n B) = 3.5 s, and 0.25 s of start a window."""
    where = topology(1, 8, start="250 ms", changes={"communication": {"window": window}})
    lab = Lab(where).run([exchange(everyone(range(8), 0.5), "pairwise")] * 8)
    assert {round(span["end"], 9) for span in lab.spans if span["label"] == f"rows {rounds}"} == {
        3.5 + 0.25 * rounds
    }
    assert {span["kind"] for span in lab.spans} == {"all_to_all"}  # nothing is laid out anew


def test_flat_is_one_all_to_all() -> None:
    sizes = everyone(range(8))
    lab = Lab(topology(2, 4)).run([exchange(sizes, "flat")] * 8)
    plain = Lab(topology(2, 4)).run([lambda gpu: (yield gpu.all_to_all(sizes, "rows"))] * 8)
    assert lab.spans == plain.spans


@pytest.mark.parametrize(
    ("word", "seconds"),
    [("all_gather", 3.5), ("reduce_scatter", 3.5), ("broadcast", 4.0), ("all_reduce", 7.0)],
)
def test_in_one_machine_each_takes_its_closed_form(word: str, seconds: float) -> None:
    lab = Lab(topology(1, 8)).run([call(word)] * 8)
    assert {lab.end(word, rank) for rank in range(8)} == {seconds}
    assert {span["kind"] for span in lab.spans} == {word}


@pytest.mark.parametrize("word", ["all_gather", "reduce_scatter"])
def test_between_machines_each_takes_its_closed_form(word: str) -> None:
    """Of 4 GB a ring sends 7/8 over each edge, and 3 of the 4 edges of a machine go over ports."""
    lab = Lab(topology(2, 4, nics=4)).run([call(word)] * 8)
    assert [lab.end(word, rank) for rank in range(8)] == pytest.approx([3.5 * 3 / 4] * 8)


@pytest.mark.parametrize(
    ("algorithm", "seconds"), [("hierarchical", 6.0), ("ring", 7 * 3 / 4), ("tree", 6.0), ("in_switch", 5.0)]
)
def test_the_topology_names_the_algorithm_of_all_reduce(algorithm: str, seconds: float) -> None:
    named = {"communication": {"algorithms": {"all_reduce": algorithm}}}
    lab = Lab(topology(2, 4, nics=4, changes=named)).run([call("all_reduce")] * 8)
    assert lab.end("all_reduce", 0) == pytest.approx(seconds)


def test_a_tree_hands_a_broadcast_to_two() -> None:
    named = {"communication": {"algorithms": {"broadcast": "tree"}}}
    lab = Lab(topology(4, 1, changes=named)).run([call("broadcast", 1, (0, 1, 2, 3))] * 4)
    assert lab.end("broadcast", 3) == 2


def test_they_hold_the_sms_of_an_all_reduce() -> None:
    lab = Lab(topology(1, 2, changes={"communication": {"sms": {"all_reduce": 5}}}))
    seen = []

    def story(gpu: Gpu) -> Steps:
        part = gpu.all_gather((0, 1), GB, "parts")
        seen.append(lab.cluster.computes[gpu.rank].taken)
        yield part

    lab.run([story] * 2)
    assert seen == [5, 5]
    assert lab.cluster.computes[0].taken == 0


def test_another_size_than_those_before_is_told() -> None:
    with pytest.raises(PolicyError, match="rank 1 brings 2000000000 bytes to the all_gather 'all_gather'"):
        Lab(topology(1, 2)).run([call("all_gather", size, (0, 1)) for size in (1, 2)])


@pytest.mark.parametrize(
    ("word", "algorithm", "start"),
    [
        ("all_gather", "tree", 3),
        ("all_reduce", "ring", 3),
        ("all_reduce", "in_switch", 2),
        ("all_reduce", "tree", 1),
    ],
)
def test_each_algorithm_starts_as_its_own_lines_say(word: str, algorithm: str, start: float) -> None:
    lines = {name: {"nvlink": [{"start": f"{seconds} s"}]} for name, seconds in STARTS.items()}
    named = {"communication": {"algorithms": {"all_reduce": algorithm}}, "transfers": lines}
    lab = Lab(topology(1, 4, changes=named)).run([call(word, 1e-9, (0, 1, 2, 3))] * 4)
    assert lab.end(word, 0) == pytest.approx(start, abs=1e-6)
