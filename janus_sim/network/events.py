"""The next event: times by slot, with one minimum for each batch of slots."""

from __future__ import annotations

import numpy as np

from janus_sim.network import layout as at
from janus_sim.network.compiled import Array, inner


@inner
def set_next(slot: int, time: float, when: Array, soonest: Array) -> None:
    """Write the time of a slot; the minimum of its batch becomes unknown (NaN) if this slot held it."""
    old, batch = when[slot], slot // at.BATCH
    when[slot] = time
    if time <= soonest[batch]:
        soonest[batch] = time
    elif old == soonest[batch]:
        soonest[batch] = np.nan


@inner
def first(slots: int, when: Array, soonest: Array) -> float:
    """The earliest time of all slots."""
    best = np.inf
    for batch in range((slots + at.BATCH - 1) // at.BATCH):
        if soonest[batch] != soonest[batch]:
            low = np.inf
            for slot in range(batch * at.BATCH, (batch + 1) * at.BATCH):
                if when[slot] < low:
                    low = when[slot]
            soonest[batch] = low
        if soonest[batch] < best:
            best = soonest[batch]
    return best
