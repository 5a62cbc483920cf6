"""Routing limited to some machines a token: which machines first, then which experts on each."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from janus_sim.workload.copies import Ints
from janus_sim.workload.shares import Floats
from janus_sim.workload.trace import choices

#: Gives whole counts: so many rows, by shares, at most so many each.
Draw = Callable[[int, Floats, int], Ints]


def limited(
    shares: Floats,
    tokens: int,
    top_k: int,
    *,
    machines: int,
    spread: int,
    draw: Draw,
    rng: np.random.Generator,
) -> Ints:
    """Return the experts of each token, which lie on `machines` machines, top_k / machines on each.

    A machine is chosen in proportion to its experts' shares, an expert to its share of the machine.
    DeepSeek-V3 (Technical Report, 2.1.2) limits a token to M machines and leaves open how many experts lie on
    each.

    Parameters
    ----------
    shares : (experts,) float64
        Add up to 1; contiguous blocks of experts lie on each machine.
    tokens, top_k : int
    machines : int
        Of a token; divides `top_k`.
    spread : int
        Machines that there are; divides the experts.
    draw : function of rows, shares and limit
        Gives counts that add up to the rows, none above the limit.
    rng : numpy.random.Generator

    Returns
    -------
    (tokens, top_k) int64

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> even = lambda rows, shares, limit: np.diff(np.rint(np.cumsum([0, *shares]) * rows)).astype(int)
    >>> table = limited(np.full(8, 1 / 8), 6, 4, machines=2, spread=4, draw=even, rng=rng)
    >>> table.shape, {len(set(token // 2)) for token in table}
    ((6, 4), {2})
    """
    each, block = top_k // machines, len(shares) // spread
    parts = shares.reshape(spread, block)
    sums = parts.sum(axis=1)
    where = choices(draw(tokens * machines, sums, tokens), machines, rng)
    table = np.empty((tokens, machines, each), dtype=np.int64)
    for machine in range(spread):
        here = np.nonzero(where == machine)
        inside = parts[machine] / sums[machine] if sums[machine] else np.full(block, 1 / block)
        counts = draw(len(here[0]) * each, inside, len(here[0]))
        table[here] = machine * block + choices(counts, each, rng)
    return table.reshape(tokens, top_k)
