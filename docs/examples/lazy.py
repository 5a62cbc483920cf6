"""Lazy fetch: a GPU asks for an expert when it is about to use it, and not before."""

from __future__ import annotations

from dataclasses import dataclass, field

from janus_sim import Gpu, MoELayer, Policy, RoutedLayer, Steps


@dataclass(frozen=True)
class LazyFetch(Policy):
    """Pull one expert, run it, forget it; think for a while before each pull."""

    patience: float = field(default=0.0, metadata={"unit": "seconds"})

    def forward(self, gpu: Gpu, layer: RoutedLayer) -> Steps:
        """Fetch an expert, run it on my rows, fetch the next."""
        for expert in range(layer.experts):
            if rows := layer.rows(gpu.rank, expert):
                yield from self._fetch(gpu, layer, expert)
                yield gpu.compute(layer.kernel(expert, rows), f"expert {expert}")

    def backward(self, gpu: Gpu, layer: RoutedLayer) -> Steps:
        """The same; weight gradients are computed and sent home beside it."""
        for expert in range(layer.experts):
            if rows := layer.rows(gpu.rank, expert):
                yield from self._fetch(gpu, layer, expert)
                yield gpu.compute(layer.input_gradient(expert, rows), f"expert {expert} input")
                gpu.later(self._gradient(gpu, layer, expert, rows))

    def _fetch(self, gpu: Gpu, layer: RoutedLayer, expert: int) -> Steps:
        if (home := layer.home_of(expert)) != gpu.rank:
            yield gpu.think(self.patience, "patience")
            yield gpu.pull(home, layer.weight_bytes, f"expert {expert}")

    def _gradient(self, gpu: Gpu, layer: RoutedLayer, expert: int, rows: int) -> Steps:
        yield gpu.compute(layer.weight_gradient(expert, rows), f"expert {expert} weights")
        if (home := layer.home_of(expert)) != gpu.rank:
            yield gpu.push(home, layer.gradient_bytes, f"gradient {expert}")
            yield gpu.peers[home].compute(layer.add(), f"add gradient {expert}")

    def tokens_stay(self, layer: MoELayer, domain: int) -> bool:
        """Experts travel."""
        return True
