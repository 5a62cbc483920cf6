"""One MoE layer in one pass, as a value that policies transform."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from janus_sim.workload.copies import Ints, Plan, Traffic, frozen, max_over_mean
from janus_sim.workload.distinct import distinct, expected, two_hops
from janus_sim.workload.visit import MoELayer

__all__ = ["MoELayer", "Plan", "RoutedLayer", "Traffic", "max_over_mean"]

Answer = TypeVar("Answer")


@dataclass(frozen=True, eq=False, kw_only=True)
class RoutedLayer(MoELayer):
    """An MoE layer after its gate: which rows go where.

    All ranks of the group share one value, so that what they agree on is computed once.

    Parameters
    ----------
    chosen : (n, experts) int64
        Rows that the gate of each rank chose for each expert.
    useful : (n, experts) int64
        Rows kept under the capacity; `chosen` where there is none.
    rows_sent : (n, experts) int64
        Rows that travel in the expert-centric paradigm: `useful`, or the capacity everywhere when padded.
    padded : bool
        Whether `rows_sent` is the capacity everywhere, so that nobody has to read counts back.
    part : tuple of int
        Which part of `split` this is, outermost first; () for the whole.
    tokens_chose : function, optional
        Gives the experts of each token (n, tokens, top_k), which agree with `chosen`, or None where nobody
        knows them; asked only where they are needed. None for a part of a layer.
    """

    chosen: Ints
    useful: Ints
    rows_sent: Ints
    padded: bool = False
    part: tuple[int, ...] = ()
    tokens_chose: Callable[[], npt.NDArray[np.integer] | None] | None = field(default=None, repr=False)
    _memo: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False)

    @property
    def key(self) -> tuple[int | str, ...]:
        """Names this visit, and the part of it."""
        return (*super().key, *self.part)

    @cached_property
    def _sent(self) -> Ints:
        """Rows that travel from each rank to each other one, (n, n)."""
        n = len(self.group)
        position = np.array([self._index[rank] for rank in self.home.tolist()], dtype=np.int64)
        result = np.zeros((n, n), dtype=np.int64)
        np.add.at(result.T, position, self.rows_sent.T)
        return result

    def _traffic(self, rows: Ints, width: float) -> Traffic:
        return Traffic(self.group, frozen(np.rint(rows * (self.hidden * width)).astype(np.int64)))

    @cached_property
    def dispatch(self) -> Traffic:
        """Rows to the homes of their experts; in backward of the combine's width (see `combine`)."""
        backward = self.phase == "backward"
        return self._traffic(self._sent, self.combine_width if backward else self.dispatch_width)

    @cached_property
    def combine(self) -> Traffic:
        """Results back to their ranks.

        In backward the gradient of the output travels as `combine.T` and the gradient of the input as
        `dispatch.T`; both have the combine's width (gradients are not sent in fp8; DeepSeek-V3, section 3.3).
        """
        return self._traffic(self._sent.T, self.combine_width)

    @cached_property
    def _arriving(self) -> list[int]:
        return [int(rows) for rows in self.rows_sent.sum(axis=0)]

    def mine(self, rank: int) -> tuple[tuple[int, int], ...]:
        """Return (expert, rows that arrive) for the experts living at `rank` that get any row."""
        rows = self._arriving
        return tuple((expert, rows[expert]) for expert in self.experts_of(rank) if rows[expert])

    @cached_property
    def _useful(self) -> list[list[int]]:
        return [[int(rows) for rows in row] for row in self.useful]

    def rows(self, rank: int, expert: int) -> int:
        """Return the kept rows of `rank` for `expert`: what the data-centric paradigm computes."""
        return self._useful[self._index[rank]][expert]

    def sent_by(self, rank: int) -> int:
        """Return the rows that `rank` sends in the expert-centric paradigm, to itself included."""
        return int(self.rows_sent[self._index[rank]].sum())

    def own_rows(self, rank: int) -> int:
        """Return the kept rows of `rank` over all experts."""
        return sum(self._useful[self._index[rank]])

    def kept(self, expert: int) -> int:
        """Return the kept rows for `expert` over all ranks: the useful part of what arrives."""
        return int(self.useful[:, expert].sum())

    def pairs(self, places: tuple[int, ...]) -> Ints:
        """Return (n, places): the tokens of each rank that go to each place, each counted once there.

        Exactly where the choices of each token are known and none was dropped; else as expected from the rows
        alone (`janus_sim.workload.distinct`). `counted` tells which.

        Parameters
        ----------
        places : tuple of int
            The place of each rank of the group, from 0 on: its machine, or the rank itself.
        """
        key = ("pairs", places)
        if key not in self._memo:
            part = np.array(places)[[self._index[rank] for rank in self.home.tolist()]]
            known = None
            if self.tokens_chose is not None and np.array_equal(self.useful, self.chosen):
                known = self.tokens_chose()
            if known is None:
                tokens = round(int(self.chosen.sum()) / (len(self.group) * self.top_k))
                self._memo[key] = frozen(expected(self.useful, tokens, part, max(places) + 1))
            else:
                self._memo[key] = frozen(distinct(known, part, max(places) + 1))
            self._memo["counted"] = "expected" if known is None else "exact"
        result: Ints = self._memo[key]
        return result

    @property
    def counted(self) -> str:
        """How tokens were counted by `pairs`: "exact", "expected", or "" where nobody asked."""
        return str(self._memo.get("counted", ""))

    def two_hop(self, machines: tuple[int, ...], row: int) -> tuple[Traffic, Traffic]:
        """Return a dispatch in two hops, far and near: tokens go once to each machine, then to each rank.

        Parameters
        ----------
        machines : tuple of int
            The machine of each rank of the group.
        row : int
            Bytes of a token on its way.
        """
        key = ("two hops", machines, row)
        if key not in self._memo:
            far, near = _places(machines), tuple(range(len(machines)))
            self._memo[key] = self._hops(self.pairs(far) * row, self.pairs(near) * row, far)
        result: tuple[Traffic, Traffic] = self._memo[key]
        return result

    def counts(self, machines: tuple[int, ...], size: int) -> tuple[Traffic, Traffic]:
        """Return how ranks tell each other, in two hops, the rows of each expert: `size` bytes a count."""
        key = ("counts", machines, size)
        if key not in self._memo:
            far, n = _places(machines), len(machines)
            ranks = size * np.array([len(self.experts_of(rank)) for rank in self.group])
            sums = np.bincount(far, weights=ranks).astype(np.int64)
            self._memo[key] = self._hops(np.tile(sums, (n, 1)), np.tile(ranks, (n, 1)), far)
        result: tuple[Traffic, Traffic] = self._memo[key]
        return result

    def _hops(self, to_machines: Ints, to_ranks: Ints, places: tuple[int, ...]) -> tuple[Traffic, ...]:
        tables = two_hops(to_machines, to_ranks, places)
        return tuple(Traffic(self.group, frozen(table)) for table in tables)

    def useful_flops(self, rank: int) -> float:
        """Return the FLOPs that the kept rows of `rank` cost in this phase, wherever they are done."""
        return sum(self._flops(expert, self.rows(rank, expert)) for expert in range(self.experts))

    def _flops(self, expert: int, rows: int) -> float:
        if not rows:
            return 0.0
        if self.phase == "backward":
            kernels = (*self.input_gradient(expert, rows), *self.weight_gradient(expert, rows))
        else:
            kernels = self.kernel(expert, rows)
        return sum(kernel.flops for kernel in kernels)

    def split(self, parts: int) -> tuple[RoutedLayer, ...]:
        """Cut the rows of each (rank, expert) into near-equal parts, the larger ones first.

        Raises
        ------
        ValueError
            If `parts` is below 1.
        """
        if parts < 1:
            raise ValueError(f"a layer cannot be split into {parts} parts; write 1 or more")
        key = ("split", parts)
        if key not in self._memo:
            self._memo[key] = tuple(self._cut(index, parts) for index in range(parts))
        result: tuple[RoutedLayer, ...] = self._memo[key]
        return result

    def _cut(self, index: int, parts: int) -> RoutedLayer:
        def share(rows: Ints) -> Ints:
            return frozen((rows + (parts - 1 - index)) // parts)

        return replace(
            self,
            chosen=share(self.chosen),
            useful=share(self.useful),
            rows_sent=share(self.rows_sent),
            part=(*self.part, index),
            tokens_chose=None,
        )

    def agreed(self, function: Callable[[RoutedLayer], Answer]) -> Answer:
        """Return `function(self)`, computed once however many ranks ask.

        Pass a function or a method: a lambda made anew on each rank is computed anew on each.
        """
        key = ("agreed", function)
        if key not in self._memo:
            self._memo[key] = function(self)
        answer: Answer = self._memo[key]
        return answer

    def imbalance(self, level: str = "expert") -> float:
        """Return max / mean of the gate's choices over experts, or over ranks at home (`level` "rank")."""
        rows = self.chosen.sum(axis=0)
        if level == "rank":
            position = np.array([self._index[rank] for rank in self.home.tolist()])
            rows = np.bincount(position, weights=rows, minlength=len(self.group))
        return max_over_mean(rows)

    def facts(self) -> dict[str, float]:
        """Return what the table of layers says about the balance of this layer."""
        chosen, useful, sent = (int(rows.sum()) for rows in (self.chosen, self.useful, self.rows_sent))
        return {
            "rows": chosen,
            "dropped_rows": chosen - useful,
            "dropped_share": (chosen - useful) / chosen if chosen else 0.0,
            "padded_rows": sent - useful,
            "imbalance": self.imbalance("expert"),
            "rank_imbalance": self.imbalance("rank"),
        }


def _places(machines: tuple[int, ...]) -> tuple[int, ...]:
    """Number machines from 0 on, by first appearance."""
    index = {machine: place for place, machine in enumerate(dict.fromkeys(machines))}
    return tuple(index[machine] for machine in machines)
