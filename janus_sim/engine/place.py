"""Where in the training something happens: carried by every span."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Step, micro-batch, model layer (-1: outside the layers), phase and lane.

    Examples
    --------
    >>> str(Place(step=0, micro_batch=1, layer=3, phase="forward", lane="F1"))
    'step 0 micro-batch 1 layer 3 forward (F1)'
    """

    step: int
    micro_batch: int = 0
    layer: int = -1
    phase: str = ""  # "forward", "again" when recomputed, "backward", "" outside the layers
    lane: str = ""  # the pass it runs in, "beside" or "dense"
    part: tuple[int, ...] = ()  # which part of a split layer, () for the whole

    def __str__(self) -> str:
        layer = f" layer {self.layer} {self.phase}" if self.layer >= 0 else ""
        return f"step {self.step} micro-batch {self.micro_batch}{layer} ({self.lane})"
