"""The compute stream: first in, first out, at the speed that others leave."""

from __future__ import annotations

import pytest

from janus_sim.engine.gpu import Gpu
from janus_sim.engine.time import Steps
from janus_sim.errors import PolicyError
from janus_sim.topology import Topology
from janus_sim.workload.kernel import Kernel
from tests.engine.lab import BYTES, FLOPS, Lab, topology


def test_kernels_run_one_after_another_in_the_order_of_their_calls() -> None:
    def story(gpu: Gpu) -> Steps:
        one, two = gpu.compute(FLOPS, "one"), gpu.compute(BYTES, "two")
        yield two & one

    lab = Lab(topology()).run([story])
    assert (lab.times("one"), lab.times("two")) == ((0, 0, 1), (1, 1, 2))
    assert lab.span("two")["why"] == 0


def test_an_idle_stream_takes_the_reason_of_who_issued() -> None:
    def story(gpu: Gpu) -> Steps:
        yield gpu.think(2.0)
        yield gpu.compute(FLOPS, "one")

    lab = Lab(topology()).run([story])
    assert lab.times("one") == (2, 2, 3)
    assert lab.spans[lab.span("one")["why"]]["label"] == "think"


def test_kernels_of_one_call_run_back_to_back_and_no_kernels_take_no_time() -> None:
    def story(gpu: Gpu) -> Steps:
        yield gpu.compute(FLOPS + BYTES, "both")
        yield gpu.compute((), "none")

    lab = Lab(topology()).run([story])
    assert (lab.end("both"), lab.times("none")) == (2, (2, 2, 2))


@pytest.mark.parametrize(("kernels", "end"), [(FLOPS, 2.0), (BYTES, 1.0)])
def test_a_communication_kernel_slows_what_is_bound_by_flops_alone(
    kernels: tuple[Kernel, ...], end: float
) -> None:
    lab = Lab(topology())
    lab.cluster.computes[0].take(54)  # half of the SMs
    lab.run([lambda gpu: (yield gpu.compute(kernels, "kernel"))])
    assert lab.end("kernel") == end


def test_so_do_the_kernels_of_an_a100() -> None:
    from janus_sim.engine.cluster import Cluster

    clock = Cluster(Topology.load("two_gpus")).computes[0].clock
    product = (Kernel.product("a", m=8192, n=8192, k=8192, precision="fp16"),)
    assert clock.seconds(product, 0.5) == pytest.approx(2 * clock.seconds(product), rel=0.01)
    assert clock.seconds(BYTES, 0.5) == clock.seconds(BYTES)


def test_sms_taken_in_the_middle_slow_what_is_left() -> None:
    lab = Lab(topology())
    stream, timeline = lab.cluster.computes[0], lab.cluster.timeline
    timeline.after(0.5, lambda _: stream.take(54))
    lab.run([lambda gpu: (yield gpu.compute(FLOPS, "kernel"))])
    assert lab.end("kernel") == 1.5  # half at full speed, half at half


def test_sms_given_back_leave_no_trace_on_the_clock() -> None:
    lab = Lab(topology())
    stream, timeline = lab.cluster.computes[0], lab.cluster.timeline
    stream.take(54)
    timeline.after(1.0, lambda _: stream.take(-54))
    lab.run([lambda gpu: (yield gpu.compute(FLOPS, "kernel"))])
    assert lab.end("kernel") == 1.5
    assert timeline.now == 1.5  # not 2.0, when it would have ended


def test_a_kernel_that_holds_all_sms_leaves_one() -> None:
    lab = Lab(topology())
    lab.cluster.computes[0].take(200)
    lab.run([lambda gpu: (yield gpu.compute(FLOPS, "kernel"))])
    assert lab.end("kernel") == 108


def test_a_slow_gpu_takes_longer_for_everything() -> None:
    slow = topology(changes={"overrides": [{"gpus": [0], "speed": 0.8}]})
    lab = Lab(slow).run([lambda gpu: (yield gpu.compute(FLOPS + BYTES, "kernel"))])
    assert lab.end("kernel") == 2.5


def test_a_gpu_that_turns_slow_in_the_middle_of_a_kernel() -> None:
    slow = topology(changes={"overrides": [{"gpus": [0], "speed": 0.5, "at": "600 ms"}]})
    lab = Lab(slow).run([lambda gpu: (yield gpu.compute(BYTES, "kernel"))])
    assert lab.end("kernel") == 1.4


def test_host_time_comes_before_and_padding_does_not_count() -> None:
    lab = Lab(topology()).run([lambda gpu: (yield gpu.compute(FLOPS, "kernel", gap=0.5, useful=0.25))])
    span = lab.span("kernel")
    assert (span["end"], span["launch"]) == (1.5, 0.5)
    assert (span["padded_flops"], span["flops"], span["ideal"]) == (1e9, 0.25e9, 0.25)


@pytest.mark.parametrize("wrong", [FLOPS[0], list(FLOPS), None])
def test_a_call_without_a_tuple_of_kernels_is_told(wrong: object) -> None:
    with pytest.raises(PolicyError, match="'kernel' on rank 0: compute takes a tuple of kernels"):
        Lab(topology()).run([lambda gpu: (yield gpu.compute(wrong, "kernel"))])  # type: ignore[arg-type]
