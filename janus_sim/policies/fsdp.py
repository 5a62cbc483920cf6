"""FSDP: experts are sharded over all ranks, and each layer's are gathered whole, used and freed (ZeRO-3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from janus_sim.engine.gpu import Gpu
from janus_sim.engine.time import Steps
from janus_sim.errors import InputError, Mistake
from janus_sim.policies.base import Policy, machines_of, towards
from janus_sim.policies.order import within
from janus_sim.workload.layer import MoELayer, RoutedLayer


@dataclass(frozen=True)
class Fsdp(Policy):
    """All experts of a layer come to every GPU by an all-gather, and all gradients go by a reduce-scatter.

    The naive data-centric paradigm: nobody asks which experts a GPU needs. Ranks of an expert-parallel group
    share the shards; groups are replicas (as FSDP's hybrid sharding). Gradients are reduced after each
    micro-batch.

    Sources: ZeRO (Rajbhandari et al., SC 2020), stage 3; PyTorch FSDP (Zhao et al., VLDB 2023) and its
    fully_shard: shards are equal chunks, gathered layers are copied out of, and gradients into, flat buffers.

    Parameters
    ----------
    prefetch : int
        Layers that are gathered while another is in use; 0: gather when the layer is reached.
    hierarchical : bool
        Gather among the ranks of one index in all machines, then inside each machine, and reduce the other
        way; else along flat rings, as NCCL does. These are taken, too, where machines have unequally many
        GPUs of a group: then there is not one rank of each index everywhere.
    """

    prefetch: int = 1
    hierarchical: bool = False

    def __post_init__(self) -> None:
        if self.prefetch < 0:
            raise InputError(Mistake("prefetch", f"{self.prefetch} is wrong; write 0 or more layers"))

    def beside(self, gpu: Gpu, visits: Sequence[MoELayer]) -> Steps:
        """Gather layer after layer, as many ahead as there is room."""
        gpu.buffer("layers", 1 + self.prefetch)
        for layer in visits if self.prefetch else ():
            yield from self._bring(towards(gpu, layer), layer)

    def forward(self, gpu: Gpu, layer: RoutedLayer) -> Steps:
        """Run all experts on my own rows; when the layer is recomputed, keep them for its backward."""
        yield from self._here(gpu, layer)
        for expert, rows in layer.own(gpu.rank):
            yield gpu.compute(layer.kernel(expert, rows), f"expert {expert}")
        if layer.phase == "forward":
            gpu.buffer("layers").release(_use(layer))

    def backward(self, gpu: Gpu, layer: RoutedLayer) -> Steps:
        """Gather them again, unless recomputation has; reduce the gradients beside what comes next."""
        yield from self._here(gpu, layer)
        for expert, rows in layer.own(gpu.rank):
            yield gpu.compute(layer.input_gradient(expert, rows), f"expert {expert} input")
        gpu.buffer("layers").release(_use(layer))
        gpu.later(self._reduce(gpu, layer))

    def _here(self, gpu: Gpu, layer: MoELayer) -> Steps:
        """Wait until the layer is here; without prefetch, gather it now."""
        if not self.prefetch:
            yield from self._bring(gpu, layer)
        yield gpu.buffer("layers").arrival(_use(layer))

    def _bring(self, gpu: Gpu, layer: MoELayer) -> Steps:
        """Gather a layer into free room, once for each use, and copy it out of the flat buffer."""
        if gpu.first(("gather", _use(layer))):
            room, size = gpu.buffer("layers"), layer.experts * layer.weight_bytes
            yield room.reserve()
            for members, part in self._levels(gpu, layer, size):
                yield gpu.all_gather(members, part, f"experts among {len(members)}", stream="experts")
            yield gpu.compute(layer.copy(size), "experts copied out")
            room.arrived(_use(layer))

    def _reduce(self, gpu: Gpu, layer: RoutedLayer) -> Steps:
        """Compute all weight gradients, copy them into a flat buffer, leave each its shard of the sum."""
        size = layer.experts * layer.gradient_bytes
        for expert, rows in layer.own(gpu.rank):
            yield gpu.compute(layer.weight_gradient(expert, rows), f"expert {expert} weights")
        yield gpu.compute(layer.copy(size), "gradients copied in")
        for members, part in reversed(self._levels(gpu, layer, size)):
            yield gpu.reduce_scatter(members, part, f"gradients among {len(members)}", stream="gradients")

    def _levels(self, gpu: Gpu, layer: MoELayer, size: int) -> list[tuple[tuple[int, ...], int]]:
        """Return among whom to gather, and how much: all at once, or between machines, then inside mine."""
        mates = within(gpu.machine.ranks, layer.members)
        alike = self.hierarchical and len(set(Counter(machines_of(gpu, layer)).values())) == 1
        if not alike or len(mates) in (1, len(layer.group)):
            return [(layer.group, size)]
        like = layer.group[mates.index(gpu.rank) :: len(mates)]
        return [(like, -(-size // len(mates))), (mates, size)]

    def tokens_stay(self, layer: MoELayer, domain: int) -> bool:
        """Experts travel."""
        return True

    def paradigm(self, layer: MoELayer, domain: int) -> str:
        """FSDP in every layer."""
        return "fsdp"

    def memory(
        self, rank: int, machine: tuple[int, ...], layers: Sequence[RoutedLayer], domain: int
    ) -> Mapping[str, int]:
        """Whole layers in use and on their way, flat buffers of a layer, one layer's whole gradients."""
        weights = max((layer.experts * layer.weight_bytes for layer in layers), default=0)
        gradients = max((layer.experts * layer.gradient_bytes for layer in layers), default=0)
        return {
            "gathered experts": (1 + self.prefetch) * weights,
            "flat buffers": weights + gradients,
            "whole gradients": gradients,
        }


def _use(layer: MoELayer) -> Hashable:
    """Name one use of a layer: its forward, or its recomputation and backward together."""
    return (*layer.weights_key, layer.micro_batch, layer.phase == "forward")
