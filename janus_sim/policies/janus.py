"""Janus: in each layer the paradigm that moves less, or the one that a trial showed to be faster."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from janus_sim.engine.gpu import Gpu
from janus_sim.engine.time import Steps
from janus_sim.policies.base import Outcome, Policy
from janus_sim.policies.data_centric import DataCentric
from janus_sim.policies.expert_centric import ExpertCentric
from janus_sim.workload.layer import MoELayer, RoutedLayer

Set = tuple[int, ...]


@dataclass(frozen=True)
class Janus(Policy):
    """Choose the paradigm of each MoE layer before training (Janus, section 3.2 and JANUS.md, "Unified").

    Parameters
    ----------
    by : "traffic" | "simulated"
        "traffic": data-centric where R, bytes of tokens over bytes of weights, exceeds `threshold`. "simulated": by
        whole simulated steps on balanced routing: each layer alone, then those that gained together; the best wins.
    threshold : float
        Of R.
    data, tokens : Policy
        The two paradigms.
    chosen : tuple of int, optional
        MoE layers that pull their experts, fixed by hand; no rule is asked then.
    """

    by: Literal["traffic", "simulated"] = "traffic"
    threshold: float = 1.0
    data: Policy = field(default_factory=DataCentric)
    tokens: Policy = field(default_factory=ExpertCentric)
    chosen: Set | None = None
    _tried: tuple[tuple[Set, float], ...] = ()

    def pulls(self, layer: MoELayer, domain: int) -> bool:
        """Return whether the layer is data-centric; `domain`: GPUs that share what was fetched once."""
        if self.chosen is not None:
            return layer.moe in self.chosen
        return layer.traffic_ratio(domain) > self.threshold

    def trials(self, layers: Sequence[MoELayer]) -> Mapping[Hashable, Policy]:
        """None, all and each layer alone; then the set of those that gained alone."""
        if self.by == "traffic" or self.chosen is not None:
            return {}
        every = tuple(layer.moe for layer in layers)
        first = [(), *((moe,) for moe in every), every]
        sets = [self._gained()] if self._tried else first
        return {chosen: replace(self, chosen=chosen) for chosen in dict.fromkeys(sets)}

    def settle(self, outcomes: Mapping[Hashable, Outcome]) -> Policy:
        """Keep what was measured; once the set is measured too, choose the best."""
        again = bool(self._tried)
        tried = (*self._tried, *((chosen, outcome.step) for chosen, outcome in outcomes.items()))  # type: ignore[misc]
        settled = replace(self, _tried=tried)
        if not again and settled._gained() not in dict(tried):
            return settled
        return replace(settled, chosen=min(tried, key=lambda trial: trial[1])[0])

    def _gained(self) -> Set:
        """Return the layers whose trial beat the one in which none pulls."""
        seconds = dict(self._tried)
        return tuple(sorted(chosen[0] for chosen in seconds if len(chosen) == 1 and seconds[chosen] < seconds[()]))

    def beside(self, gpu: Gpu, visits: Sequence[MoELayer]) -> Steps:
        """Prefetch for the layers that pull."""
        yield from self.data.beside(gpu, [layer for layer in visits if self.pulls(layer, gpu.domain)])

    def forward(self, gpu: Gpu, layer: RoutedLayer) -> Steps:
        """As the paradigm of the layer."""
        yield from self._of(layer, gpu.domain).forward(gpu, layer)

    def backward(self, gpu: Gpu, layer: RoutedLayer) -> Steps:
        """As the paradigm of the layer."""
        yield from self._of(layer, gpu.domain).backward(gpu, layer)

    def tokens_stay(self, layer: MoELayer, domain: int) -> bool:
        """As the paradigm of the layer."""
        return self._of(layer, domain).tokens_stay(layer, domain)

    def memory(self, rank: int, machine: tuple[int, ...], layers: Sequence[RoutedLayer]) -> Mapping[str, int]:
        """What both paradigms need for their layers."""
        data, tokens = self._parted(layers, len(machine))
        return {**self.tokens.memory(rank, machine, tokens), **self.data.memory(rank, machine, data)}

    def host_memory(self, machine: tuple[int, ...], layers: Sequence[RoutedLayer]) -> Mapping[str, int]:
        """What both paradigms need for their layers."""
        data, tokens = self._parted(layers, len(machine))
        return {**self.tokens.host_memory(machine, tokens), **self.data.host_memory(machine, data)}

    def paradigm(self, layer: MoELayer, domain: int) -> str:
        """As chosen."""
        return self._of(layer, domain).paradigm(layer, domain)

    def _of(self, layer: MoELayer, domain: int) -> Policy:
        return self.data if self.pulls(layer, domain) else self.tokens

    def _parted(
        self, layers: Sequence[RoutedLayer], domain: int
    ) -> tuple[Sequence[RoutedLayer], Sequence[RoutedLayer]]:
        pulled = [layer for layer in layers if self.pulls(layer, domain)]
        return pulled, [layer for layer in layers if not self.pulls(layer, domain)]
