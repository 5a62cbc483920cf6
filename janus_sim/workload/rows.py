"""The rows of one MoE layer after its gate: how many, kept or padded, and from whom to whom they travel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from janus_sim.errors import PolicyError
from janus_sim.workload.copies import Copies, Ints, Traffic, frozen, max_over_mean
from janus_sim.workload.parcels import Parcels
from janus_sim.workload.visit import MoELayer


@dataclass(frozen=True, eq=False, kw_only=True)
class RoutedRows(MoELayer):
    """An MoE layer after its gate: which rows there are, and where they go.

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
        knows them; asked only where they are needed. None for a part of a layer, and `rerouted`.
    copies : Copies
        Where experts are found and rows go: at homes, unless `rerouted`.
    """

    chosen: Ints
    useful: Ints
    rows_sent: Ints
    padded: bool = False
    part: tuple[int, ...] = ()
    tokens_chose: Callable[[], npt.NDArray[np.integer] | None] | None = field(default=None, repr=False)
    _copies: Copies | None = field(default=None, repr=False)
    _parcels: Parcels | None = field(default=None, repr=False)

    @property
    def copies(self) -> Copies:
        """Where the experts can be found, and how rows are shared among their copies."""
        return self._copies or super().copies

    @property
    def key(self) -> tuple[int | str, ...]:
        """Names this visit, and the part of it."""
        return (*super().key, *self.part)

    @cached_property
    def _sent(self) -> Ints:
        """Rows that travel from each rank to each other one, (n, n)."""
        n = len(self.group)
        if self._parcels is not None:
            return self._parcels.table(n)
        result = np.zeros((n, n), dtype=np.int64)
        np.add.at(result.T, self.places, self.rows_sent.T)
        return result

    def _traffic(self, rows: Ints, width: float) -> Traffic:
        return Traffic(self.group, frozen(np.rint(rows * (self.hidden * width)).astype(np.int64)))

    @cached_property
    def dispatch(self) -> Traffic:
        """Rows to a copy of their experts; in backward of the combine's width (see `combine`)."""
        return self._traffic(self._sent, self._widths[0])

    @cached_property
    def combine(self) -> Traffic:
        """Results back to their ranks.

        In backward the gradient of the output travels as `combine.T`, and as wide as rows are dispatched; the
        gradient of the input travels as `dispatch.T`, and as wide as they are combined (DeepSeek-V3
        Technical Report, 3.3.3).
        """
        return self._traffic(self._sent.T, self._widths[1])

    @property
    def _widths(self) -> tuple[float, float]:
        """Bytes of an element in `dispatch` and in `combine`."""
        forward = self.dispatch_width, self.combine_width
        return forward[::-1] if self.phase == "backward" else forward

    @cached_property
    def _arriving(self) -> list[int]:
        return [int(rows) for rows in self.rows_sent.sum(axis=0)]

    def mine(self, rank: int) -> tuple[tuple[int, int], ...]:
        """Return (expert, rows that arrive) for the experts at `rank` that get any row there."""
        if self._parcels is not None:
            return self._parcels.arriving.get(self._index[rank], ())
        rows = self._arriving
        return tuple((expert, rows[expert]) for expert in self.experts_of(rank) if rows[expert])

    @cached_property
    def _useful(self) -> list[list[int]]:
        return [[int(rows) for rows in row] for row in self.useful]

    def rows(self, rank: int, expert: int) -> int:
        """Return the kept rows of `rank` for `expert`: what the data-centric paradigm computes."""
        return self._useful[self._index[rank]][expert]

    def own(self, rank: int) -> tuple[tuple[int, int], ...]:
        """Return (expert, kept rows of `rank`) for the experts that get any: all its work where rows stay."""
        kept = enumerate(self._useful[self._index[rank]])
        return tuple((expert, rows) for expert, rows in kept if rows)

    def sent_by(self, rank: int) -> int:
        """Return the rows that `rank` sends in the expert-centric paradigm, to itself included."""
        return int(self.rows_sent[self._index[rank]].sum())

    def own_rows(self, rank: int) -> int:
        """Return the kept rows of `rank` over all experts."""
        return sum(self._useful[self._index[rank]])

    def kept(self, expert: int) -> int:
        """Return the kept rows for `expert` over all ranks: the useful part of what arrives."""
        return int(self.useful[:, expert].sum())

    def kept_at(self, rank: int) -> tuple[tuple[int, int], ...]:
        """Return (expert, kept rows that arrive) for the experts at `rank` that get any; no padding.

        Raises
        ------
        PolicyError
            If the layer is padded and `rerouted`: then nobody knows which rows of a copy are padding.
        """
        if self._parcels is None:
            kept = ((expert, self.kept(expert)) for expert in self.experts_of(rank))
            return tuple((expert, rows) for expert, rows in kept if rows)
        if self.padded:
            raise PolicyError("the rows of copies are padded; leave `pad` or the policy around this one out")
        return self.mine(rank)

    def useful_share(self, expert: int) -> float:
        """Return which part of the rows that travel to `expert` are kept: the rest is padding."""
        return self.kept(expert) / self._arriving[expert]

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

    def imbalance(self, level: str = "expert") -> float:
        """Return max / mean of the rows of experts, or of ranks.

        Experts: the gate's choices. Ranks: these at the homes of their experts ("rank"), or the rows that
        arrive where the experts run ("arriving").

        Parameters
        ----------
        level : {"expert", "rank", "arriving"}
        """
        if level == "arriving":
            return max_over_mean(self._sent.sum(axis=0))
        rows = self.chosen.sum(axis=0)
        if level == "rank":
            rows = np.bincount(self.places, weights=rows, minlength=len(self.group))
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
            "arriving_imbalance": self.imbalance("arriving"),
        }
