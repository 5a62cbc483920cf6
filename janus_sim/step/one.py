"""One training step on all ranks: its tables, its plan, and the end of it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from janus_sim.engine.cluster import Cluster
from janus_sim.engine.gpu import Gpu, Shelf
from janus_sim.engine.place import Place
from janus_sim.engine.time import Activity
from janus_sim.errors import InputError, Mistake
from janus_sim.policies.base import Policy
from janus_sim.record import StepRecord
from janus_sim.schedules.base import Pass, Schedule, checked
from janus_sim.step.alike import LEAVE
from janus_sim.step.past import Past
from janus_sim.step.rank import Rank
from janus_sim.workload.layer import MoELayer, Plan, RoutedLayer

if TYPE_CHECKING:
    from janus_sim.workload.workload import Workload


@contextmanager
def no_collection() -> Iterator[None]:
    """Put the collection of cycles off, which looks at all spans over and over: a third of a large run."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


@dataclass
class Step:
    """One step; its tables are shared by all ranks.

    Attributes
    ----------
    index : int
        Which step of the run.
    old, plan : Plan
        Where experts lived in the step before, and where they live in this one.
    order : list of tuple of Pass
        What each rank runs.
    """

    cluster: Cluster
    workload: Workload
    policy: Policy
    schedule: Schedule
    past: Past
    index: int
    old: Plan
    seed: int = 0
    _routed: dict[tuple[int, int, str, int], RoutedLayer] = field(default_factory=dict)
    _visits: dict[int, list[MoELayer]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        workload = self.workload
        self.kernels, self.layout = workload.kernels, workload.layout
        self.order: list[tuple[Pass, ...]] = checked(
            self.schedule.order(0, 1, workload.micro_batches), workload.micro_batches
        )
        self.plan = self.old
        self.plan = self.policy.plan([self._before_all(layer) for layer in workload.moe_layers], self.old)
        if self.cluster.images > 1 and self.plan != self.old:
            raise InputError(Mistake("alike", f"the policy moves experts, so machines differ; {LEAVE}"))
        self.barrier = Activity(self.cluster.timeline, "the gradients of all ranks")
        self.arrived = 0

    def run(self) -> StepRecord:
        """Run the step on every rank until nothing is in flight."""
        cluster, timeline = self.cluster, self.cluster.timeline
        begin, timeline.why = timeline.now, -1
        for rank in range(cluster.alive):
            gpu = self.policy.words(Gpu(cluster, rank, Place(self.index), Shelf(put_off=False)))
            timeline.start(Rank(self, gpu).run(), "rank", rank)
        with no_collection():
            timeline.run()
        cluster.end_step()
        last = len(cluster.log) - 1
        return StepRecord(self.index, begin, cluster.log.end(last), last)

    def arrive(self) -> Activity:
        """One more rank has its gradients home. Over when all have: the only synchronisation of all GPUs."""
        self.arrived += 1
        if self.arrived == self.cluster.alive:
            self.barrier.finish(self.cluster.timeline.why)
        return self.barrier

    def visit(
        self, micro_batch: int, layer: int, phase: str, group: int, plan: Plan | None = None
    ) -> MoELayer:
        """Return a visit to a layer before its gate has run."""
        past = self.past.of(self.index, layer, group)
        return self.workload.moe_layer(self.index, micro_batch, layer, phase, group, plan or self.plan, past)

    def routed(self, micro_batch: int, layer: int, phase: str, group: int) -> RoutedLayer:
        """Return a visit after its gate: one value for all ranks of the group."""
        key = (micro_batch, layer, phase, group)
        if key not in self._routed:
            past = self.past.of(self.index, layer, group)
            self._routed[key] = self.workload.routed(
                self.index, micro_batch, layer, phase, group, self.plan, past
            )
        return self._routed[key]

    def visits(self, group: int) -> list[MoELayer]:
        """Return every visit of the step, in the order of the schedule: one list for all ranks of a group.

        A policy that may see the future gets them with their counts.
        """
        if group not in self._visits:
            self._visits[group] = self._all_visits(group)
        return self._visits[group]

    def _all_visits(self, group: int) -> list[MoELayer]:
        moe = self.workload.moe_layers
        see = self.routed if self.policy.bound else self.visit
        again = ("again", "backward") if self.workload.spec.recompute == "full" else ("backward",)
        visits = []
        for one in (one for passes in self.order for one in passes):
            if one.kind == "F":
                visits += [see(one.micro_batch, layer, "forward", group) for layer in moe]
            elif one.kind in "BI":
                visits += [
                    see(one.micro_batch, layer, phase, group) for layer in reversed(moe) for phase in again
                ]
        return visits

    def _before_all(self, layer: int) -> MoELayer:
        """Return what a plan may know of a layer: the past of all groups, at the places of the first."""
        known = self.index + self.policy.bound  # who may see the future knows this step too
        return replace(self.visit(0, layer, "forward", 0), past=self.past.of_all(known, layer))
