"""Where the weight gradients of a pass are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from janus_sim.engine.time import Activity, Steps


class Shelf:
    """Weight gradients of one pass: run beside it, or put off until a W pass takes them."""

    def __init__(self, *, put_off: bool) -> None:
        self.put_off = put_off
        self.steps: list[Steps] = []
        self.running: list[Activity] = []
        self.blocks: list[tuple[int, list[Steps]]] = []

    def close(self, layer: int) -> None:
        """End the part that belongs to `layer`."""
        self.blocks.append((layer, self.steps))
        self.steps = []
