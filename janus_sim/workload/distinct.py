"""How many tokens of each rank go to each part of a group: distinct pairs, exactly or as expected."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from janus_sim.workload.copies import Ints

Floats = npt.NDArray[np.float64]
AT_A_TIME = 4096  #: tokens that are marked together


def distinct(choices: npt.NDArray[np.integer], part: Ints, parts: int) -> Ints:
    """Count distinct (token, part) pairs: a token that chose several experts of one part counts there once.

    Parameters
    ----------
    choices : (ranks, tokens, top_k) int
        Experts of each token; -1 is none.
    part : (experts,) int64
        The part of each expert: the place of a rank, or of a machine.
    parts : int

    Returns
    -------
    (ranks, parts) int64

    Examples
    --------
    >>> distinct(np.array([[[0, 1], [1, 3]]]), part=np.array([0, 0, 1, 1]), parts=2).tolist()
    [[2, 1]]
    """
    counts, place = np.zeros((len(choices), parts), dtype=np.int64), np.append(part, parts)
    for rank, table in enumerate(choices):
        for first in range(0, len(table), AT_A_TIME):
            some = place[table[first : first + AT_A_TIME]]
            touched = np.zeros((len(some), parts + 1), dtype=bool)
            touched[np.arange(len(some))[:, None], some] = True
            counts[rank] += touched[:, :parts].sum(axis=0)
    return counts


def expected(rows: Ints, tokens: int, part: Ints, parts: int) -> Ints:
    """Return the expected count of distinct (token, part) pairs where only the rows of each expert are known.

    Every token is taken to choose k different experts at random (k: rows of a rank over its tokens), an
    expert in proportion to the odds of its rows; the chance to miss a part is then a ratio of elementary
    symmetric polynomials of the odds: with equal rows C(E - e, k) / C(E, k), exactly. Never below the rows of
    the part's first expert, nor above all its rows or the tokens.

    Parameters
    ----------
    rows : (ranks, experts) int64
    tokens : int
        Of a rank.
    part, parts
        See `distinct`.

    Returns
    -------
    (ranks, parts) int64
        Rounded.

    Examples
    --------
    >>> expected(np.full((1, 4), 500), tokens=1000, part=np.array([0, 0, 1, 1]), parts=2).tolist()
    [[833, 833]]
    """
    ranks, k = len(rows), np.maximum(1, np.rint(rows.sum(axis=1) / max(tokens, 1)).astype(np.int64))
    share = np.clip(rows / max(tokens, 1), 0.0, 1.0 - 1e-9)
    odds, degree = share / (1.0 - share), int(k.max(initial=1))
    inside = np.zeros((parts, ranks, degree + 1))
    inside[:, :, 0] = 1.0
    for expert, place in enumerate(part.tolist()):
        inside[place, :, 1:] += inside[place, :, :-1] * odds[:, expert, None]
    others = _others(inside)
    every, at = _product(others[0], inside[0]), np.arange(ranks)
    chance = 1.0 - others[:, at, k] / np.maximum(every[at, k], 1e-300)
    sums, most = (np.array([how(rows[:, part == one]) for one in range(parts)]) for how in (_sum, _most))
    counts: Ints = np.clip(np.rint(chance * tokens), most, np.minimum(sums, tokens)).astype(np.int64).T
    return counts


def _others(inside: Floats) -> Floats:
    """Return for each part the product of the polynomials of all others, (parts, ranks, degree + 1)."""
    one = np.zeros_like(inside[0])
    one[:, 0] = 1.0
    before, after = [one], [one]
    for polynomial in inside[:-1]:
        before.append(_product(before[-1], polynomial))
    for polynomial in inside[:0:-1]:
        after.append(_product(after[-1], polynomial))
    return np.array([_product(*both) for both in zip(before, reversed(after), strict=True)])


def _product(first: Floats, second: Floats) -> Floats:
    """Multiply polynomials (ranks, degree + 1), cut at their degree."""
    result = np.zeros_like(first)
    for power in range(first.shape[1]):
        result[:, power:] += first[:, power, None] * second[:, : first.shape[1] - power]
    return result


def _sum(rows: Ints) -> Ints:
    return np.asarray(rows.sum(axis=1))


def _most(rows: Ints) -> Ints:
    return np.asarray(rows.max(axis=1, initial=0))


def two_hops(to_machines: Ints, to_ranks: Ints, machines: tuple[int, ...]) -> tuple[Ints, Ints]:
    """Return the tables of bytes of a dispatch by way of the ranks of one index: first far, then near.

    What a rank sends to a machine goes once to the member there of its own index, and from that one to each
    rank that needs it; in its own machine a rank is that member itself. The diagonals stay where they are.
    Source: DeepSeek-V3 Technical Report (arXiv 2412.19437), section 3.2.2.

    Parameters
    ----------
    to_machines : (n, machines) int64
        Bytes of each member for each machine, each token once.
    to_ranks : (n, n) int64
        Bytes of each member for each other one, each token once.
    machines : tuple of int
        The machine of each member, from 0 on. Where machines have unequally many members, those of a smaller
        one serve several indices in turn.

    Returns
    -------
    far, near : (n, n) int64

    Examples
    --------
    >>> far, near = two_hops(np.full((4, 2), 3), np.full((4, 4), 2), (0, 0, 1, 1))
    >>> far[0].tolist(), near[0].tolist()
    ([3, 0, 3, 0], [4, 4, 0, 0])
    """
    count, where = len(machines), np.array(machines)
    rows = [np.flatnonzero(where == machine) for machine in range(to_machines.shape[1])]
    index = np.array([int(np.searchsorted(rows[where[member]], member)) for member in range(count)])
    relay = np.stack([row[index % len(row)] for row in rows], axis=1)
    far, near = np.zeros((count, count), dtype=np.int64), np.zeros((count, count), dtype=np.int64)
    every = np.arange(count)
    np.add.at(far, (every[:, None], relay), to_machines)
    np.add.at(near, (relay[:, where], every[None, :]), to_ranks)
    return far, near
