"""A binary heap of rows (key, item) in an array that is large enough, the lowest key first."""

from __future__ import annotations

from janus_sim.network.compiled import Array, inner


@inner
def push(key: float, item: int, count: int, heap: Array) -> int:
    """Put a row into a heap of `count` rows; the new count."""
    i = count
    while i > 0:
        parent = (i - 1) // 2
        row = heap[parent]
        if row.key <= key:
            break
        heap[i].key, heap[i].item = row.key, row.item
        i = parent
    heap[i].key, heap[i].item = key, item
    return count + 1


@inner
def pop(count: int, heap: Array) -> int:
    """Remove the first row, which the caller has read; the new count."""
    count -= 1
    key, item, i = heap[count].key, heap[count].item, 0
    while True:
        child = 2 * i + 1
        if child >= count:
            break
        row = heap[child]
        if child + 1 < count:
            beside = heap[child + 1]
            if beside.key < row.key:
                child, row = child + 1, beside
        if row.key >= key:
            break
        heap[i].key, heap[i].item = row.key, row.item
        i = child
    heap[i].key, heap[i].item = key, item
    return count
