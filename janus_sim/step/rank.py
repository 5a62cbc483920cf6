"""One training step on one rank: the passes of the schedule, block by block."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from janus_sim.engine.gpu import Gpu, Shelf
from janus_sim.engine.place import Place
from janus_sim.engine.time import Activity, Steps
from janus_sim.schedules.base import Pass
from janus_sim.step.reduction import Reduction
from janus_sim.workload.layer import RoutedLayer

if TYPE_CHECKING:
    from janus_sim.step.one import Step
    from janus_sim.workload.kernel import Kernel


class Rank:
    """What one rank does in a step; the policy runs in a thread of its own, named by its layer if it hangs.

    Parameters
    ----------
    step : Step
    gpu : Gpu
        In the words of the policy.
    """

    def __init__(self, step: Step, gpu: Gpu) -> None:
        self.step, self.gpu = step, gpu
        self.policy, self.kernels = step.policy, step.kernels
        self.group = step.layout.group_of(gpu.rank)
        self.recompute = step.workload.spec.recompute == "full"
        self.blocks = range(step.workload.spec.model.layers)
        self.shelves: dict[int, Shelf] = {}
        self.waits: list[Activity] = []
        self.reduction = Reduction(step, gpu)

    def run(self) -> Steps:
        """The whole step."""
        gpu = self.gpu
        yield gpu.think(self._jitter(), "start jitter")
        yield from self._move()
        gpu.start(self.policy.beside(gpu.within(lane="beside"), self.step.visits(self.group)))
        for passes in self.step.order:
            yield gpu.all([gpu.start(self._pass(one)) for one in passes])
        yield gpu.all([*self.waits, self.reduction.close()])
        yield self.step.arrive()
        yield gpu.compute(self._optimizer(), "optimizer")

    def _move(self) -> Steps:
        """Bring experts to where a new plan wants them."""
        step, gpu = self.step, self.gpu
        if step.plan != step.old:
            yield gpu.think(step.plan.seconds, "plan")
            old, new = (
                [step.visit(0, layer, "forward", self.group, plan) for layer in step.workload.moe_layers]
                for plan in (step.old, step.plan)
            )
            yield from self.policy.move(gpu.within(lane="move"), old, new)

    def _pass(self, one: Pass) -> Steps:
        place = Place(self.step.index, one.micro_batch, lane=str(one))
        if one.kind == "F":
            yield from self._forward(self.gpu.at(place))
        elif one.kind == "W":
            self._weights(self.shelves[one.micro_batch])
        else:
            shelf = self.shelves[one.micro_batch] = Shelf(put_off=one.kind == "I")
            yield from self._backward(self.gpu.at(place, shelf), shelf)

    def _forward(self, gpu: Gpu) -> Steps:
        """Embedding, all blocks, loss head."""
        yield gpu.compute(self.kernels.embedding(), "embedding")
        for layer in self.blocks:
            yield from self._block(gpu.within(layer=layer, phase="forward"), layer)
        yield gpu.compute(self.kernels.head(), "loss head")

    def _block(self, gpu: Gpu, layer: int) -> Steps:
        """One block forward, or again when it is recomputed."""
        moe = self.kernels.is_moe(layer)
        yield gpu.compute(self.kernels.before(layer), "attention and gate" if moe else "attention and FFN")
        if moe:
            yield gpu.start(self.policy.forward(gpu, self._at_gate(gpu, layer)))
            yield gpu.compute(self.kernels.after(layer), "combine rows")

    def _backward(self, gpu: Gpu, shelf: Shelf) -> Steps:
        """All blocks backwards; weight gradients go beside or on the shelf."""
        head, weights = self.kernels.head_backward()
        yield gpu.compute(head, "loss head backward")
        gpu.later(_compute(gpu, weights, "loss head weights"))
        for layer in reversed(self.blocks):
            if self.recompute:
                yield from self._block(gpu.within(layer=layer, phase="again"), layer)
            yield from self._block_backward(gpu.within(layer=layer, phase="backward"), layer)
            shelf.close(layer)
            if not shelf.put_off:
                self._done(layer, shelf)
        yield gpu.compute(self.kernels.embedding_backward(), "embedding backward")

    def _block_backward(self, gpu: Gpu, layer: int) -> Steps:
        """What came after the experts, the experts, what came before them."""
        if self.kernels.is_moe(layer):
            after, weights = self.kernels.after_backward(layer)
            yield gpu.compute(after, "combine rows backward")
            gpu.later(_compute(gpu, weights, "combine rows weights"))
            yield gpu.start(self.policy.backward(gpu, self._at_gate(gpu, layer)))
        before, weights = self.kernels.before_backward(layer)
        yield gpu.compute(before, "attention backward")
        gpu.later(_compute(gpu, weights, "attention weights"))

    def _weights(self, shelf: Shelf) -> None:
        """Start what the shelf holds, block by block; the compute stream keeps the order."""
        for layer, steps in shelf.blocks:
            shelf.running += [self.gpu.start(one) for one in steps]
            self._done(layer, shelf)

    def _done(self, layer: int, shelf: Shelf) -> None:
        """Hand the weight gradients of a block, all started by now, to the reduction."""
        self.waits += shelf.running
        self.reduction.block(layer, shelf.running)
        shelf.running = []

    def _at_gate(self, gpu: Gpu, layer: int) -> RoutedLayer:
        return self.step.routed(gpu.place.micro_batch, layer, gpu.place.phase, self.group)

    def _jitter(self) -> float:
        """Return the seeded delay with which a rank begins, uniform from 0 to the machine's `jitter`."""
        step, rank = self.step, self.gpu.rank
        most = step.cluster.host[rank].jitter
        return most * float(np.random.default_rng([step.seed, step.index, rank]).random()) if most else 0.0

    def _optimizer(self) -> tuple[Kernel, ...]:
        """Return the kernels that update all parameters of the rank."""
        step, kernels = self.step, self.kernels
        experts = sum(
            int((step.workload.homes(step.plan, moe, self.group) == self.gpu.rank).sum())
            * kernels.expert_parameters(layer)
            for moe, layer in enumerate(step.workload.moe_layers)
        )
        dense = sum(kernels.dense_parameters(layer) for layer in self.blocks)
        return kernels.optimizer(dense + kernels.embedding_parameters + kernels.head_parameters, experts)


def _compute(gpu: Gpu, kernels: tuple[Kernel, ...], label: str) -> Steps:
    if kernels:
        yield gpu.compute(kernels, label)
