"""Decide after the gate, from exact counts, where rows run: what `replicate` and `least_loaded` share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

from janus_sim.engine.gpu import Gpu
from janus_sim.engine.time import Activity, Steps
from janus_sim.errors import PolicyError
from janus_sim.policies.base import Deciding, Policy, machines_of, towards
from janus_sim.policies.expert_centric import ExpertCentric
from janus_sim.policies.modifier import Modifier
from janus_sim.workload.copies import Copies
from janus_sim.workload.layer import MoELayer, RoutedLayer

COUNT = 8  #: bytes of a count, as frameworks keep them
ROOM = "replicas"  #: the buffer of fetched replicas, where they come before the gate


@dataclass(frozen=True)
class AfterGate(Deciding, Modifier):
    """Count, plan, bring weights, hand the rerouted layer inward; gradients go home under the attention.

    Weights are waited for before the dispatch, in forward and, since all layers share their buffers, again
    in backward. With `oracle` the plan is known before the step: nothing is counted or planned, and weights
    come as early as there is room.

    Parameters
    ----------
    inner : Policy
        How the rows travel. Where experts travel anyway (`Policy.tokens_stay`), nothing is changed.
    """

    inner: Policy = field(default_factory=ExpertCentric)

    @abstractmethod
    def copies(self, layer: RoutedLayer, machines: tuple[int, ...]) -> Copies:
        """Decide, from the counts of the layer, which rank holds which expert and gets how many rows."""

    @abstractmethod
    def plan_seconds(self, layer: RoutedLayer) -> float:
        """Return how long the decision takes on the critical path."""

    @abstractmethod
    def slots(self, rank: int, layers: Sequence[RoutedLayer]) -> int:
        """Return for how many replicas `rank` has room; `layers`: rerouted, in the order of the visits."""

    def rerouted(self, layer: RoutedLayer, machines: tuple[int, ...], domain: int) -> RoutedLayer:
        """Return the layer as decided; decided once for all ranks."""
        if self.inner.tokens_stay(layer, domain):
            return self.inner.rerouted(layer, machines, domain)
        if layer.part:
            name = type(self).__name__
            raise PolicyError(f"{name} is handed a part of a layer; write it around what cuts, not inside")
        return layer.agreed(self._reroute, machines)

    def _reroute(self, layer: RoutedLayer, machines: tuple[int, ...]) -> RoutedLayer:
        copies = self.copies(layer, machines)
        return layer.rerouted(copies) if any(copies.replicas) else layer

    def _decided(self, gpu: Gpu, layer: RoutedLayer) -> RoutedLayer:
        return self.rerouted(layer, machines_of(gpu, layer), gpu.domain)

    def beside(self, gpu: Gpu, visits: Sequence[MoELayer]) -> Steps:
        """With foresight: bring weights as early as there is room, nearer visits first."""
        gpu.start(self.inner.beside(gpu, visits))
        if not self.oracle:
            return
        seen = [self._decided(gpu, visit) for visit in visits if isinstance(visit, RoutedLayer)]
        room = gpu.buffer(ROOM, max(1, self.slots(gpu.rank, seen)))
        for turn, layer in enumerate(seen, start=1):
            for expert in layer.copies.replicas_at(gpu.rank):
                yield room.reserve()
                gpu.start(self._bring(towards(gpu, layer), layer, expert, turn))

    def _bring(self, gpu: Gpu, layer: RoutedLayer, expert: int, priority: int) -> Steps:
        yield gpu.pull(layer.home_of(expert), layer.weight_bytes, f"expert {expert}", priority=priority)
        gpu.buffer(ROOM).arrived(_key(layer, expert))

    def forward(self, gpu: Gpu, layer: RoutedLayer) -> Steps:
        """Count, plan, weights, then as the inner policy on the rerouted layer."""
        routed = self._decided(gpu, layer)
        if layer.phase == "forward" and not self.oracle and self._decides(gpu, layer):
            counts = len(layer.group) * layer.experts * COUNT
            yield gpu.all_gather(layer.group, counts, "counts")
            yield gpu.think(self.plan_seconds(layer), "plan")
        yield self._weights(gpu, routed)
        yield from self.inner.forward(gpu, routed)
        self._let_go(gpu, routed)

    def backward(self, gpu: Gpu, layer: RoutedLayer) -> Steps:
        """Weights, then as the inner policy; the gradients of replicas go home beside what follows."""
        routed = self._decided(gpu, layer)
        yield self._weights(gpu, routed)
        yield from self.inner.backward(gpu, routed)
        self._let_go(gpu, routed)
        for expert in routed.copies.replicas_at(gpu.rank):
            gpu.later(self._home(gpu, routed, expert))

    def _decides(self, gpu: Gpu, layer: RoutedLayer) -> bool:
        return not self.inner.tokens_stay(layer, gpu.domain)

    def _weights(self, gpu: Gpu, layer: RoutedLayer) -> Activity:
        """Over when the replicas of the layer are on this GPU."""
        foreign, size = layer.copies.replicas_at(gpu.rank), layer.weight_bytes
        if self.oracle:
            return gpu.all([gpu.buffer(ROOM).arrival(_key(layer, expert)) for expert in foreign])
        return gpu.all([gpu.pull(layer.home_of(expert), size, f"expert {expert}") for expert in foreign])

    def _let_go(self, gpu: Gpu, layer: RoutedLayer) -> None:
        if self.oracle:
            for expert in layer.copies.replicas_at(gpu.rank):
                gpu.buffer(ROOM).release(_key(layer, expert))

    def _home(self, gpu: Gpu, layer: RoutedLayer, expert: int) -> Steps:
        """Send the gradient of a replica home, after all kernels that are queued by now."""
        home, label = layer.home_of(expert), f"gradient {expert}"
        yield gpu.compute((), f"{label} computed")
        yield gpu.push(home, layer.gradient_bytes, label)
        yield gpu.peers[home].compute(layer.add(), f"add {label}")

    def unlike(self, machines: int) -> str:
        """Ties are broken by number."""
        return "rows are shared among copies by number" if machines > 1 else self.inner.unlike(machines)

    def memory(
        self, rank: int, machine: tuple[int, ...], layers: Sequence[RoutedLayer], domain: int
    ) -> Mapping[str, int]:
        """As the inner policy, and slots for weights and gradients of replicas, which all layers share."""
        slots = self.slots(rank, layers)
        weights, gradients = (
            slots * max((getattr(layer, size) for layer in layers), default=0)
            for size in ("weight_bytes", "gradient_bytes")
        )
        more = {"replica weights": weights, "replica gradients": gradients}
        return {**self.inner.memory(rank, machine, layers, domain), **more}


def _key(layer: RoutedLayer, expert: int) -> Hashable:
    return (*layer.key, expert)
