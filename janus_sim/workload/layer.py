"""One MoE layer in one pass, as a value that policies transform."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from janus_sim.workload.copies import Copies, Ints, Plan, Traffic, frozen, max_over_mean
from janus_sim.workload.distinct import distinct, expected, two_hops
from janus_sim.workload.parcels import parcels
from janus_sim.workload.rows import RoutedRows
from janus_sim.workload.visit import MoELayer

__all__ = ["MoELayer", "Plan", "RoutedLayer", "Traffic", "max_over_mean"]

Answer = TypeVar("Answer")


@dataclass(frozen=True, eq=False, kw_only=True)
class RoutedLayer(RoutedRows):
    """An MoE layer after its gate, as policies transform it; fields as of `RoutedRows`.

    All ranks of the group share one value, so that what they agree on is computed once.
    """

    _memo: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False)
    _how: set[str] = field(default_factory=set, repr=False)  # one set for a layer and all that is made of it

    def pairs(self, places: tuple[int, ...]) -> Ints:
        """Return (n, places): the tokens of each rank that go to each place, each counted once there.

        Exactly where the choices of each token are known and none was dropped; else as expected from the rows
        alone (`janus_sim.workload.distinct`), copies of an expert as if they were experts of their own.
        `counted` tells which.

        Parameters
        ----------
        places : tuple of int
            The place of each rank of the group, from 0 on: its machine, or the rank itself.
        """
        return self.agreed(RoutedLayer._pairs, places)

    def _pairs(self, places: tuple[int, ...]) -> Ints:
        rows, holders = self._columns()
        part, known = np.array(places)[holders], None
        if self.tokens_chose is not None and np.array_equal(self.useful, self.chosen):
            known = self.tokens_chose()
        self._how.add("expected" if known is None else "exact")
        if known is None:
            tokens = round(int(self.chosen.sum()) / (len(self.group) * self.top_k))
            return frozen(expected(rows, tokens, part, max(places) + 1))
        return frozen(distinct(known, part, max(places) + 1))

    def _columns(self) -> tuple[Ints, Ints]:
        """Return kept rows (n, c) for each expert, or copy of an expert, and the place (c,) where it is."""
        if self._parcels is None:
            return self.useful, self.places
        return self._parcels.columns(len(self.group))

    @property
    def counted(self) -> str:
        """How `pairs` counted tokens, here or in a part: "exact", "expected", or "" where nobody asked."""
        return max(self._how, default="")

    def two_hop(self, machines: tuple[int, ...], row: int) -> tuple[Traffic, Traffic]:
        """Return a dispatch in two hops, far and near: tokens go once to each machine, then to each rank.

        Parameters
        ----------
        machines : tuple of int
            The machine of each rank of the group.
        row : int
            Bytes of a token on its way.
        """
        return self.agreed(RoutedLayer._two_hop, machines, row)

    def _two_hop(self, machines: tuple[int, ...], row: int) -> tuple[Traffic, Traffic]:
        far, near = _places(machines), tuple(range(len(machines)))
        return self._hops(self.pairs(far) * row, self.pairs(near) * row, far)

    def relayed(self, machines: tuple[int, ...]) -> tuple[int, ...]:
        """Return of how many tokens each rank hands on rows inside its machine, its own among them."""
        return self.agreed(RoutedLayer._relayed, machines)

    def _relayed(self, machines: tuple[int, ...]) -> tuple[int, ...]:
        far, _ = self.two_hop(machines, 1)
        return tuple(far.bytes.sum(axis=0).tolist())

    def counts(self, machines: tuple[int, ...], size: int) -> tuple[Traffic, Traffic]:
        """Return how ranks tell each other, in two hops, the rows of each expert: `size` bytes a count."""
        return self.agreed(RoutedLayer._counts, machines, size)

    def _counts(self, machines: tuple[int, ...], size: int) -> tuple[Traffic, Traffic]:
        far, n = _places(machines), len(machines)
        ranks = size * np.array([len(self.experts_of(rank)) for rank in self.group])
        sums = np.bincount(far, weights=ranks).astype(np.int64)
        return self._hops(np.tile(sums, (n, 1)), np.tile(ranks, (n, 1)), far)

    def _hops(self, to_machines: Ints, to_ranks: Ints, places: tuple[int, ...]) -> tuple[Traffic, Traffic]:
        far, near = two_hops(to_machines, to_ranks, places)
        return Traffic(self.group, frozen(far)), Traffic(self.group, frozen(near))

    def rerouted(self, copies: Copies) -> RoutedLayer:
        """Return the layer whose rows go to copies of their experts, each copy as many as it is to get.

        What the gate chose does not change: dispatch, combine and where experts run do. Rows stay on their
        rank and in their machine where they can (`janus_sim.workload.parcels`).

        Raises
        ------
        ValueError
            If replicas are to get more rows than there are.
        """
        shared = parcels(self.rows_sent, copies, self.group)
        return replace(self, tokens_chose=None, _copies=copies, _parcels=shared)

    def split(self, parts: int) -> tuple[RoutedLayer, ...]:
        """Cut the rows of each (rank, expert) into near-equal parts, the larger ones first.

        Raises
        ------
        ValueError
            If `parts` is below 1.
        """
        if parts < 1:
            raise ValueError(f"a layer cannot be split into {parts} parts; write 1 or more")
        return self.agreed(RoutedLayer._parts, parts)

    def _parts(self, parts: int) -> tuple[RoutedLayer, ...]:
        return tuple(self._cut(index, parts) for index in range(parts))

    def _cut(self, index: int, parts: int) -> RoutedLayer:
        def share(rows: Ints) -> Ints:
            """Return part `index` of every entry."""
            return frozen((rows + (parts - 1 - index)) // parts)

        chosen, useful, sent = (share(rows) for rows in (self.chosen, self.useful, self.rows_sent))
        some = self._parcels and self._parcels.cut(index, parts)
        if some:  # cut by copies, so that every row of every part has one
            sent = frozen(some.sent(*sent.shape))
            useful = useful if self.padded else sent
        return replace(
            self,
            chosen=chosen,
            useful=useful,
            rows_sent=sent,
            part=(*self.part, index),
            tokens_chose=None,
            _parcels=some,
        )

    def agreed(self, function: Callable[..., Answer], *known: Hashable) -> Answer:
        """Return `function(self, *known)`, computed once however many ranks ask with the same.

        Pass a function or a method: a lambda made anew on each rank is computed anew on each.
        """
        key = ("agreed", function, known)
        if key not in self._memo:
            self._memo[key] = function(self, *known)
        answer: Answer = self._memo[key]
        return answer


def _places(machines: tuple[int, ...]) -> tuple[int, ...]:
    """Number machines from 0 on, by first appearance."""
    index = {machine: place for place, machine in enumerate(dict.fromkeys(machines))}
    return tuple(index[machine] for machine in machines)
