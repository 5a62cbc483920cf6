"""The order in which a stage runs its passes, as pure lists."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from janus_sim.errors import PolicyError

Kind = Literal["F", "B", "I", "W"]


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

    kind: Kind
    micro_batch: int
    piece: int = 0
    way: int = 0

    def __str__(self) -> str:
        return f"{self.kind}{self.micro_batch}"


class Schedule(ABC):
    """A pure function to a list of tuples of passes; those of a tuple run side by side, leave together."""

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


def checked(order: Sequence[tuple[Pass, ...]], micro_batches: int) -> list[tuple[Pass, ...]]:
    """Return the order if each micro-batch goes forward once and then backward once, whole or in two halves.

    Raises
    ------
    PolicyError
        Names the micro-batch and its passes.

    Examples
    --------
    >>> checked([(Pass("F", 0),), (Pass("I", 0),), (Pass("W", 0),)], micro_batches=1)[2]
    (Pass(kind='W', micro_batch=0, piece=0, way=0),)
    """
    runs: dict[int, list[tuple[int, Kind]]] = {batch: [] for batch in range(micro_batches)}
    for turn, passes in enumerate(order):
        for one in passes:
            if one.micro_batch not in runs or one.piece or one.way:
                raise PolicyError(
                    f"the schedule has {one!r}; there are micro-batches 0 to {micro_batches - 1}, one piece"
                )
            runs[one.micro_batch].append((turn, one.kind))
    for batch, run in runs.items():
        kinds = [kind for _, kind in run]
        if kinds not in (["F", "B"], ["F", "I", "W"]) or len({turn for turn, _ in run}) < len(run):
            raise PolicyError(
                f"the schedule runs micro-batch {batch} as {' '.join(kinds) or 'nothing'}; "
                "write F and then B, or F, I, W, one after another"
            )
    return list(order)
