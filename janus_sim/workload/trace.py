"""What a workload asks of its routing, and choices that agree with counts."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from janus_sim.workload.copies import Ints

BLOCK = 64  #: tokens whose choices are drawn together


class Routing(Protocol):
    """What a workload asks of its routing, recorded or drawn."""

    @property
    def steps(self) -> int | None:
        """Steps there are; None where there is no end."""

    @property
    def micro_batches(self) -> int | None:
        """Micro-batches of a step; None where there is no end."""

    @property
    def ranks(self) -> int:
        """Source ranks."""

    @property
    def experts(self) -> tuple[int, ...]:
        """Experts of each MoE layer."""

    def at(self, step: int, micro_batch: int, moe: int) -> Ints:
        """Return the counts (ranks, experts) of one MoE layer."""

    def choices_at(self, step: int, micro_batch: int, moe: int) -> npt.NDArray[np.integer] | None:
        """Return the experts of each token (ranks, tokens, top_k) that agree with the counts, if known."""


def choices(counts: npt.ArrayLike, top_k: int, rng: np.random.Generator) -> Ints:
    """Return the experts of each token, drawn so that they agree with the counts of one rank.

    The experts, in random order and each repeated as often as it was chosen, are written down the columns of
    a table of tokens x top_k; since none is chosen more often than there are tokens, no token gets one twice.
    Tokens are then put in random order, and each block of 64 of them is drawn again in the same way from its
    own counts, so that the few sets of experts that a single order allows become many.

    Parameters
    ----------
    counts : (experts,) int
        Sums to tokens x top_k; no entry above the number of tokens.
    top_k : int
    rng : numpy.random.Generator

    Returns
    -------
    (tokens, top_k) int64

    Raises
    ------
    ValueError
        If the counts cannot be those of a gate that picks `top_k` distinct experts.

    Examples
    --------
    >>> table = choices([3, 2, 1], top_k=2, rng=np.random.default_rng(1))
    >>> table.shape, np.bincount(table.ravel()).tolist()
    ((3, 2), [3, 2, 1])
    """
    rows = np.asarray(counts, dtype=np.int64)
    tokens, rest = divmod(int(rows.sum()), top_k)
    if rest or (rows.size and (rows.min() < 0 or rows.max() > tokens)):
        raise ValueError(f"{rows.tolist()} are not the counts of {top_k} distinct experts a token")
    order = rng.permutation(rows.size)
    table = np.repeat(order, rows[order]).reshape(top_k, tokens).T
    return _drawn_again(rng.permutation(table), rows.size, rng)


def _drawn_again(table: Ints, experts: int, rng: np.random.Generator) -> Ints:
    """Draw each whole block of tokens anew: the same counts, another order of the experts."""
    tokens, top_k = table.shape
    blocks = tokens // BLOCK
    whole = table[: blocks * BLOCK].reshape(blocks, BLOCK * top_k)
    order = rng.random((blocks, experts)).argsort(axis=1)
    place = np.empty(order.shape, dtype=np.int16 if experts < 2**15 else np.int64)
    np.put_along_axis(place, order, np.arange(experts, dtype=place.dtype)[None, :], axis=1)
    turns = np.take_along_axis(place, whole, axis=1)
    turns.sort(axis=1, kind="stable")  # whole numbers of 16 bits are sorted by radix
    again = np.take_along_axis(order, turns.astype(np.int64), axis=1)
    table[: blocks * BLOCK] = again.reshape(blocks, top_k, BLOCK).transpose(0, 2, 1).reshape(-1, top_k)
    return table
