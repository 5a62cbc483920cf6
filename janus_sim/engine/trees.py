"""Which bytes a collective sends along trees of machines: pure functions on arrays.

Each member of a machine heads one tree that carries its share of the buffer: a chain inside each machine from
the head, and a binary tree of the machines between heads of one index. An all-reduce has two trees for each
share, and the inner machines of one are leaves of the other (Sanders, Speck and Traeff, 2009; NCCL's double
binary trees).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from janus_sim.engine.rings import Pairs, by_machine, flows, shares


def parents(count: int) -> list[int]:
    """Return the parent of each of `count` vertices of a binary tree in which all odd ones are leaves.

    The root, 0, has one child and parent -1; all others have at most two children.

    Examples
    --------
    >>> parents(8)
    [-1, 2, 4, 2, 0, 6, 4, 6]
    """
    found = [-1]
    for vertex in range(1, count):
        lowest = vertex & -vertex
        up = (vertex ^ lowest) | (lowest << 1)
        found.append(up if up < count else vertex ^ lowest)
    return found


def twins(count: int) -> tuple[list[int], list[int]]:
    """Return the parents in two trees over `count` vertices: none has children in both, but for the roots.

    The second is the mirror of the first, or where `count` is odd, the first shifted by one.

    Examples
    --------
    >>> twins(4)
    ([-1, 2, 0, 2], [1, 3, 1, -1])
    """
    first = parents(count)
    second = [-1] * count
    for vertex, up in enumerate(first):
        if up >= 0:
            second[_other(vertex, count)] = _other(up, count)
    return first, second


def tree_all_reduce(machines: Sequence[int], size: int) -> Pairs:
    """Return the flows of an all-reduce up and down double binary trees.

    Inside a machine of m members each sends 2 S (m-1)/m (each of m chains carries S/m up and down m-1 edges);
    two machines send each other S, and of more none sends more than 2 S. Members spread unevenly over the
    machines share one chain and one pair of trees.

    Parameters
    ----------
    machines : sequence of int
        The machine of each member.
    size : int
        Bytes of the buffer on each member.

    Examples
    --------
    >>> source, target, sizes = tree_all_reduce([0, 1], 8)
    >>> [*zip(source.tolist(), target.tolist(), sizes.tolist())]
    [(0, 1, 8), (1, 0, 8)]
    """
    rows = by_machine(machines)
    trees = twins(len(rows))
    edges = [
        edge
        for turn, part in _turns(rows, size)
        for tree, half in zip(trees, shares(part, 2), strict=True)
        for up, down in _tree(rows, tree, turn)
        for edge in ((up, down, half), (down, up, half))
    ]
    return flows(edges, len(machines))


def tree_broadcast(machines: Sequence[int], size: int, root: int) -> Pairs:
    """Return the flows of a broadcast down one binary tree of machines, whose root is that of the bytes.

    A machine with two children sends 2 S; two machines, or the members of one, S.

    Parameters
    ----------
    machines, size
        See `tree_all_reduce`.
    root : int
        Index of the member that has the bytes.

    Examples
    --------
    >>> source, target, sizes = tree_broadcast([0, 1, 2, 3], 8, root=0)
    >>> [*zip(source.tolist(), target.tolist(), sizes.tolist())]
    [(0, 2, 8), (2, 1, 8), (2, 3, 8)]
    """
    rows = by_machine(machines)
    first = next(index for index, row in enumerate(rows) if root in row)
    rows = rows[first:] + rows[:first]
    tree = parents(len(rows))
    edges = [
        (up, down, part) for turn, part in _turns(rows, size) for up, down in _tree(rows, tree, turn, root)
    ]
    return flows(edges, len(machines))


def _turns(rows: list[list[int]], size: int) -> list[tuple[int, int]]:
    """Return the trees as the index of their heads and the bytes of their share."""
    count = len(rows[0]) if len({len(row) for row in rows}) == 1 else 1
    return [*enumerate(shares(size, count))]


def _tree(
    rows: list[list[int]], tree: list[int], turn: int, root: int | None = None
) -> Iterator[tuple[int, int]]:
    """Give the edges of one tree, from above to below: chains inside the machines, then between heads."""
    for row in rows:
        first = row.index(root) if root in row else turn
        chain = row[first:] + row[:first]
        yield from pairwise(chain)
    for machine, up in enumerate(tree):
        if up >= 0:
            yield rows[up][turn], rows[machine][turn]


def _other(vertex: int, count: int) -> int:
    """Return where a vertex of the first tree stands in the second."""
    return (vertex + 1) % count if count % 2 else count - 1 - vertex
