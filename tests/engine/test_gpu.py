"""The words of a GPU: where it is, waiting, doing, room and order."""

from __future__ import annotations

import pytest

from janus_sim.engine.gpu import Gpu, Shelf
from janus_sim.engine.place import Place
from janus_sim.engine.time import Activity, Steps
from janus_sim.errors import DeadlockError, PolicyError
from tests.engine.lab import BYTES, FLOPS, GB, Lab, nothing, topology


def test_where_a_gpu_is() -> None:
    lab = Lab(topology(2, 4, nics=2, changes={"machine": {"pcie": {"switches": 2}}}))
    gpu = lab.gpu(6)
    assert (gpu.rank, gpu.machine.index, gpu.machine.ranks, gpu.switch) == (6, 1, (4, 5, 6, 7), (6, 7))
    assert (gpu.machine_of(3), gpu.nic_of(3), gpu.machines, gpu.domain) == (0, 1, 2, 4)
    assert gpu.machine.host == ("host", 1)


def test_places_and_peers_are_views_of_the_same_cluster() -> None:
    gpu = Lab(topology(1, 2)).gpu(0)
    inner = gpu.within(layer=3, phase="backward")
    assert (inner.rank, inner.place) == (0, Place(0, 0, 3, "backward", "F0"))
    assert (inner.peers[1].rank, inner.peers[1].place) == (1, inner.place)
    assert inner.peers[1].machine is gpu.machine
    assert gpu.at(Place(7)).place == Place(7)


def test_a_view_may_wear_other_words() -> None:
    class Quiet(Gpu):
        def think(self, seconds: float, label: str = "think") -> Activity:
            return super().think(0.0, label)

    def story(gpu: Gpu) -> Steps:
        quiet = gpu.wearing(Quiet)
        yield quiet.think(5.0)
        yield quiet.within(layer=1).peers[0].think(5.0)
        yield gpu.compute(FLOPS, "kernel")

    assert Lab(topology()).run([story]).end("kernel") == 1


def test_thinking_takes_time_of_the_host_and_is_a_cause() -> None:
    def story(gpu: Gpu) -> Steps:
        yield gpu.think(0.0, "nothing")
        yield gpu.think(2.0, "plan")
        yield gpu.compute(FLOPS, "kernel")

    lab = Lab(topology()).run([story])
    assert [one["label"] for one in lab.spans] == ["plan", "kernel"]  # nothing leaves no span
    assert (lab.times("plan"), lab.span("plan")["stream"]) == ((0, 0, 2), "host")


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_thinking_backwards_or_for_ever_is_told(seconds: float) -> None:
    with pytest.raises(PolicyError, match=r"'plan' on rank 0 takes .* seconds; give 0 or more"):
        Lab(topology()).run([lambda gpu: (yield gpu.think(seconds, "plan"))])


def test_sync_and_gap_are_settings_of_the_machine() -> None:
    def story(gpu: Gpu) -> Steps:
        yield gpu.sync()
        yield gpu.compute(FLOPS, "kernel", gap=gpu.gap)

    host = {"machine": {"host": {"sync": "1 s", "gap": "500 ms"}}}
    lab = Lab(topology(changes=host)).run([story])
    assert (lab.times("host sync"), lab.times("kernel")) == ((0, 0, 1), (1, 1, 2.5))


def test_a_pull_beside_a_kernel_hides_behind_it() -> None:
    def story(gpu: Gpu) -> Steps:
        for expert in range(3):
            pulled = gpu.pull(1, GB, f"expert {expert}")
            if expert:
                yield gpu.compute(FLOPS + BYTES, f"compute {expert - 1}")
            yield pulled

    lab = Lab(topology(1, 2)).run([story, nothing])
    assert [lab.end(f"compute {expert}") for expert in range(2)] == [3, 5]


def test_later_runs_beside_or_is_put_off() -> None:
    lab = Lab(topology())

    def weights(gpu: Gpu) -> Steps:
        yield gpu.compute(FLOPS, "weights")

    beside, shelf = lab.gpu(0), Shelf(put_off=True)
    put_off = beside.at(beside.place, shelf)
    assert put_off.later(weights(put_off)).done
    assert (len(shelf.steps), shelf.running) == (1, [])
    assert not beside.later(weights(beside)).done
    lab.run([])
    assert lab.times("weights") == (0, 0, 1)
    shelf.close(4)
    assert ([layer for layer, _ in shelf.blocks], shelf.steps) == ([4], [])


def test_both_and_either() -> None:
    ends = []

    def story(gpu: Gpu) -> Steps:
        short, long = gpu.pull(1, GB, "short"), gpu.think(3.0)
        yield short | long
        ends.append(round(gpu._cluster.timeline.now, 9))
        yield short & long
        ends.append(gpu._cluster.timeline.now)

    Lab(topology(1, 2)).run([story, nothing])
    assert ends == [1, 3]


def test_slots_and_what_is_first_and_recalled_belong_to_a_rank() -> None:
    lab = Lab(topology(1, 2))
    one, other = lab.gpu(0), lab.gpu(1)
    assert one.slots("pulls", 1) is one.within(layer=9).slots("pulls", 1)
    assert one.slots("pulls", 1) is not other.slots("pulls", 1)
    assert [one.first("key"), one.first("key"), other.first("key")] == [True, False, True]
    assert [
        one.recall("order", lambda: 1),
        one.recall("order", lambda: 2),
        other.recall("order", lambda: 3),
    ] == [1, 1, 3]


def test_credits_hold_pulls_back_until_an_expert_has_been_used() -> None:
    def fetch(gpu: Gpu) -> Steps:
        room = gpu.buffer("experts", 1)
        for expert in range(2):
            yield room.reserve()
            yield gpu.pull(1, GB, f"expert {expert}")
            room.arrived(expert)

    def story(gpu: Gpu) -> Steps:
        gpu.start(fetch(gpu))
        for expert in range(2):
            yield gpu.buffer("experts").arrival(expert)
            yield gpu.compute(FLOPS, f"compute {expert}")
            gpu.buffer("experts").release(expert)

    lab = Lab(topology(1, 2)).run([story, nothing])
    assert [lab.times(f"expert {expert}") for expert in range(2)] == [(0, 0, 1), (2, 2, 3)]
    assert lab.spans[lab.span("expert 1")["why"]]["label"] == "compute 0"
    assert lab.end("compute 1") == 4


def test_a_machine_fetches_once_for_all_of_its_gpus() -> None:
    def fetch(gpu: Gpu) -> Steps:
        yield gpu.copy(2, gpu.machine.host, GB, "stage")

    def story(gpu: Gpu) -> Steps:
        yield gpu.machine.once("expert", fetch(gpu))
        yield gpu.pull(gpu.machine.host, GB, "pull")
        if gpu.machine.complete("expert", gpu.machine.ranks):
            yield gpu.compute(FLOPS, "the last")

    lab = Lab(topology(2, 2)).run([story, story])
    assert lab.end("stage") == 1
    assert [lab.times("pull", rank) for rank in (0, 1)] == [(1, 1, 3)] * 2  # they share the uplink down
    assert lab.end("the last") == 4


def test_a_deadlock_of_credits_names_thread_place_and_buffer() -> None:
    def fetch(gpu: Gpu) -> Steps:
        for _ in range(2):
            yield gpu.buffer("experts", 1).reserve()

    def story(gpu: Gpu) -> Steps:
        inner = gpu.within(layer=3)
        yield inner.start(fetch(inner)) & gpu.buffer("experts", 1).arrival("expert 5")

    with pytest.raises(DeadlockError) as error:
        Lab(topology()).run([story])
    inner = "rank 0 at step 0 micro-batch 0 layer 3 forward (F0)"
    assert error.value.waiting == (
        f"rank 0 waits for {inner} and the arrival of expert 5 in buffer experts of rank 0",
        f"{inner} waits for a credit of buffer experts of rank 0",
    )


def test_a_thread_is_named_by_rank_and_place_when_it_yields_nonsense() -> None:
    def inner(gpu: Gpu) -> Steps:
        yield gpu.compute  # type: ignore[misc]

    def story(gpu: Gpu) -> Steps:
        yield gpu.start(inner(gpu))

    with pytest.raises(PolicyError, match=r"^rank 0 at step 0 micro-batch 0 layer 0 forward \(F0\): yielded"):
        Lab(topology()).run([story])
