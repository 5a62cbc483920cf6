"""An All-to-All in several hops, one after another: pure functions from a table of bytes to tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

import numpy as np

from janus_sim.engine.rings import Ints, by_machine

AllToAllPath: TypeAlias = Literal["flat", "1dh", "2dh", "pairwise"]

#: What the hops of each path are called in labels.
NAMES: Final[dict[str, tuple[str, ...]]] = {
    "flat": ("",),
    "1dh": (" gather", " between", " scatter"),
    "2dh": (" near", " far"),
}


def names(path: AllToAllPath, hops: int) -> tuple[str, ...]:
    """Return what the hops of a path are called in labels.

    Examples
    --------
    >>> names("2dh", 2), names("pairwise", 3)
    ((' near', ' far'), (' 1', ' 2', ' 3'))
    """
    return tuple(f" {number}" for number in range(1, hops + 1)) if path == "pairwise" else NAMES[path]


def hops(path: AllToAllPath, sizes: Ints, machines: Sequence[int], window: int = 8) -> tuple[Ints, ...]:
    """Return the tables of bytes of all hops of a path.

    Parameters
    ----------
    path : {"flat", "1dh", "2dh", "pairwise"}
        See `one_leader`, `aligned` and `windows`.
    sizes : (n, n) int64
        Bytes from member (row) to member (column). In all tables the diagonal stays on its GPU.
    machines : sequence of int
        The machine of each member.
    window : int
        Of the pairwise exchange.

    Raises
    ------
    ValueError
        If there is no such path.
    """
    if path == "flat":
        return (sizes,)
    if path == "1dh":
        return one_leader(sizes, machines)
    if path == "2dh":
        return aligned(sizes, machines)
    if path == "pairwise":
        return windows(sizes, window) or (sizes,)
    raise ValueError(f"path is {path!r}; write flat, 1dh, 2dh or pairwise")


def one_leader(sizes: Ints, machines: Sequence[int]) -> tuple[Ints, Ints, Ints]:
    """Gather at the first member of each machine, exchange between those, scatter (1DH).

    For N machines of m members with S bytes each, all alike: a leader receives (m-1) S (N-1)/N, sends N-1
    messages of m m S/n, and scatters as much as it had gathered. Members of one machine reach each other in
    the first hop. Source: HetuMoE (Nie et al., 2022).

    Parameters
    ----------
    sizes, machines
        See `hops`.

    Returns
    -------
    gather, between, scatter : (n, n) int64

    Examples
    --------
    >>> gather, between, scatter = one_leader(np.full((4, 4), 1), [0, 0, 1, 1])
    >>> gather[1].tolist(), between[0].tolist(), scatter[0].tolist()
    ([3, 1, 0, 0], [0, 0, 4, 0], [2, 2, 0, 0])
    """
    leader = np.arange(len(machines))
    for row in by_machine(machines):
        leader[row] = row[0]
    source, target, far, gather = _split(sizes, machines)
    between, scatter = np.zeros_like(gather), np.zeros_like(gather)
    np.add.at(gather, (source, leader[source]), far)
    np.add.at(between, (leader[source], leader[target]), far)
    np.add.at(scatter, (leader[target], target), far)
    return gather, between, scatter


def aligned(sizes: Ints, machines: Sequence[int]) -> tuple[Ints, Ints]:
    """Exchange inside each machine so that each member holds what goes to its own index, then between (2DH).

    For N machines of m members with S bytes each, all alike: m-1 messages of S/m, then N-1 messages of m S/n
    instead of n-m of S/n. Where machines have unequally many members, those of the smaller serve several
    indices in turn. Source: Tutel (Hwang et al., 2023).

    Parameters
    ----------
    sizes, machines
        See `hops`.

    Returns
    -------
    near, far : (n, n) int64

    Examples
    --------
    >>> near, far = aligned(np.full((4, 4), 1), [0, 0, 1, 1])
    >>> near[0].tolist(), far[0].tolist()
    ([2, 2, 0, 0], [0, 0, 2, 0])
    """
    rows = by_machine(machines)
    row_of, index_of = np.zeros(len(machines), dtype=np.int64), np.zeros(len(machines), dtype=np.int64)
    members = np.zeros((len(rows), max(map(len, rows))), dtype=np.int64)
    counts = np.array([len(row) for row in rows])
    for number, row in enumerate(rows):
        row_of[row], index_of[row], members[number, : len(row)] = number, range(len(row)), row
    source, target, far, near = _split(sizes, machines)
    relay = members[row_of[source], index_of[target] % counts[row_of[source]]]
    between = np.zeros_like(near)
    np.add.at(near, (source, relay), far)
    np.add.at(between, (relay, target), far)
    return near, between


def windows(sizes: Ints, window: int) -> tuple[Ints, ...]:
    """Cut an All-to-All into pairwise-exchange rounds, `window` of them in flight together.

    In round k each member sends to the k-th after it, and receives from the k-th before (as NCCL orders
    grouped sends and receives). With n members there are ceil((n-1)/window) tables; all members alike, ports
    of B bytes/s are full in each, and together they take S (n-1)/(n B), as one flat exchange does.

    Parameters
    ----------
    sizes : (n, n) int64
        Bytes from member (row) to member (column).
    window : int
        Rounds at a time, 1 or more.

    Examples
    --------
    >>> [table.sum().item() for table in windows(np.full((4, 4), 1), 2)]
    [8, 4]
    """
    if window < 1:
        raise ValueError(f"window is {window}; write 1 or more")
    count = len(sizes)
    turn = (np.arange(count)[None, :] - np.arange(count)[:, None]) % count
    ends = range(1, count, window)
    return tuple(np.where((turn >= first) & (turn < first + window), sizes, 0) for first in ends)


def _split(sizes: Ints, machines: Sequence[int]) -> tuple[Ints, Ints, Ints, Ints]:
    """Return the pairs in different machines with their bytes, and the table of what stays in a machine."""
    where = np.array(machines)
    apart = where[:, None] != where[None, :]
    source, target = np.nonzero(apart & (sizes > 0))
    return source, target, sizes[source, target], np.where(apart, 0, sizes)
