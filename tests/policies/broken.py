"""Policies that break one clause of the contract each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from janus_sim.engine.gpu import Gpu
from janus_sim.engine.time import Steps
from janus_sim.policies import DataCentric, ExpertCentric
from janus_sim.workload.layer import MoELayer, RoutedLayer


@dataclass(frozen=True)
class DropsAnExpert(ExpertCentric):
    """Forgets its last expert in forward."""

    def forward(self, gpu: Gpu, layer: RoutedLayer) -> Steps:
        yield gpu.all_to_all(layer.dispatch, "dispatch")
        for expert, rows in layer.mine(gpu.rank)[:-1]:
            yield gpu.compute(
                layer.kernel(expert, rows), f"expert {expert}", useful=layer.kept(expert) / rows
            )
        yield gpu.all_to_all(layer.combine, "combine")


@dataclass(frozen=True)
class RunsTwice(ExpertCentric):
    """Computes its weight gradients twice."""

    def _weights(self, gpu: Gpu, layer: RoutedLayer, expert: int, rows: int, useful: float) -> Steps:
        for _ in range(2):
            yield from super()._weights(gpu, layer, expert, rows, useful)


@dataclass(frozen=True)
class Everywhere(ExpertCentric):
    """Pretends that every expert is everywhere."""

    def forward(self, gpu: Gpu, layer: RoutedLayer) -> Steps:
        for expert in range(layer.experts):
            yield gpu.compute(layer.kernel(expert, layer.rows(gpu.rank, expert)), f"expert {expert}")


@dataclass(frozen=True)
class LeaksACredit(ExpertCentric):
    """Reserves a room and keeps it."""

    def beside(self, gpu: Gpu, visits: Sequence[MoELayer]) -> Steps:
        yield gpu.buffer("mine", 2).reserve()


@dataclass(frozen=True)
class Peeks(DataCentric):
    """Prefetches one more expert if the routing is going to be sharp."""

    def beside(self, gpu: Gpu, visits: Sequence[MoELayer]) -> Steps:
        if visits[0].kernels.spec.routing.exponent >= 2:
            yield gpu.pull(1 - gpu.rank, 1, "expert 0")
        yield from super().beside(gpu, visits)


@dataclass(frozen=True)
class SendsUncounted(ExpertCentric):
    """Sends a megabyte past the books."""

    def beside(self, gpu: Gpu, visits: Sequence[MoELayer]) -> Steps:
        cluster = gpu._cluster
        nic = next(link.index for link in cluster.topology.links if link.crosses)
        cluster.flows.add(np.array([[nic]], dtype=np.int32), np.array([1e6]))
        yield from ()


@dataclass(frozen=True)
class SleepsUnseen(ExpertCentric):
    """Waits for something that leaves no span."""

    def forward(self, gpu: Gpu, layer: RoutedLayer) -> Steps:
        yield gpu._cluster.timeline.sleep(1e-3)
        yield from super().forward(gpu, layer)


@dataclass(frozen=True)
class Moody(ExpertCentric):
    """Does not do the same twice."""

    moods: list[int] = field(default_factory=list)

    def forward(self, gpu: Gpu, layer: RoutedLayer) -> Steps:
        self.moods.append(1)
        yield gpu.think(1e-6 * len(self.moods))
        yield from super().forward(gpu, layer)


@dataclass(frozen=True)
class HatesBandwidth(ExpertCentric):
    """Thinks longer where links are fast."""

    def forward(self, gpu: Gpu, layer: RoutedLayer) -> Steps:
        yield gpu.think(float(np.max(gpu._cluster.topology.capacity)) * 1e-13)
        yield from super().forward(gpu, layer)


@dataclass(frozen=True)
class NoReplicas(ExpertCentric):
    """Leaves the replicas of its experts apart."""

    def gradients(self, gpu: Gpu, layer: MoELayer, replicas: tuple[int, ...]) -> Steps:
        yield from ()


@dataclass(frozen=True)
class SendsTwice(DataCentric):
    """Sends each gradient a second time."""

    def _gradient(self, gpu: Gpu, layer: RoutedLayer, expert: int, rows: int) -> Steps:
        yield from super()._gradient(gpu, layer, expert, rows)
        if (home := layer.home_of(expert)) != gpu.rank:
            yield gpu.push(home, layer.gradient_bytes, f"gradient {expert}")


@dataclass(frozen=True)
class SendsWrongly(DataCentric):
    """Computes each gradient, and then does something wrong with it."""

    how: str = "never"

    def _gradient(self, gpu: Gpu, layer: RoutedLayer, expert: int, rows: int) -> Steps:
        home, size, label = layer.home_of(expert), layer.gradient_bytes, f"gradient {expert}"
        kernels = gpu.compute(layer.weight_gradient(expert, rows), f"expert {expert} weights")
        if home == gpu.rank or self.how == "never":
            yield kernels
        elif self.how == "half of it":
            yield kernels
            yield gpu.push(home, size // 2, label)
        elif self.how == "too early":
            yield kernels & gpu.push(home, size, label)
        elif self.how == "to the wrong GPU":
            yield kernels
            yield gpu.push(next(rank for rank in layer.group if rank not in (home, gpu.rank)), size, label)
        elif self.how == "before all parts came":
            yield kernels
            meet = next(rank for rank in layer.group if rank != home)
            if gpu.rank == meet:
                yield gpu.push(home, size, label)
            else:
                yield gpu.push(meet, size, label)


WAYS = {
    "never": "sent 0 bytes",
    "half of it": "sent",
    "too early": "before it had all parts",
    "to the wrong GPU": "before it had all parts",
    "before all parts came": "before it had all parts",
}
