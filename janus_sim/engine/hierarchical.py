"""All-reduce in two levels: inside each machine by rings or in the switch, between machines by rings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from janus_sim.engine.rings import Pairs, by_machine, shares


def hierarchical_all_reduce(machines: Sequence[int], size: int, *, in_switch: bool = False) -> Pairs:
    """Return the flows of an all-reduce, hierarchical where each machine has equally many members.

    Inside a machine of m members each sends 2 S (m-1)/m to the next (reduce-scatter, then all-gather);
    between N machines the members of one index form a ring that carries their share of the buffer, so that 2
    S (N-1)/N leave each machine. Members spread unevenly form one flat ring, machine by machine. Bytes are
    whole: the remainders go to the first.

    In the switch (NVLS of NVLink SHARP): it reads S from each GPU's port and hands each its sum of S/m, then
    takes S/m from each and hands all of it to all: S (m+1)/m go out of each port and into it. Its busbw on m
    ports of B bytes/s is therefore 2 (m-1)/(m+1) B, 1.56 B for 8, where a ring reaches B. With three members
    or less a ring moves no more, and is taken.

    Parameters
    ----------
    machines : sequence of int
        The machine of each member.
    size : int
        Bytes of the buffer on each member.
    in_switch : bool
        Whether the switch inside each machine sums.

    Returns
    -------
    source, target : (n,) int64
        Indices of members. What goes through the switch to and from all stands as a flow to the next, which
        takes as much out of each port and into it.
    sizes : (n,) int64
        Bytes.

    Examples
    --------
    >>> source, target, sizes = hierarchical_all_reduce([0, 0, 1, 1], 8)
    >>> [*zip(source.tolist(), target.tolist(), sizes.tolist())]
    [(0, 1, 8), (1, 0, 8), (2, 3, 8), (3, 2, 8), (0, 2, 4), (2, 0, 4), (1, 3, 4), (3, 1, 4)]
    >>> hierarchical_all_reduce([0, 0, 0, 0], 8, in_switch=True)[2].tolist()
    [10, 10, 10, 10]
    """
    rows = by_machine(machines)
    if len({len(row) for row in rows}) > 1:
        return _flows([([member for row in rows for member in row], size, False)])
    width = len(rows[0])
    inside = [(row, size, in_switch) for row in rows]
    parts = shares(size, width)
    between = [([row[index] for row in rows], parts[index], False) for index in range(width)]
    return _flows(inside + between)


def _flows(rings: list[tuple[list[int], int, bool]]) -> Pairs:
    """Each member of a ring of n sends 2 S (n-1)/n to the next, or S (n+1)/n through the switch."""
    rows = [
        (member, ring[(place + 1) % len(ring)], -(-_parts(len(ring), in_switch) * size // len(ring)))
        for ring, size, in_switch in rings
        if len(ring) > 1 and size
        for place, member in enumerate(ring)
    ]
    table = np.array(rows, dtype=np.int64).reshape(-1, 3)
    return table[:, 0], table[:, 1], table[:, 2]


def _parts(count: int, in_switch: bool) -> int:
    """Return how many n-th parts of the buffer each of n members sends."""
    return min(count + 1, 2 * (count - 1)) if in_switch else 2 * (count - 1)
