"""A workload on a number of ranks: its kernels, who lives where, and what its gates choose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt

from janus_sim.errors import InputError, PolicyError
from janus_sim.workload.copies import Ints, Plan, frozen
from janus_sim.workload.layer import RoutedLayer
from janus_sim.workload.layout import Layout
from janus_sim.workload.model import ModelKernels
from janus_sim.workload.routing import capacity, routing_of, synthetic
from janus_sim.workload.spec import RoutingSpec, WorkloadSpec
from janus_sim.workload.trace import Routing
from janus_sim.workload.visit import MoELayer

I = TypeVar("I", bound=np.integer[Any])  # noqa: E741


@dataclass(frozen=True, eq=False)
class Workload:
    """A training workload, laid out on the ranks of a cluster.

    Parameters
    ----------
    spec : WorkloadSpec
    layout : Layout
    kernels : ModelKernels
    trace : Routing
        Recorded or synthetic.
    where : str
        Place of the workload in the user's files, for messages.
    width : int, optional
        GPUs of a machine, where all have equally many.
    """

    spec: WorkloadSpec
    layout: Layout
    kernels: ModelKernels
    trace: Routing
    where: str = ""
    width: int | None = None
    _finished: dict[tuple[int, int, int], Ints] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def load(
        cls,
        source: str | Path | Mapping[str, Any] | WorkloadSpec,
        world: int = 32,
        *,
        width: int | None = None,
        seed: int = 0,
        where: str = "",
        beside: Path | None = None,
    ) -> Self:
        """Read a workload by name, path or mapping, and lay it out on `world` ranks.

        Parameters
        ----------
        width : int, optional
            GPUs of a machine, where all have equally many: for what says something of machines.
        seed : int
            Of synthetic routing that names none of its own.
        beside : path, optional
            Folder from which relative paths are looked for first.

        Raises
        ------
        InputError
            If it contradicts itself, the number of ranks, or its trace.

        Examples
        --------
        >>> model = {
        ...     "layers": 2,
        ...     "moe_layers": "every 2",
        ...     "experts_per_rank": 1,
        ...     "hidden": 64,
        ...     "ffn": {"width": 256},
        ...     "heads": 4,
        ...     "vocabulary": 100,
        ... }
        >>> tiny = {"model": model, "precision": "fp16", "micro_batch_size": 2, "seq_length": 16}
        >>> workload = Workload.load(tiny, world=4)
        >>> workload.experts, workload.routed(0, 0, 1, "forward", 0, workload.plan).mine(2)
        ((4,), ((2, 32),))
        """
        spec = source if isinstance(source, WorkloadSpec) else WorkloadSpec.load(source, where, beside)
        where = where or (f"{source}:" if isinstance(source, str | Path) else "")
        mistakes = spec.mistakes(where, world, width)
        if mistakes:
            raise InputError(mistakes)
        layout = Layout(world, spec.ep(world), across=spec.parallel.ep_order == "across")
        trace = routing_of(spec, layout, seed, where, beside, width)
        return cls(spec, layout, ModelKernels(spec, world), trace, where, width)

    def balanced(self) -> Workload:
        """Return the same workload with balanced routing, for trials that may not see the trace."""
        rule = RoutingSpec(machines=self.spec.routing.machines)
        return replace(self, trace=synthetic(self.spec, rule, self.layout, 0, self.width))

    @property
    def tokens(self) -> int:
        """Tokens of a rank in a micro-batch."""
        return self.spec.tokens

    @property
    def steps(self) -> int:
        """Training steps: those written, or one for each iteration chosen of a trace."""
        return self.trace.steps or self.spec.steps

    @property
    def micro_batches(self) -> int:
        """Micro-batches of a step."""
        return self.spec.micro_batches

    @property
    def moe_layers(self) -> tuple[int, ...]:
        """Indices, among the model's layers, of those with experts."""
        return self.spec.model.moe

    @property
    def experts(self) -> tuple[int, ...]:
        """Experts of each MoE layer."""
        return self.trace.experts

    @cached_property
    def plan(self) -> Plan:
        """Where experts live at first: contiguous blocks."""
        return Plan.default(self.layout, self.experts)

    @cached_property
    def _moe_index(self) -> dict[int, int]:
        return {layer: moe for moe, layer in enumerate(self.moe_layers)}

    def moe_index(self, layer: int) -> int:
        """Return the place of a model layer among the MoE layers."""
        return self._moe_index[layer]

    def capacity(self, layer: int) -> int | None:
        """Return the rows that one rank may send to one expert; None without a limit."""
        factor = self.spec.capacity_factor
        experts = self.experts[self.moe_index(layer)]
        return None if factor is None else capacity(factor, self.spec.model.top_k, self.tokens, experts)

    def expected_rows(self, layer: int) -> float:
        """Return the rows that a rank is expected to send to an expert; the capacity where it is padded."""
        limit = self.capacity(layer)
        mean = self.spec.model.top_k * self.tokens / self.experts[self.moe_index(layer)]
        if limit is None:
            return mean
        return float(limit) if self.spec.pad else min(mean, float(limit))

    def chosen(self, step: int, micro_batch: int, layer: int, group: int) -> Ints:
        """Return the counts of the gate (n, experts) in one group of expert parallelism."""
        return self._of_group(self.trace.at(step, micro_batch, self.moe_index(layer)), group)

    def choices(self, step: int, micro_batch: int, layer: int, group: int) -> npt.NDArray[np.integer] | None:
        """Return the experts of each token (n, tokens, top_k) in one group, if the routing knows them."""
        known = self.trace.choices_at(step, micro_batch, self.moe_index(layer))
        return None if known is None else self._of_group(known, group)

    def _of_group(self, table: npt.NDArray[I], group: int) -> npt.NDArray[I]:
        """Return the rows of the ranks of a group: a view, where they stand one after another."""
        ranks = self.layout.groups[group]
        return table[ranks[0] : ranks[-1] + 1 : ranks[1] - ranks[0] if len(ranks) > 1 else 1]

    def past(self, step: int, layer: int, group: int) -> Ints:
        """Return the counts of the steps before `step`, (step, n, experts), micro-batches added up."""
        sums = [self._step_counts(before, layer, group) for before in range(step)]
        shape = (len(sums), self.layout.ep, self.experts[self.moe_index(layer)])
        return frozen(np.array(sums, dtype=np.int64).reshape(shape))

    def _step_counts(self, step: int, layer: int, group: int) -> Ints:
        key = (step, layer, group)
        if key not in self._finished:
            batches = range(self.micro_batches)
            self._finished[key] = np.sum([self.chosen(step, one, layer, group) for one in batches], axis=0)
        return self._finished[key]

    def _fields(
        self, step: int, micro_batch: int, layer: int, phase: str, group: int, plan: Plan, past: Ints | None
    ) -> dict[str, Any]:
        moe = self.moe_index(layer)
        parameter_bytes = self.kernels.expert_parameters(layer) * self.spec.element
        return {
            "layer": layer,
            "moe": moe,
            "step": step,
            "micro_batch": micro_batch,
            "phase": phase,
            "group": self.layout.groups[group],
            "experts": self.experts[moe],
            "home": self.homes(plan, moe, group),
            "weight_bytes": parameter_bytes,
            "gradient_bytes": parameter_bytes,
            "tokens": self.tokens,
            "top_k": self.spec.model.top_k,
            "hidden": self.spec.model.hidden,
            "dispatch_width": self.spec.dispatch_width,
            "combine_width": self.spec.combine_width,
            "expected_rows": self.expected_rows(layer),
            "kernels": self.kernels,
            "past": past,
            "last": micro_batch == self.micro_batches - 1,
        }

    def homes(self, plan: Plan, moe: int, group: int) -> Ints:
        """Return the rank (experts,) at which each expert of a group lives under a plan.

        Raises
        ------
        PolicyError
            If the plan names a position that is not in the group, or forgets experts.
        """
        home = plan.homes[moe] if moe < len(plan.homes) else np.empty(0, dtype=np.int64)
        ep = self.layout.ep
        if home.shape != (self.experts[moe],) or home.min() < 0 or home.max() >= ep:
            wanted = f"{self.experts[moe]} positions from 0 to {ep - 1}"
            raise PolicyError(f"the plan of MoE layer {moe} has homes {home.tolist()}; give {wanted}")
        return frozen(np.array(self.layout.groups[group])[home])

    def moe_layer(
        self,
        step: int,
        micro_batch: int,
        layer: int,
        phase: str,
        group: int,
        plan: Plan,
        past: Ints | None = None,
    ) -> MoELayer:
        """Return a visit to a layer (index among the model's layers) before its gate has run.

        `group` is the index of a group of expert parallelism; `past` is what `past` returned.
        """
        return MoELayer(**self._fields(step, micro_batch, layer, phase, group, plan, past))

    def routed(
        self,
        step: int,
        micro_batch: int,
        layer: int,
        phase: str,
        group: int,
        plan: Plan,
        past: Ints | None = None,
    ) -> RoutedLayer:
        """Return a visit to a layer after its gate; make one for all ranks of the group to share."""
        chosen = self.chosen(step, micro_batch, layer, group)
        limit = self.capacity(layer)
        useful = chosen if limit is None else frozen(np.minimum(chosen, limit))
        padded = limit is not None and self.spec.pad
        sent = frozen(np.full(chosen.shape, limit)) if padded else useful
        fields = self._fields(step, micro_batch, layer, phase, group, plan, past)
        tokens = partial(self.choices, step, micro_batch, layer, group)
        return RoutedLayer(
            **fields, chosen=chosen, useful=useful, rows_sent=sent, padded=padded, tokens_chose=tokens
        )

    def gradient_bytes(self, layer: int) -> int:
        """Return the bytes of the gradients of one layer's dense parameters."""
        return self.kernels.dense_parameters(layer) * self.spec.element
