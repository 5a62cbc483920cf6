"""The next event: times by slot under a tree of minima, the slots in the second half of its array."""

from __future__ import annotations

from janus_sim.network.compiled import Array, inner


@inner
def set_time(slot: int, time: float, tree: Array) -> None:
    """Write the time of a slot, and the minima above it that this changes."""
    i = len(tree) // 2 + slot
    if tree[i] == time:
        return
    tree[i] = time
    while i > 1:
        i >>= 1
        low = min(tree[2 * i], tree[2 * i + 1])
        if tree[i] == low:
            return
        tree[i] = low


@inner
def first_slot(tree: Array) -> int:
    """The slot of the earliest time, which is ``tree[1]``; of several the first."""
    i, half = 1, len(tree) // 2
    while i < half:
        i = 2 * i if tree[2 * i] == tree[i] else 2 * i + 1
    return i - half
