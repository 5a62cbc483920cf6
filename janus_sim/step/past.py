"""What the gates chose in the steps that are over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from janus_sim.workload.copies import frozen

if TYPE_CHECKING:
    from janus_sim.workload.copies import Ints
    from janus_sim.workload.workload import Workload


class Past:
    """The counts of all steps, of which each step is shown those before it (an oracle, its own too).

    One array a layer and group, and the steps look at its beginning: 500 steps need no 500 copies.

    Parameters
    ----------
    workload : Workload
    steps : int
        How many there will be.

    Examples
    --------
    >>> from janus_sim.workload.workload import Workload
    >>> past = Past(Workload.load("moe_gpt", world=4), steps=3)
    >>> past.of(2, 1, 0).shape, past.of(0, 1, 0).shape
    ((2, 4, 4), (0, 4, 4))
    """

    def __init__(self, workload: Workload, steps: int) -> None:
        self.workload, self.steps = workload, steps
        self._counts: dict[tuple[int, int], Ints] = {}

    def of(self, step: int, layer: int, group: int) -> Ints:
        """Return the counts (step, n, experts) before `step`, micro-batches added up."""
        key = (layer, group)
        if key not in self._counts:
            self._counts[key] = self.workload.past(self.steps, layer, group)
        return self._counts[key][:step]

    def of_all(self, step: int, layer: int) -> Ints:
        """Return the same, added up over the groups: a plan holds for all of them."""
        groups = range(len(self.workload.layout.groups))
        return frozen(np.sum([self.of(step, layer, group) for group in groups], axis=0, dtype=np.int64))
