"""A policy with a policy inside: it changes the layer that it hands inward, the words, or the plan."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from janus_sim.engine.gpu import Gpu
from janus_sim.engine.time import Steps
from janus_sim.policies.base import Outcome, Policy
from janus_sim.workload.layer import MoELayer, Plan, RoutedLayer


@dataclass(frozen=True)
class Modifier(Policy):
    """Hands everything to `inner`; a subclass overrides what it changes."""

    inner: Policy

    def with_inner(self, inner: Policy) -> Self:
        """Return the same modifier around another policy."""
        return replace(self, inner=inner)

    def trials(self, layers: Sequence[MoELayer]) -> Mapping[Hashable, Policy]:
        """Try the variants of the inner policy, modified."""
        return {name: self.with_inner(policy) for name, policy in self.inner.trials(layers).items()}

    def settle(self, outcomes: Mapping[Hashable, Outcome]) -> Policy:
        """Settle the inner policy."""
        return self.with_inner(self.inner.settle(outcomes))

    def plan(self, layers: Sequence[MoELayer], plan: Plan) -> Plan:
        """As the inner policy."""
        return self.inner.plan(layers, plan)

    def words(self, gpu: Gpu) -> Gpu:
        """As the inner policy."""
        return self.inner.words(gpu)

    def move(self, gpu: Gpu, old: Sequence[MoELayer], new: Sequence[MoELayer]) -> Steps:
        """As the inner policy."""
        yield from self.inner.move(gpu, old, new)

    def beside(self, gpu: Gpu, visits: Sequence[MoELayer]) -> Steps:
        """As the inner policy."""
        yield from self.inner.beside(gpu, visits)

    def forward(self, gpu: Gpu, layer: RoutedLayer) -> Steps:
        """As the inner policy."""
        yield from self.inner.forward(gpu, layer)

    def backward(self, gpu: Gpu, layer: RoutedLayer) -> Steps:
        """As the inner policy."""
        yield from self.inner.backward(gpu, layer)

    def gradients(self, gpu: Gpu, layer: MoELayer, replicas: tuple[int, ...]) -> Steps:
        """As the inner policy."""
        yield from self.inner.gradients(gpu, layer, replicas)

    def rerouted(self, layer: RoutedLayer, machines: tuple[int, ...], domain: int) -> RoutedLayer:
        """As the inner policy."""
        return self.inner.rerouted(layer, machines, domain)

    def unlike(self, machines: int) -> str:
        """As the inner policy."""
        return self.inner.unlike(machines)

    def tokens_stay(self, layer: MoELayer, domain: int) -> bool:
        """As the inner policy."""
        return self.inner.tokens_stay(layer, domain)

    def memory(
        self, rank: int, machine: tuple[int, ...], layers: Sequence[RoutedLayer], domain: int
    ) -> Mapping[str, int]:
        """As the inner policy."""
        return self.inner.memory(rank, machine, layers, domain)

    def host_memory(
        self, machine: tuple[int, ...], layers: Sequence[RoutedLayer], domain: int
    ) -> Mapping[str, int]:
        """As the inner policy."""
        return self.inner.host_memory(machine, layers, domain)

    def paradigm(self, layer: MoELayer, domain: int) -> str:
        """As the inner policy."""
        return self.inner.paradigm(layer, domain)
