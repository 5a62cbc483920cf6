"""Gradients that all ranks sum: the dense ones in buckets, those of the experts over their replicas."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from janus_sim.engine.gpu import Gpu, Shelf
from janus_sim.engine.place import Place
from janus_sim.engine.time import Activity, Steps

if TYPE_CHECKING:
    from janus_sim.step.one import Step


class Reduction:
    """The gradients of one rank in one step, block after block, each once the last pass went through it.

    Parameters
    ----------
    step : Step
    gpu : Gpu
    """

    def __init__(self, step: Step, gpu: Gpu) -> None:
        passes = [one for passes in step.order for one in passes if one.kind in "BW"]
        place = Place(step.index, passes[-1].micro_batch, lane="dense")
        self.step, self.gpu = step, gpu.at(place, Shelf(put_off=False))
        self.passes = len(passes)
        self.gone: Counter[int] = Counter()  # how many passes went through each block
        self.weights: dict[int, list[Activity]] = {}  # the weight gradients of each block
        self.filled = 0
        self.before: Activity = gpu.all([])
        self.waits: list[Activity] = []

    def block(self, layer: int, weights: Sequence[Activity]) -> None:
        """One pass went through a block; the last takes it in when its weight gradients are done.

        Blocks go into the buckets one after another, so that all ranks fill them alike.
        """
        self.weights.setdefault(layer, []).extend(weights)
        self.gone[layer] += 1
        if self.gone[layer] == self.passes:
            self.before = self.gpu.start(self._block(self.before, layer, self.weights.pop(layer)))

    def close(self) -> Activity:
        """Flush the last bucket; over when everything is summed."""
        return self.gpu.start(self._close(self.before))

    def _block(self, before: Activity, layer: int, weights: Sequence[Activity]) -> Steps:
        step, gpu = self.step, self.gpu.within(layer=layer, phase="backward")
        yield gpu.all([before, *weights])
        self._fill(gpu, step.workload.gradient_bytes(layer))
        if step.kernels.is_moe(layer):
            visit = step.visit(gpu.place.micro_batch, layer, "backward", step.layout.group_of(gpu.rank))
            replicas = step.layout.replicas_of(gpu.rank)
            self.waits.append(gpu.start(step.policy.gradients(gpu, visit, replicas)))

    def _close(self, before: Activity) -> Steps:
        yield before
        ends = self.step.kernels.embedding_parameters + self.step.kernels.head_parameters
        self._fill(self.gpu, ends * self.step.workload.spec.element, flush=True)
        yield self.gpu.all(self.waits)

    def _fill(self, gpu: Gpu, size: int, *, flush: bool = False) -> None:
        self.filled += size
        world = tuple(range(self.step.layout.world))
        if self.filled and len(world) > 1 and (flush or self.filled >= self.step.workload.spec.bucket):
            self.waits.append(gpu.all_reduce(world, self.filled, "dense gradients", traffic="dense"))
            self.filled = 0
