"""Which bytes a collective sends from whom to whom along rings: pure functions on arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]
#: Flows: indices of the members that send (n,), of those that receive (n,), and bytes (n,).
Pairs: TypeAlias = tuple[Ints, Ints, Ints]


def by_machine(machines: Sequence[int]) -> list[list[int]]:
    """Return the indices of the members in each machine, in order of first appearance.

    Examples
    --------
    >>> by_machine([0, 1, 0, 1])
    [[0, 2], [1, 3]]
    """
    groups: dict[int, list[int]] = {}
    for member, machine in enumerate(machines):
        groups.setdefault(machine, []).append(member)
    return list(groups.values())


def shares(size: int, count: int) -> list[int]:
    """Cut `size` bytes into `count` near-equal parts; the remainders go to the first.

    Examples
    --------
    >>> shares(8, 3)
    [3, 3, 2]
    """
    return [size // count + (index < size % count) for index in range(count)]


def rings(machines: Sequence[int]) -> list[list[int]]:
    """Return rings over all members, machine by machine: one for each member of a machine.

    Ring c enters each machine at its c-th member and leaves it by the one before, so that all NICs of a
    machine have equally much to do (as NCCL builds its channels). The members of one machine, or of machines
    with unequally many, share one ring.

    Examples
    --------
    >>> rings([0, 0, 1, 1])
    [[0, 1, 2, 3], [1, 0, 3, 2]]
    """
    rows = by_machine(machines)
    count = len(rows[0]) if len(rows) > 1 and len({len(row) for row in rows}) == 1 else 1
    return [[member for row in rows for member in row[turn:] + row[:turn]] for turn in range(count)]


def ring_all_reduce(machines: Sequence[int], size: int) -> Pairs:
    """Return the flows of an all-reduce along rings: 2 S (n-1)/n over every edge of n members together.

    On a uniform network of ports of B bytes/s it takes 2 S (n-1)/(n B); between machines with k NICs each it
    takes 2 S (n-1)/(n k B).

    Parameters
    ----------
    machines : sequence of int
        The machine of each member.
    size : int
        Bytes of the buffer on each member.

    Examples
    --------
    >>> source, target, sizes = ring_all_reduce([0, 0, 0, 0], 8)
    >>> [*zip(source.tolist(), target.tolist(), sizes.tolist())]
    [(0, 1, 12), (1, 2, 12), (2, 3, 12), (3, 0, 12)]
    """
    return _around(machines, size, turns=2)


def ring_all_gather(machines: Sequence[int], size: int) -> Pairs:
    """Return the flows of an all-gather along rings: S (n-1)/n over every edge; S: bytes gathered in all.

    A reduce-scatter of S bytes moves the same the same way.
    """
    return _around(machines, size, turns=1)


def ring_broadcast(machines: Sequence[int], size: int, root: int) -> Pairs:
    """Return the flows of a broadcast along rings: S over every edge but those into the root.

    Parameters
    ----------
    machines, size
        See `ring_all_reduce`.
    root : int
        Index of the member that has the bytes.

    Examples
    --------
    >>> source, target, sizes = ring_broadcast([0, 0, 0], 9, root=1)
    >>> [*zip(source.tolist(), target.tolist(), sizes.tolist())]
    [(1, 2, 9), (2, 0, 9)]
    """
    found = rings(machines)
    parts = shares(size, len(found))
    edges = [
        (member, after, part)
        for ring, part in zip(found, parts, strict=True)
        for member, after in _edges(ring)
        if after != root
    ]
    return flows(edges, len(machines))


def next_one(machines: Sequence[int], size: int) -> Pairs:
    """Return the flows of nccl-tests' sendrecv: each member sends S bytes to the next.

    Examples
    --------
    >>> next_one([0, 0], 5)[2].tolist()
    [5, 5]
    """
    return flows([(*edge, size) for edge in _edges(range(len(machines)))], len(machines))


def flows(edges: Iterable[tuple[int, int, int]], members: int) -> Pairs:
    """Lay out edges (from, to, bytes) as arrays, one flow for each pair that moves any, by pairs.

    Examples
    --------
    >>> [part.tolist() for part in flows([(1, 0, 2), (0, 1, 3), (1, 0, 5)], 2)]
    [[0, 1], [1, 0], [3, 7]]
    """
    table = np.array([edge for edge in edges if edge[2]], dtype=np.int64).reshape(-1, 3)
    pairs, place = np.unique(table[:, 0] * members + table[:, 1], return_inverse=True)
    sizes = np.zeros(len(pairs), dtype=np.int64)
    np.add.at(sizes, place.ravel(), table[:, 2])
    return pairs // members, pairs % members, sizes


def _around(machines: Sequence[int], size: int, turns: int) -> Pairs:
    """Each edge of a ring of n carries `turns` times its share of the bytes, less one part of n."""
    count, found = len(machines), rings(machines)
    edges = [
        (*edge, -(-turns * part * (count - 1) // count))
        for ring, part in zip(found, shares(size, len(found)), strict=True)
        for edge in _edges(ring)
    ]
    return flows(edges, count)


def _edges(ring: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Give each member of a ring of at least two with the next."""
    if len(ring) > 1:
        yield from ((member, ring[(place + 1) % len(ring)]) for place, member in enumerate(ring))
