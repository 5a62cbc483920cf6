"""The workloads W0 to W7 of Megatron-LM's token-imbalance benchmark, as routing by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from janus_sim.traces import NO_CHOICE, counts_of
from janus_sim.workload.copies import Ints, frozen
from janus_sim.workload.drawn import in_range, remembered

Name = Literal["W0", "W1", "W2", "W3", "W4", "W5", "W6", "W7"]

PERIOD = 3  #: steps for which the hot experts of W6 stay
BURST = 4  #: each so many steps, the last is W7's burst


@dataclass(frozen=True, eq=False, kw_only=True)
class ImbalanceRouting:
    """Choices of a gate by one of eight public rules; all ranks make the same ones, in the order of tokens.

    Source: NVIDIA/Megatron-LM, pull request 7488 (`benchmarks/moe/token_imbalance/benchmark.py`), opened for
    the item "public runtime token-imbalance benchmark" of the MoE roadmap, issue 6757. `docs/traces.md` has
    each rule, and where text and code of the source differ. The draws are numpy's and not PyTorch's.

    Parameters
    ----------
    name : "W0" to "W7"
    ranks : int
    experts : tuple of int
        Experts of each MoE layer.
    tokens : int
        Of one rank and micro-batch.
    top_k : int
    hot : int, optional
        Hot experts of W1, W2, W3, W6 and W7; a quarter of all by default, at least `top_k` (as the source).
    padding : float
        W4: the share of its tokens that every other rank does not route, because they are padding. The source
        leaves open how many; one half is our own reading [R].
    seed : int

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    Examples
    --------
    >>> routing = ImbalanceRouting(name="W1", ranks=4, experts=(8,), tokens=4000, top_k=2)
    >>> routing.at(0, 0, 0)[0, :2].tolist(), routing.choices_at(0, 0, 0).shape
    ([3206, 3239], (4, 4000, 2))
    """

    name: str
    ranks: int
    experts: tuple[int, ...]
    tokens: int
    top_k: int
    hot: int | None = None
    padding: float = 0.5
    seed: int = 0

    steps: None = None
    micro_batches: None = None

    def __post_init__(self) -> None:
        fewest = min(self.experts, default=self.top_k)
        most = fewest // 2 if self.name == "W5" else fewest
        in_range(
            {
                "top_k": (self.top_k, 1, most),
                "hot": (self.top_k if self.hot is None else self.hot, self.top_k, fewest),
                "padding": (self.padding, 0, 1),
            }
        )

    def at(self, step: int, micro_batch: int, moe: int) -> Ints:
        """Return the counts (ranks, experts) of MoE layer `moe`."""
        two = counts_of(self._kinds(step, micro_batch, moe), self.experts[moe])
        return frozen(two[np.arange(self.ranks) % 2])

    def choices_at(self, step: int, micro_batch: int, moe: int) -> Ints:
        """Return the experts of each token (ranks, tokens, top_k); -1 where a token is padding."""
        return frozen(self._kinds(step, micro_batch, moe)[np.arange(self.ranks) % 2])

    @cached_property
    def _kinds(self) -> Callable[[int, int, int], Ints]:
        return remembered(self._drawn, size=16 * self.tokens * self.top_k)

    def _drawn(self, step: int, micro_batch: int, moe: int) -> Ints:
        """Return the choices (2, tokens, top_k) of even and of odd ranks."""
        even = self._rule(step, moe)(
            np.random.default_rng([self.seed, int(self.name[1]), step, micro_batch, moe])
        )
        odd = even.copy()
        if self.name == "W4":
            odd[self.tokens - round(self.padding * self.tokens) :] = NO_CHOICE
        return np.stack([even, odd])

    def _rule(self, step: int, moe: int) -> Callable[[np.random.Generator], Ints]:
        """Return what draws the choices (tokens, top_k)."""
        count = self.experts[moe]
        hot = np.arange(max(self.top_k, count // 4) if self.hot is None else self.hot)
        three_of_four, every_other = np.arange(self.tokens) % 4 > 0, np.arange(self.tokens) % 2 == 0
        if self.name == "W0":
            return lambda _: _in_turn(self.tokens, self.top_k, count)
        if self.name == "W4":
            return lambda rng: distinct(rng, np.arange(count), self.tokens, self.top_k)
        if self.name == "W5":
            return lambda rng: distinct(rng, np.arange(count // 2, count), self.tokens, self.top_k)
        if self.name == "W3":
            hot = hot * count // len(hot)
        if self.name == "W6":
            hot = (hot + step // PERIOD * len(hot)) % count
        among = every_other & (step % BURST == BURST - 1) if self.name == "W7" else three_of_four
        return lambda rng: self._heated(rng, hot, count, among)

    def _heated(self, rng: np.random.Generator, hot: Ints, count: int, among: np.ndarray) -> Ints:
        """Let some tokens choose among the hot experts, the others among all."""
        table = np.empty((self.tokens, self.top_k), dtype=np.int64)
        for pool, which in ((hot, among), (np.arange(count), ~among)):
            table[which] = distinct(rng, pool, int(which.sum()), self.top_k)
        return table


def distinct(rng: np.random.Generator, pool: Ints, tokens: int, top_k: int) -> Ints:
    """Return `top_k` different experts of `pool` for each token (tokens, top_k), all sets alike likely.

    Examples
    --------
    >>> distinct(np.random.default_rng(1), np.array([3, 5]), tokens=2, top_k=2).tolist()
    [[3, 5], [3, 5]]
    """
    keys = rng.random((tokens, len(pool)))
    return np.sort(pool[np.argpartition(keys, top_k - 1, axis=1)[:, :top_k]], axis=1)


def _in_turn(tokens: int, top_k: int, count: int) -> Ints:
    """Deal the experts out to the tokens in turn."""
    return np.arange(tokens * top_k).reshape(tokens, top_k) % count
