"""Janus: in each layer the paradigm that moves less, or the one that a trial showed to be faster."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeVar, cast

from janus_sim.engine.gpu import Gpu
from janus_sim.engine.time import Steps
from janus_sim.errors import InputError, Mistake
from janus_sim.policies.base import Deciding, Outcome, Policy
from janus_sim.policies.data_centric import DataCentric
from janus_sim.policies.expert_centric import ExpertCentric
from janus_sim.workload.layer import MoELayer, RoutedLayer

Set = tuple[int, ...]  # of MoE layers, by their index among these
L = TypeVar("L", bound=MoELayer)


@dataclass(frozen=True)
class Janus(Deciding):
    """Choose the paradigm of each MoE layer before training.

    With `oracle` trials run on the routing to come, and "traffic" decides at each visit from its counts: R
    times max / mean of the rows of ranks, for an All-to-All takes as long as its fullest rank [R].

    Source of the rule: Liu, Wang, Jiang, Janus (SIGCOMM 2023), section 3.2; of its formula and of trials: our
    reading.

    Parameters
    ----------
    by : "traffic" | "simulated"
        "traffic": data-centric where R, bytes of tokens over bytes of weights, exceeds `threshold`.
        "simulated": by whole simulated steps on balanced routing: none, all and each layer alone, then those
        that gained alone together; the best of all these wins.
    threshold : float
        Of R.
    data, tokens : Policy
        The two paradigms. What places experts goes around Janus, not into it.
    chosen : tuple of int, optional
        MoE layers that pull their experts, counted from 0, fixed by hand; no rule is asked then.
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
        crowd = layer.imbalance("rank") if self.oracle and isinstance(layer, RoutedLayer) else 1.0
        return layer.traffic_ratio(domain) * crowd > self.threshold

    def trials(self, layers: Sequence[MoELayer]) -> Mapping[Hashable, Policy]:
        """None, all and each layer alone; then the set of those that gained alone. Nothing is tried twice."""
        every = tuple(layer.moe for layer in layers)
        if unknown := set(self.chosen or ()) - set(every):
            raise InputError(
                Mistake("chosen", f"there is no MoE layer {min(unknown)}; write 0 to {len(every) - 1}")
            )
        if self.by == "traffic" or self.chosen is not None:
            return {}
        sets = [self._gained()] if self._tried else [(), *((moe,) for moe in every), every]
        return {chosen: replace(self, chosen=chosen) for chosen in dict.fromkeys(sets)}

    def settle(self, outcomes: Mapping[Hashable, Outcome]) -> Policy:
        """Keep what was measured; once the set of those that gained is measured too, choose the best."""
        news = ((cast("Set", chosen), outcome.step) for chosen, outcome in outcomes.items())
        settled = replace(self, _tried=(*self._tried, *news))
        if settled._gained() not in dict(settled._tried):
            return settled
        return replace(settled, chosen=min(settled._tried, key=lambda trial: trial[1])[0])

    def _gained(self) -> Set:
        """Return the layers whose trial beat the one in which none pulls."""
        seconds = dict(self._tried)
        return tuple(
            chosen[0] for chosen in sorted(seconds) if len(chosen) == 1 and seconds[chosen] < seconds[()]
        )

    def words(self, gpu: Gpu) -> Gpu:
        """As both paradigms have them."""
        return self.tokens.words(self.data.words(gpu))

    def beside(self, gpu: Gpu, visits: Sequence[MoELayer]) -> Steps:
        """Each paradigm for its layers: prefetch for those that pull."""
        pulled, sent = self._parted(visits, gpu.domain)
        gpu.start(self.tokens.beside(gpu, sent))
        yield from self.data.beside(gpu, pulled)

    def forward(self, gpu: Gpu, layer: RoutedLayer) -> Steps:
        """As the paradigm of the layer."""
        yield from self._of(layer, gpu.domain).forward(gpu, layer)

    def backward(self, gpu: Gpu, layer: RoutedLayer) -> Steps:
        """As the paradigm of the layer."""
        yield from self._of(layer, gpu.domain).backward(gpu, layer)

    def gradients(self, gpu: Gpu, layer: MoELayer, replicas: tuple[int, ...]) -> Steps:
        """As the paradigm of the layer."""
        yield from self._of(layer, gpu.domain).gradients(gpu, layer, replicas)

    def rerouted(self, layer: RoutedLayer, machines: tuple[int, ...], domain: int) -> RoutedLayer:
        """As the paradigm of the layer."""
        return self._of(layer, domain).rerouted(layer, machines, domain)

    def unlike(self, machines: int) -> str:
        """As either paradigm."""
        return self.data.unlike(machines) or self.tokens.unlike(machines)

    def tokens_stay(self, layer: MoELayer, domain: int) -> bool:
        """As the paradigm of the layer."""
        return self._of(layer, domain).tokens_stay(layer, domain)

    def memory(
        self, rank: int, machine: tuple[int, ...], layers: Sequence[RoutedLayer], domain: int
    ) -> Mapping[str, int]:
        """What both paradigms need for their layers."""
        pulled, sent = self._parted(layers, domain)
        return {
            **self.tokens.memory(rank, machine, sent, domain),
            **self.data.memory(rank, machine, pulled, domain),
        }

    def host_memory(
        self, machine: tuple[int, ...], layers: Sequence[RoutedLayer], domain: int
    ) -> Mapping[str, int]:
        """What both paradigms need for their layers."""
        pulled, sent = self._parted(layers, domain)
        return {
            **self.tokens.host_memory(machine, sent, domain),
            **self.data.host_memory(machine, pulled, domain),
        }

    def paradigm(self, layer: MoELayer, domain: int) -> str:
        """As chosen."""
        return self._of(layer, domain).paradigm(layer, domain)

    def _of(self, layer: MoELayer, domain: int) -> Policy:
        return self.data if self.pulls(layer, domain) else self.tokens

    def _parted(self, layers: Sequence[L], domain: int) -> tuple[Sequence[L], Sequence[L]]:
        """Part layers into those that pull experts and those that send tokens."""
        pulled = [layer for layer in layers if self.pulls(layer, domain)]
        return pulled, [layer for layer in layers if not self.pulls(layer, domain)]
