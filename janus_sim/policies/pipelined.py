"""Pipelined: cut the layer into chunks, whose communication and compute overlap (Tutel, PipeMoE)."""

from __future__ import annotations

from dataclasses import dataclass

from janus_sim.engine.gpu import Gpu
from janus_sim.engine.time import Steps
from janus_sim.policies.modifier import Modifier
from janus_sim.workload.layer import RoutedLayer


@dataclass(frozen=True)
class Pipelined(Modifier):
    """Run `chunks` parts of each layer beside each other; the stronger baseline.

    More chunks pay latency and the inefficiency of small GEMMs.

    Sources: Tutel (Hwang et al., MLSys 2023), PipeMoE (Shi et al., INFOCOM 2023).

    Parameters
    ----------
    inner : Policy
        What each chunk does.
    chunks : int
        Into how many near-equal parts the rows are cut.
    """

    chunks: int = 2

    def __post_init__(self) -> None:
        if self.chunks < 1:
            raise ValueError(f"chunks is {self.chunks}; write 1 or more")

    def forward(self, gpu: Gpu, layer: RoutedLayer) -> Steps:
        """All chunks beside each other."""
        parts = self._parts(gpu, layer)
        yield gpu.all([gpu.start(self.inner.forward(gpu.within(part=part.part), part)) for part in parts])

    def backward(self, gpu: Gpu, layer: RoutedLayer) -> Steps:
        """All chunks beside each other."""
        parts = self._parts(gpu, layer)
        yield gpu.all([gpu.start(self.inner.backward(gpu.within(part=part.part), part)) for part in parts])

    def _parts(self, gpu: Gpu, layer: RoutedLayer) -> tuple[RoutedLayer, ...]:
        """Cut the rows that travel; where experts travel, one-expert tasks are chunks already."""
        return (layer,) if self.inner.tokens_stay(layer, gpu.domain) else layer.split(self.chunks)
