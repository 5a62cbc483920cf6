"""Node-limited: a token goes once to each machine that it needs, and there once to each GPU (DeepEP)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from janus_sim.engine.gpu import Gpu
from janus_sim.engine.time import Activity, Steps
from janus_sim.errors import Mistake
from janus_sim.policies.base import Policy, machines_of
from janus_sim.policies.room import enough
from janus_sim.topology.gpu import GpuKind
from janus_sim.topology.transfers import Rows
from janus_sim.workload.copies import Traffic
from janus_sim.workload.layer import MoELayer, RoutedLayer

SCALED = 128  #: values that share a scale in an fp8 row
SCALE = COUNT = 4  #: bytes of a scale, and of a count


@dataclass(frozen=True)
class NodeLimited(Policy):
    """Tokens travel once to each machine, to the GPU of their own index there, and on to each GPU once.

    Both hops stream into one another in one kernel; combine is the mirror, summed on each machine before it
    leaves. Nothing is padded. On one machine it is the kernel inside a machine.

    Sources: DeepSeek-V3 Technical Report (arXiv 2412.19437, 3.2.2 and 3.3); DeepEP's normal kernels.

    Parameters
    ----------
    sms : int
        SMs that its kernels hold (of an H100's 132, DeepEP takes 20 or 24).
    fp8 : bool
        Rows, and in backward the gradients of outputs, go out in fp8 with a scale of 4 bytes for each 128
        values; else in the workload's width. All that comes back has the width of the combine. It is not
        accuracy-neutral, and refused where GPUs have no fp8.
    """

    sms: int = 24
    fp8: bool = True

    def __post_init__(self) -> None:
        enough(sms=self.sms)

    @property
    def lossy(self) -> bool:
        """Whether rows lose precision on their way."""
        return self.fp8

    def misfits(self, kinds: Sequence[GpuKind]) -> list[Mistake]:
        """Refuse to dispatch in fp8 where a GPU has none."""
        lacking = sorted({kind.name for kind in kinds if kind.flops.fp8 is None}) if self.fp8 else []
        return [Mistake("fp8", f"{name} has no fp8; write fp8: false") for name in lacking]

    def forward(self, gpu: Gpu, layer: RoutedLayer) -> Steps:
        """Tell each other the counts, read them back, dispatch, experts, combine."""
        yield self._notify(gpu, layer, "dispatch")
        yield gpu.sync()
        yield self._dispatch(gpu, layer, "dispatch")
        for expert, rows in layer.kept_at(gpu.rank):
            yield gpu.compute(layer.kernel(expert, rows), f"expert {expert}")
        yield self._notify(gpu, layer, "combine")
        yield self._combine(gpu, layer, "combine")

    def backward(self, gpu: Gpu, layer: RoutedLayer) -> Steps:
        """The same ways with the counts of the forward; gradients of outputs go out, those of inputs back."""
        yield self._notify(gpu, layer, "combine backward")
        yield self._dispatch(gpu, layer, "combine backward")
        weights: list[Activity] = []
        for expert, rows in layer.kept_at(gpu.rank):
            yield gpu.compute(layer.input_gradient(expert, rows), f"expert {expert} input")
            weights.append(gpu.later(self._weights(gpu, layer, expert, rows)))
        yield gpu.all(weights)
        yield self._notify(gpu, layer, "dispatch backward")
        yield self._combine(gpu, layer, "dispatch backward")

    def _dispatch(self, gpu: Gpu, layer: RoutedLayer, label: str) -> Activity:
        """Go far, then near."""
        ways, rows = _ways(gpu, layer, self._row(layer))
        return gpu.all_to_all(ways, label, lines="dispatch", sms=self.sms, rows=rows)

    def _combine(self, gpu: Gpu, layer: RoutedLayer, label: str) -> Activity:
        """Go the ways of a dispatch back: near first, then far."""
        (far, near), rows = _ways(gpu, layer, round(layer.hidden * layer.combine_width))
        return gpu.all_to_all((near.T, far.T), label, lines="combine", sms=self.sms, rows=rows)

    def _notify(self, gpu: Gpu, layer: RoutedLayer, label: str) -> Activity:
        """Exchange counts, or, where these are known, what as many flags take."""
        counts = layer.counts(machines_of(gpu, layer), COUNT)
        return gpu.all_to_all(counts, f"notify {label}", lines="notify", sms=self.sms)

    def _weights(self, gpu: Gpu, layer: RoutedLayer, expert: int, rows: int) -> Steps:
        yield gpu.compute(layer.weight_gradient(expert, rows), f"expert {expert} weights")

    def _row(self, layer: RoutedLayer) -> int:
        """Return the bytes of a row on its way out."""
        if self.fp8:
            return layer.hidden + SCALE * -(-layer.hidden // SCALED)
        return round(layer.hidden * layer.dispatch_width)

    def memory(
        self, rank: int, machine: tuple[int, ...], layers: Sequence[RoutedLayer], domain: int
    ) -> Mapping[str, int]:
        """Rows that arrived and that come back, kept for backward in every layer of a micro-batch."""
        alive: dict[tuple[int, int], int] = {}
        for layer in layers:
            arrived = sum(rows for _, rows in layer.kept_at(rank))
            size = (arrived + layer.tokens) * layer.hidden * layer.kernels.spec.element
            alive[layer.step, layer.micro_batch] = alive.get((layer.step, layer.micro_batch), 0) + size
        return {"dispatch buffers": max(alive.values(), default=0)}

    def unlike(self, machines: int) -> str:
        """The sets of experts that tokens choose differ, where their counts do not."""
        return "the tokens of each choose other sets of experts" if machines > 1 else ""

    def paradigm(self, layer: MoELayer, domain: int) -> str:
        """Node-limited in every layer."""
        return "node_limited"


def _ways(gpu: Gpu, layer: RoutedLayer, row: int) -> tuple[tuple[Traffic, Traffic], Rows]:
    """Return the far and the near hop of a dispatch, and the rows that its kernel moves one by one."""
    machines = machines_of(gpu, layer)
    return layer.two_hop(machines, row), Rows(row, layer.relayed(machines))
