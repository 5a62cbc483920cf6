"""Sequential: one micro-batch after another, each forward and then backward."""

from __future__ import annotations

from dataclasses import dataclass

from janus_sim.schedules.base import Pass, Schedule


@dataclass(frozen=True)
class Sequential(Schedule):
    """Forward and backward of one micro-batch, then of the next (gradient accumulation).

    Examples
    --------
    >>> [str(one) for passes in Sequential().order(0, 1, 2) for one in passes]
    ['F0', 'B0', 'F1', 'B1']
    """

    def order(self, stage: int, stages: int, micro_batches: int) -> list[tuple[Pass, ...]]:
        """Return F0, B0, F1, B1, ..."""
        return [(Pass(kind, micro_batch),) for micro_batch in range(micro_batches) for kind in ("F", "B")]
