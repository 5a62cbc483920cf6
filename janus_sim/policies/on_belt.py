"""`DataCentric` on the compiled belt, and the policies that have it inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from janus_sim.engine.gpu import Gpu
from janus_sim.engine.time import Activity, Steps
from janus_sim.policies import order
from janus_sim.policies.base import Policy, towards
from janus_sim.policies.belt_experts import Experts, Run
from janus_sim.policies.belt_fetch import Fetch
from janus_sim.policies.belt_ground import Bools, Ground, Ints
from janus_sim.policies.data_centric import DataCentric
from janus_sim.policies.janus import Janus
from janus_sim.workload.layer import MoELayer, RoutedLayer


@dataclass(frozen=True)
class OnBelt(DataCentric):
    """The same tasks as `DataCentric`, its twin, for all GPUs of a group at once and as arrays."""

    def beside(self, gpu: Gpu, visits: Sequence[MoELayer]) -> Steps:
        """Put all pulls of the step on the belt; each GPU lets its own go."""
        if visits:
            gpu.belt.recall("room", lambda: order.room(self.credits, visits))
        if self.prefetch and visits:
            first = gpu.belt.recall(("fetch", visits[0].group[0]), lambda: self._prefetch(gpu, visits))
            for layer in visits:
                if gpu.machine.complete(("stage", layer.key), 1):
                    self._let_stage(towards(gpu, layer), layer, np.ones((1, layer.experts), dtype=bool))
            self._go(gpu, first, visits[0].group.index(gpu.rank))
        yield from ()

    def forward(self, gpu: Gpu, layer: RoutedLayer) -> Steps:
        """Let my experts go, and wait for the last."""
        run, me = self._run(gpu, layer), layer.group.index(gpu.rank)
        yield self._begin(gpu, layer, run, me)

    def backward(self, gpu: Gpu, layer: RoutedLayer) -> Steps:
        """The same backwards; gradients travel beside."""
        run, me = self._run(gpu, layer), layer.group.index(gpu.rank)
        over = self._begin(gpu, layer, run, me)
        if (layer.useful[me] > 0).any():
            gpu.later(_wait(gpu.belt.watch(int(run.joins[me]), f"gradients of layer {layer.layer}")))
        yield over

    def _begin(self, gpu: Gpu, layer: RoutedLayer, run: Run, me: int) -> Activity:
        belt = gpu.belt
        if not self.prefetch:
            self._let_stage(gpu, layer, layer.useful > 0, me)
            first = belt.recall(("fetch", layer.key), lambda: np.zeros(0, dtype=np.int64))
            self._go(gpu, first, me)
        if run.ends[me] == run.begins[me]:
            belt.go(run.begins[[me]])
            return gpu.all([])
        over = belt.watch(int(run.ends[me]), f"the experts of {gpu.place}")
        belt.go(run.begins[[me]])
        return over

    def _go(self, gpu: Gpu, first: Ints, me: int) -> None:
        if first[me] >= 0:
            gpu.belt.go(first[[me]])

    def _run(self, gpu: Gpu, layer: RoutedLayer) -> Run:
        """Return the tasks of a visit; the first of the group who comes puts them on the belt."""
        belt = gpu.belt

        def put() -> Run:
            fetch = self._fetcher(gpu, layer)
            if not self.prefetch:
                first = fetch.put(layer, layer.useful > 0, 1)
                belt.await_go(first[first >= 0])
                belt.recall(("fetch", layer.key), lambda: first)
            return Experts(fetch, layer, gpu.gap).put()

        return belt.recall(("run", layer.key), put)

    def _prefetch(self, gpu: Gpu, visits: Sequence[MoELayer]) -> Ints:
        """Put the pulls of all visits on the belt, nearer ones first; return the first of each member."""
        every: Bools = np.ones((len(visits[0].group), visits[0].experts), dtype=bool)
        first = np.full(len(visits[0].group), -1)
        last: dict[int, int] = {}
        for turn, layer in enumerate(visits, start=1):
            fetch = self._fetcher(towards(gpu, layer), layer)
            fetch.last = last
            begin = fetch.put(layer, np.ones_like(every), turn)
            first = np.where(first < 0, begin, first)
        gpu.belt.await_go(first[first >= 0])
        return first

    def _fetcher(self, gpu: Gpu, layer: MoELayer) -> Fetch:
        belt = gpu.belt
        ground = belt.recall(
            ("ground", layer.home.tobytes(), layer.group[0]), lambda: Ground.of(self, gpu, layer)
        )
        room = belt.recall("room", lambda: order.room(self.credits, [layer]))
        return Fetch(self, belt, gpu, ground, room)

    def _let_stage(self, gpu: Gpu, layer: MoELayer, wanted: Bools, me: int = -1) -> None:
        """Let go the staging of what is wanted by me, in order of use; what is on its way goes on."""
        fetch, place = self._fetcher(gpu, layer), layer.group.index(gpu.rank)
        experts = fetch.ground.order[place]
        chosen = wanted[me][experts] & fetch.ground.external[place][experts]
        stages = fetch.staged(layer)[gpu.machine.index, experts[chosen]]
        gpu.belt.go(stages[stages >= 0])


def _wait(activity: Activity) -> Steps:
    yield activity


def on_belt(policy: Policy) -> Policy | None:
    """Return the policy with `DataCentric` on the belt, or None where that is not known to give the same.

    Examples
    --------
    >>> on_belt(Janus()).data
    OnBelt(hierarchical=True, ...)
    >>> on_belt(DataCentric(in_flight=2)).in_flight
    2
    """
    if type(policy) is DataCentric:
        knobs: dict[str, Any] = {one.name: getattr(policy, one.name) for one in fields(policy)}
        return OnBelt(**knobs)
    if type(policy) is Janus and (data := on_belt(policy.data)) is not None:
        return replace(policy, data=data)
    return None
