"""The next event: times by slot under a tree of minima, the slots in the second half of its array."""

from __future__ import annotations

from janus_sim.network.compiled import Array, inner


@inner
def climb(slot: int, tree: Array) -> None:
    """Find the minima above a slot whose time has changed."""
    i = len(tree) // 2 + slot
    while i > 1:
        i >>= 1
        low = min(tree[2 * i], tree[2 * i + 1])
        if tree[i] == low:
            return
        tree[i] = low


@inner
def set_time(slot: int, time: float, tree: Array) -> None:
    """Write the time of a slot, and the minima above it that this changes."""
    i = len(tree) // 2 + slot
    if tree[i] != time:
        tree[i] = time
        climb(slot, tree)


@inner
def climb_all(tree: Array) -> None:
    """Find all minima anew."""
    for i in range(len(tree) // 2 - 1, 0, -1):
        tree[i] = min(tree[2 * i], tree[2 * i + 1])


@inner
def first_slot(tree: Array) -> int:
    """The slot of the earliest time, which is ``tree[1]``; of several the first."""
    i, half = 1, len(tree) // 2
    while i < half:
        i = 2 * i if tree[2 * i] == tree[i] else 2 * i + 1
    return i - half
