"""Streams of collectives: one communicator in order, others beside; a hang is told by name; overlap costs."""

from __future__ import annotations

import pytest

from janus_sim.engine.gpu import Gpu
from janus_sim.engine.time import Steps
from janus_sim.errors import DeadlockError, PolicyError
from tests.engine.lab import GB, Lab, everyone, nothing, topology

PAIR = everyone((0, 1))


def two(first: str, second: str) -> object:
    """A rank that calls two exchanges at once, in this order."""

    def story(gpu: Gpu) -> Steps:
        yield gpu.all_to_all(PAIR, first) & gpu.all_to_all(PAIR, second)

    return story


def test_collectives_of_one_communicator_and_lane_run_one_after_another() -> None:
    lab = Lab(topology(1, 2)).run([two("a", "b")] * 2)  # type: ignore[list-item]
    assert (lab.times("a", 0), lab.times("b", 0)) == ((0, 0, 1), (1, 1, 2))
    assert lab.spans[lab.span("b", 0)["why"]]["label"] == "a"


def test_calls_of_one_name_are_told_apart_by_their_number() -> None:
    def story(gpu: Gpu) -> Steps:
        for _ in range(3):
            yield gpu.all_to_all(PAIR, "a")

    lab = Lab(topology(1, 2)).run([story] * 2)
    assert sorted(one["end"] for one in lab.spans if one["rank"] == 0) == pytest.approx([1, 2, 3])


@pytest.mark.parametrize("other", ["lane", "members", "stream"])
def test_another_lane_other_members_or_a_named_stream_run_beside(other: str) -> None:
    def story(gpu: Gpu) -> Steps:
        beside = gpu.within(lane="dense") if other == "lane" else gpu
        members = everyone((1, 0)) if other == "members" else PAIR
        stream = "mine" if other == "stream" else ""
        yield gpu.all_to_all(PAIR, "a") & beside.all_to_all(members, "b", stream=stream)

    lab = Lab(topology(1, 2)).run([story] * 2)
    assert (lab.times("a", 0), lab.times("b", 0)) == ((0, 0, 2), (0, 0, 2))  # they share the port


def test_two_lanes_in_different_order_do_not_deadlock() -> None:
    def story(gpu: Gpu) -> Steps:
        lanes = [gpu.within(lane="F0"), gpu.within(lane="F1")]
        for one in lanes if gpu.rank else reversed(lanes):
            gpu.start(wait(one))
        yield from ()

    def wait(gpu: Gpu) -> Steps:
        yield gpu.all_to_all(PAIR, "a")

    lab = Lab(topology(1, 2)).run([story] * 2)
    assert {round(one["end"], 6) for one in lab.spans} == {2}


def test_calls_side_by_side_run_in_the_order_of_first_calls_whatever_their_own() -> None:
    lab = Lab(topology(1, 2)).run([two("a", "b"), two("b", "a")])  # type: ignore[list-item]
    assert (lab.times("a", 1), lab.times("b", 1)) == ((0, 0, 1), (1, 1, 2))


def test_one_stream_in_different_order_is_told_by_name() -> None:
    def story(gpu: Gpu) -> Steps:
        for label in ("a", "b") if gpu.rank == 0 else ("b", "a"):
            yield gpu.all_to_all(PAIR, label)

    with pytest.raises(DeadlockError) as error:
        Lab(topology(1, 2)).run([story] * 2)
    place = "step 0 micro-batch 0 layer 0 forward (F0)"
    a, b = f"the all_to_all 'a' of {place}", f"the all_to_all 'b' of {place}"
    assert error.value.waiting == (
        f"rank 0 waits for {a}, not joined by rank 1",
        f"rank 1 waits for {b}, queued behind {a}, not joined by rank 1",
    )


def test_a_rank_that_never_comes_is_told_by_number() -> None:
    with pytest.raises(DeadlockError) as error:
        Lab(topology(1, 3)).run(
            [lambda gpu: (yield gpu.all_to_all(everyone((0, 1, 2)), "a")), nothing, nothing]
        )
    place = "step 0 micro-batch 0 layer 0 forward (F0)"
    assert error.value.waiting == (
        f"rank 0 waits for the all_to_all 'a' of {place}, not joined by ranks 1, 2",
    )


def test_one_that_nobody_waits_for_and_is_never_over_is_told_at_the_end_of_the_step() -> None:
    def story(gpu: Gpu) -> Steps:
        gpu.all_reduce((0, 1), GB, "sum")
        yield gpu.think(1.0)

    with pytest.raises(
        DeadlockError, match=r"rank 0 waits for the all_reduce 'sum' .*, not joined by rank 1"
    ):
        Lab(topology(1, 2)).run([story, nothing])


def test_who_does_not_belong_is_told() -> None:
    with pytest.raises(PolicyError, match="rank 2 calls a collective among ranks 0, 1: it is none of them"):
        Lab(topology(1, 3)).run({2: lambda gpu: (yield gpu.all_to_all(PAIR, "a"))})


def test_less_than_no_sms_are_told() -> None:
    with pytest.raises(PolicyError, match="holds -1 SMs"):
        Lab(topology(1, 2)).run({0: lambda gpu: (yield gpu.all_to_all(PAIR, "a", sms=-1))})


@pytest.mark.parametrize(("loss", "end"), [(0.0, 2.0), (0.5, 4.0)])
def test_collectives_that_overlap_on_a_nic_lose_a_part_of_it(loss: float, end: float) -> None:
    def story(gpu: Gpu) -> Steps:
        yield gpu.all_to_all(PAIR, "a") & gpu.all_to_all(PAIR, "b", stream="mine")

    changes = {"communication": {"overlap_loss": loss}}
    lab = Lab(topology(2, 1, changes=changes)).run([story] * 2)
    assert lab.end("a", 0) == end


def test_one_that_only_waits_does_not_overlap_and_the_rate_comes_back() -> None:
    def early(gpu: Gpu) -> Steps:
        sums = gpu.all_reduce((0, 1), GB, "sum", stream="sums")  # waits for rank 1, and moves nothing
        yield gpu.all_to_all(PAIR, "a") & gpu.all_to_all(PAIR, "b")
        yield sums
        yield gpu.all_to_all(PAIR, "c")

    def late(gpu: Gpu) -> Steps:
        yield gpu.all_to_all(PAIR, "a") & gpu.all_to_all(PAIR, "b")
        yield gpu.all_reduce((0, 1), GB, "sum", stream="sums")
        yield gpu.all_to_all(PAIR, "c")

    changes = {"communication": {"overlap_loss": 0.5}}
    lab = Lab(topology(2, 1, changes=changes)).run([early, late])
    assert [lab.end(name, 0) for name in ("a", "b", "sum", "c")] == [1, 2, 3, 4]
