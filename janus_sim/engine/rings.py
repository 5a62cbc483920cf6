"""Which bytes a ring all-reduce sends from whom to whom: pure functions on arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def ring_all_reduce(
    machines: Sequence[int], size: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the flows of an all-reduce, hierarchical where each machine has equally many members.

    Inside a machine of m members each sends 2 S (m-1)/m to the next (reduce-scatter, then all-gather);
    between N machines the members of one index form a ring that carries their share of the buffer, so that 2
    S (N-1)/N leave each machine. Members spread unevenly form one flat ring, machine by machine. Bytes are
    whole: the remainders go to the first.

    Parameters
    ----------
    machines : sequence of int
        The machine of each member.
    size : int
        Bytes of the buffer on each member.

    Returns
    -------
    source, target : (n,) int64
        Indices of members.
    sizes : (n,) int64
        Bytes.

    Examples
    --------
    >>> source, target, sizes = ring_all_reduce([0, 0, 1, 1], 8)
    >>> [*zip(source.tolist(), target.tolist(), sizes.tolist())]
    [(0, 1, 8), (1, 0, 8), (2, 3, 8), (3, 2, 8), (0, 2, 4), (2, 0, 4), (1, 3, 4), (3, 1, 4)]
    """
    groups: dict[int, list[int]] = {}
    for member, machine in enumerate(machines):
        groups.setdefault(machine, []).append(member)
    rows = list(groups.values())
    if len({len(row) for row in rows}) > 1:
        return _flows([([member for row in rows for member in row], size)])
    width = len(rows[0])
    inside = [(row, size) for row in rows]
    shares = [size // width + (index < size % width) for index in range(width)]
    between = [([row[index] for row in rows], shares[index]) for index in range(width)]
    return _flows(inside + between)


def _flows(
    rings: list[tuple[list[int], int]],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Each member of a ring of n sends 2 S (n-1)/n to the next."""
    rows = [
        (member, ring[(place + 1) % len(ring)], -(-2 * size * (len(ring) - 1) // len(ring)))
        for ring, size in rings
        if len(ring) > 1 and size
        for place, member in enumerate(ring)
    ]
    table = np.array(rows, dtype=np.int64).reshape(-1, 3)
    return table[:, 0], table[:, 1], table[:, 2]
