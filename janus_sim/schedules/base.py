"""The order in which a stage runs its passes, as pure lists."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass of a micro-batch through a piece of the model.

    Attributes
    ----------
    kind : "F" | "B" | "I" | "W"
        Forward, whole backward, backward without weight gradients, weight gradients alone.
    micro_batch : int
    piece : int
        Which piece of the model, of those that the stage keeps.
    way : int
        0, or 1 for the second direction of a bidirectional schedule.
    """

    kind: Literal["F", "B", "I", "W"]
    micro_batch: int
    piece: int = 0
    way: int = 0

    def __str__(self) -> str:
        return f"{self.kind}{self.micro_batch}"


class Schedule(ABC):
    """A pure function to a list of tuples of passes; those of one tuple run beside each other and leave together."""

    @abstractmethod
    def order(self, stage: int, stages: int, micro_batches: int) -> list[tuple[Pass, ...]]:
        """Return the passes of a stage.

        Parameters
        ----------
        stage, stages : int
            Which pipeline stage of how many.
        micro_batches : int
            Micro-batches in a step.
        """
