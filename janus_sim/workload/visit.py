"""One visit to one MoE layer, before its gate has run: shapes and homes."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from janus_sim.workload.copies import Copies, Ints, frozen

if TYPE_CHECKING:
    from janus_sim.workload.kernel import Kernel
    from janus_sim.workload.model import ModelKernels

Kernels = tuple["Kernel", ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class MoELayer:
    """One visit to one MoE layer by one group of expert parallelism: shapes and homes, no counts.

    This is all that may be known before the gate has run.

    Parameters
    ----------
    layer, moe : int
        Index among the model's layers, and among its MoE layers.
    step, micro_batch : int
    phase : "forward" | "again" | "backward"
        "again" is a forward repeated by recomputation.
    group : tuple of int
        Ranks of the group; its order is the order of all arrays over ranks (n = len(group)).
    experts : int
    home : (experts,) int64
        Rank at which each expert lives.
    weight_bytes, gradient_bytes : int
        Of one expert [bytes].
    tokens : int
        Of one rank in one micro-batch.
    top_k, hidden : int
    dispatch_width, combine_width : float
        Bytes of one element on its way to the expert and back, in the forward.
    expected_rows : float
        Rows that one rank is expected to send to one expert: top_k tokens / experts, or the padded capacity.
    kernels : ModelKernels
    past : (steps, n, experts) int64, or None
        The gate's counts in the finished steps, micro-batches added up.
    last : bool
        Whether this is the step's last micro-batch, after which gradients are complete.
    """

    layer: int
    moe: int
    step: int
    micro_batch: int
    phase: str
    group: tuple[int, ...]
    experts: int
    home: Ints
    weight_bytes: int
    gradient_bytes: int
    tokens: int
    top_k: int
    hidden: int
    dispatch_width: float
    combine_width: float
    expected_rows: float
    kernels: ModelKernels = field(repr=False)
    past: Ints | None = field(default=None, repr=False)
    last: bool = True

    @property
    def key(self) -> tuple[int | str, ...]:
        """Names this visit: step, micro-batch, layer, phase, first rank of the group."""
        return (self.step, self.micro_batch, self.layer, self.phase, self.group[0])

    @property
    def weights_key(self) -> tuple[int, ...]:
        """Names the weights, which do not change in a step: step, layer, first rank of the group."""
        return (self.step, self.layer, self.group[0])

    @cached_property
    def _experts_of(self) -> dict[int, tuple[int, ...]]:
        lists: dict[int, list[int]] = {rank: [] for rank in self.group}
        for expert, rank in enumerate(self.home.tolist()):
            lists[rank].append(expert)
        return {rank: tuple(experts) for rank, experts in lists.items()}

    @cached_property
    def _index(self) -> dict[int, int]:
        return {rank: index for index, rank in enumerate(self.group)}

    @cached_property
    def places(self) -> Ints:
        """The place in the group (experts,) of each expert's home."""
        return frozen(np.array([self._index[rank] for rank in self.home.tolist()], dtype=np.int64))

    @cached_property
    def members(self) -> frozenset[int]:
        """The ranks of the group, to look one up."""
        return frozenset(self.group)

    @property
    def copies(self) -> Copies:
        """Where the experts can be found: at their homes."""
        return Copies(self.home)

    def home_of(self, expert: int) -> int:
        """Return the rank at which `expert` lives."""
        return int(self.home[expert])

    def experts_of(self, rank: int) -> tuple[int, ...]:
        """Return the experts that live at `rank`, ascending."""
        return self._experts_of[rank]

    def traffic_ratio(self, ranks: int) -> float:
        """Return R: bytes of tokens over bytes of weights if `ranks` ranks fetch an expert once for all.

        JANUS.md: with T rows that a machine sends to one expert, moving the expert wins if its bytes are
        fewer than those of the round trip of the rows; R > 1 says data-centric. No more ranks share an expert
        than its group has.
        """
        row = self.hidden * (self.dispatch_width + self.combine_width)
        return min(ranks, len(self.group)) * self.expected_rows * row / self.weight_bytes

    def kernel(self, expert: int, rows: int) -> Kernels:
        """Return the kernels that run `expert` forward on `rows` rows."""
        return self.kernels.expert(self.layer, rows)

    def input_gradient(self, expert: int, rows: int) -> Kernels:
        """Return the kernels of the gradient of the expert's input."""
        return self.kernels.expert_input_gradient(self.layer, rows)

    def weight_gradient(self, expert: int, rows: int) -> Kernels:
        """Return the kernels of the gradient of the expert's weights."""
        return self.kernels.expert_weight_gradient(self.layer, rows)

    def copy(self, size: int) -> Kernels:
        """Return the kernel that copies `size` bytes on the GPU."""
        return self.kernels.copy(size)

    def add(self) -> Kernels:
        """Return the kernels that add one expert's gradient to another."""
        return self.kernels.add(self.gradient_bytes)
