"""One training step on all ranks: it reads policy and schedule, and owns dense gradients, plans and the past."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from janus_sim.engine.cluster import Cluster
from janus_sim.engine.gpu import Gpu, Shelf
from janus_sim.engine.place import Place
from janus_sim.engine.time import Activity, Steps
from janus_sim.policies.base import Policy
from janus_sim.record import StepRecord
from janus_sim.schedules.base import Pass, Schedule
from janus_sim.workload.layer import MoELayer, Plan, RoutedLayer

if TYPE_CHECKING:
    from janus_sim.workload.copies import Ints
    from janus_sim.workload.kernel import Kernel
    from janus_sim.workload.workload import Workload


@dataclass(frozen=True)
class Training:
    """A workload on a cluster under a policy and a schedule.

    Attributes
    ----------
    seed : int
        Of the start jitter.
    """

    cluster: Cluster
    workload: Workload
    policy: Policy
    schedule: Schedule
    seed: int = 0

    def run(self, steps: int) -> tuple[list[StepRecord], list[Step]]:
        """Run some steps, one after another; each begins when nothing of the one before is in flight."""
        records, done, plan = [], [], self.workload.plan
        for index in range(steps):
            step = Step(self, index, old=plan)
            records.append(step.run())
            done.append(step)
            plan = step.plan
        return records, done


@dataclass
class Step:
    """One step; its tables are shared by all ranks."""

    training: Training
    index: int
    old: Plan
    _routed: dict[tuple[int, int, str, int], RoutedLayer] = field(default_factory=dict)
    _past: dict[tuple[int, int], Ints | None] = field(default_factory=dict)
    _visits: dict[int, list[MoELayer]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        training = self.training
        self.cluster, self.workload, self.policy = training.cluster, training.workload, training.policy
        self.kernels, self.layout = self.workload.kernels, self.workload.layout
        self.order = training.schedule.order(0, 1, self.workload.micro_batches)
        final = [one for passes in self.order for one in passes if one.kind in "BW"]
        self.final = final[-1]  # the pass after which the gradients are complete
        self.plan = self.old
        self.plan = self.policy.plan([self.visit(0, layer, "forward", 0) for layer in self.workload.moe_layers], self.old)
        self.barrier = Activity(self.cluster.timeline, "the gradients of all ranks")
        self.arrived = 0

    # --- all ranks ---

    def run(self) -> StepRecord:
        """Run the step on every rank until nothing is in flight."""
        cluster, timeline = self.cluster, self.cluster.timeline
        begin, timeline.why = timeline.now, -1
        for rank in range(self.layout.world):
            gpu = self.policy.words(Gpu(cluster, rank, Place(self.index), Shelf(put_off=False)))
            timeline.start(self._rank(gpu), "rank", rank)
        timeline.run()
        cluster.end_step()
        last = len(cluster.log) - 1
        return StepRecord(self.index, begin, cluster.log.end(last), last)

    def visit(self, micro_batch: int, layer: int, phase: str, group: int, plan: Plan | None = None) -> MoELayer:
        """Return a visit to a layer before its gate has run."""
        past = self._past_of(layer, group)
        return self.workload.moe_layer(self.index, micro_batch, layer, phase, group, plan or self.plan, past)

    def routed(self, micro_batch: int, layer: int, phase: str, group: int) -> RoutedLayer:
        """Return a visit after its gate: one value for all ranks of the group."""
        key = (micro_batch, layer, phase, group)
        if key not in self._routed:
            past = self._past_of(layer, group)
            self._routed[key] = self.workload.routed(self.index, micro_batch, layer, phase, group, self.plan, past)
        return self._routed[key]

    def visits(self, group: int) -> list[MoELayer]:
        """Return every visit of the step, in the order of the schedule: one list for all ranks of the group."""
        if group not in self._visits:
            self._visits[group] = self._all_visits(group)
        return self._visits[group]

    def _all_visits(self, group: int) -> list[MoELayer]:
        moe, again = self.workload.moe_layers, self.workload.spec.recompute == "full"
        visits = []
        for one in (one for passes in self.order for one in passes):
            if one.kind == "F":
                visits += [self.visit(one.micro_batch, layer, "forward", group) for layer in moe]
            elif one.kind in "BI":
                phases = ("again", "backward") if again else ("backward",)
                visits += [
                    self.visit(one.micro_batch, layer, phase, group) for layer in reversed(moe) for phase in phases
                ]
        return visits

    def _past_of(self, layer: int, group: int) -> Ints | None:
        if (layer, group) not in self._past:
            self._past[layer, group] = self.workload.past(self.index, layer, group)
        return self._past[layer, group]

    # --- one rank ---

    def _rank(self, gpu: Gpu) -> Steps:
        """The whole step on one rank."""
        group = self.layout.group_of(gpu.rank)
        yield gpu.think(self._jitter(gpu), "start jitter")
        if self.plan != self.old:
            yield gpu.think(self.plan.seconds, "plan")
            moe = self.workload.moe_layers
            old, new = ([self.visit(0, layer, "forward", group, plan) for layer in moe] for plan in (self.old, self.plan))
            yield from self.policy.move(gpu.within(lane="move"), old, new)
        gpu.start(self.policy.beside(gpu.within(lane="beside"), self.visits(group)))
        shelves: dict[tuple[int, int], Shelf] = {}
        waits: list[Activity] = []
        for passes in self.order:
            yield gpu.all([gpu.start(self._pass(gpu, one, shelves, waits)) for one in passes])
        yield gpu.all(waits)
        yield self._arrive(gpu)
        yield gpu.compute(self._optimizer(gpu.rank), "optimizer")

    def _pass(self, gpu: Gpu, one: Pass, shelves: dict[tuple[int, int], Shelf], waits: list[Activity]) -> Steps:
        place = Place(self.index, one.micro_batch, lane=str(one))
        key = (one.micro_batch, one.piece)
        if one.kind == "F":
            yield from self._forward(gpu.at(place))
            return
        if one.kind != "W":
            shelves[key] = Shelf(put_off=one.kind == "I")
        reduction = Reduction(self, gpu.at(Place(self.index, one.micro_batch, lane="dense"), Shelf(put_off=False)))
        if one.kind == "W":
            yield from self._weights(gpu.at(place), shelves[key], reduction if one == self.final else None)
        else:
            yield from self._backward(gpu.at(place, shelves[key]), shelves[key], reduction if one == self.final else None)
            waits += shelves[key].running
        if one == self.final:
            waits.append(reduction.close())

    def _forward(self, gpu: Gpu) -> Steps:
        """Embedding, all blocks, loss head."""
        kernels = self.kernels
        yield gpu.compute(kernels.embedding(), "embedding")
        for layer in range(self.workload.spec.model.layers):
            yield from self._block(gpu.within(layer=layer, phase="forward"), layer)
        yield gpu.compute(kernels.head(), "loss head")

    def _block(self, gpu: Gpu, layer: int) -> Steps:
        """One block forward, or again when it is recomputed."""
        kernels, moe = self.kernels, self.kernels.is_moe(layer)
        yield gpu.compute(kernels.before(layer), "attention and gate" if moe else "attention and FFN")
        if moe:
            yield from self.policy.forward(gpu, self._at_gate(gpu, layer))
            yield gpu.compute(kernels.after(layer), "combine rows")

    def _at_gate(self, gpu: Gpu, layer: int) -> RoutedLayer:
        place = gpu.place
        return self.routed(place.micro_batch, layer, place.phase, self.layout.group_of(gpu.rank))

    def _backward(self, gpu: Gpu, shelf: Shelf, reduction: Reduction | None) -> Steps:
        """All blocks backwards; weight gradients go beside or on the shelf."""
        kernels = self.kernels
        head, weights = kernels.head_backward()
        yield gpu.compute(head, "loss head backward")
        gpu.later(_weights(gpu, weights, "loss head weights"))
        for layer in reversed(range(self.workload.spec.model.layers)):
            here = gpu.within(layer=layer, phase="backward")
            if self.workload.spec.recompute == "full":
                yield from self._block(gpu.within(layer=layer, phase="again"), layer)
            if kernels.is_moe(layer):
                after, weights = kernels.after_backward(layer)
                yield here.compute(after, "combine rows backward")
                here.later(_weights(here, weights, "combine rows weights"))
                yield from self.policy.backward(here, self._at_gate(here, layer))
            before, weights = kernels.before_backward(layer)
            yield here.compute(before, "attention backward")
            here.later(_weights(here, weights, "attention weights"))
            shelf.close(layer)
            if reduction and not shelf.put_off:
                reduction.block(layer, list(shelf.running))
        yield gpu.compute(kernels.embedding_backward(), "embedding backward")
        shelf.close(-1)

    def _weights(self, gpu: Gpu, shelf: Shelf, reduction: Reduction | None) -> Steps:
        """What the shelf holds, block by block."""
        for layer, steps in shelf.blocks:
            for one in steps:
                yield from one
            if reduction and layer >= 0:
                reduction.block(layer, [])

    def _arrive(self, gpu: Gpu) -> Activity:
        """The only synchronisation of all GPUs: every gradient is home."""
        self.arrived += 1
        if self.arrived == self.layout.world:
            self.barrier.finish(self.cluster.timeline.why)
        return self.barrier

    def _jitter(self, gpu: Gpu) -> float:
        """Return the seeded delay with which a rank begins, uniform from 0 to the machine's `jitter`."""
        jitter = self.cluster.host[gpu.rank].jitter
        return jitter * float(np.random.default_rng([self.training.seed, self.index, gpu.rank]).random()) if jitter else 0.0

    def _optimizer(self, rank: int) -> tuple[Kernel, ...]:
        """Return the kernels that update all parameters of a rank."""
        kernels, moe = self.kernels, self.workload.moe_layers
        group = self.layout.group_of(rank)
        experts = sum(
            int((self.workload.homes(self.plan, index, group) == rank).sum()) * kernels.expert_parameters(layer)
            for index, layer in enumerate(moe)
        )
        dense = sum(kernels.dense_parameters(layer) for layer in range(self.workload.spec.model.layers))
        return kernels.optimizer(dense + kernels.embedding_parameters + kernels.head_parameters, experts)


def _weights(gpu: Gpu, kernels: tuple[Kernel, ...], label: str) -> Steps:
    if kernels:
        yield gpu.compute(kernels, label)


class Reduction:
    """The dense gradients of one rank, in buckets, block after block; and the experts' over their replicas."""

    def __init__(self, step: Step, gpu: Gpu) -> None:
        self.step, self.gpu = step, gpu
        self.filled = 0
        self.before: Activity = gpu.all([])
        self.waits: list[Activity] = []

    def block(self, layer: int, weights: Sequence[Activity]) -> None:
        """Take in a block as soon as its weight gradients, and the block after it, are done."""
        self.before = self.gpu.start(self._block(self.before, layer, weights))

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
