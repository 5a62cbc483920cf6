"""Expert-centric: experts stay at home and tokens travel by All-to-All (GShard, DeepSpeed-MoE, Tutel)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from janus_sim.engine.gpu import Gpu
from janus_sim.engine.hops import AllToAllPath
from janus_sim.engine.time import Activity, Steps
from janus_sim.policies.base import Policy
from janus_sim.workload.layer import MoELayer, RoutedLayer


@dataclass(frozen=True)
class ExpertCentric(Policy):
    """Tokens travel: All-to-All out, run the experts that live here, All-to-All back.

    Every All-to-All is waited for, and so are the weight gradients before the last one of a layer:
    overlapping them is another system's idea (Lancet), not part of the baseline.

    Sources: GShard (Lepikhin et al., 2020), DeepSpeed-MoE (Rajbhandari et al., 2022), Tutel (Hwang et al.,
    2023).

    Parameters
    ----------
    path : {"flat", "1dh", "2dh", "pairwise"}
        How the tokens travel: from GPU to GPU; through one GPU of each machine; between machines only from
        GPU to GPU of one index, with fewer and larger messages; or from GPU to GPU in rounds, a few at a time
        (`janus_sim.engine.hops`).
    """

    path: AllToAllPath = "flat"

    def forward(self, gpu: Gpu, layer: RoutedLayer) -> Steps:
        """Dispatch, experts, combine."""
        if not layer.padded:  # the counts must be read back
            yield gpu.sync()
        yield from gpu.exchange(layer.dispatch, "dispatch", self.path)
        for expert, rows in layer.mine(gpu.rank):
            useful = layer.useful_share(expert)
            yield gpu.compute(layer.kernel(expert, rows), f"expert {expert}", useful=useful)
        yield from gpu.exchange(layer.combine, "combine", self.path)

    def backward(self, gpu: Gpu, layer: RoutedLayer) -> Steps:
        """Both All-to-Alls the other way, the experts' gradients in between."""
        yield from gpu.exchange(layer.combine.T, "combine backward", self.path)
        weights: list[Activity] = []
        for expert, rows in layer.mine(gpu.rank):
            useful = layer.useful_share(expert)
            yield gpu.compute(layer.input_gradient(expert, rows), f"expert {expert} input", useful=useful)
            weights.append(gpu.later(self._weights(gpu, layer, expert, rows, useful)))
        yield gpu.all(weights)
        yield from gpu.exchange(layer.dispatch.T, "dispatch backward", self.path)

    def _weights(self, gpu: Gpu, layer: RoutedLayer, expert: int, rows: int, useful: float) -> Steps:
        yield gpu.compute(layer.weight_gradient(expert, rows), f"expert {expert} weights", useful=useful)

    def memory(
        self, rank: int, machine: tuple[int, ...], layers: Sequence[RoutedLayer], domain: int
    ) -> Mapping[str, int]:
        """Rows that were sent and that arrived, kept for backward in every layer of a micro-batch."""
        alive: dict[tuple[int, int], int] = {}
        for layer in layers:
            arrived = sum(rows for _, rows in layer.mine(rank))
            size = (arrived + layer.sent_by(rank)) * layer.hidden * layer.kernels.spec.element
            alive[layer.step, layer.micro_batch] = alive.get((layer.step, layer.micro_batch), 0) + size
        return {"dispatch buffers": max(alive.values(), default=0)}

    def paradigm(self, layer: MoELayer, domain: int) -> str:
        """Expert-centric in every layer."""
        return "expert_centric"
