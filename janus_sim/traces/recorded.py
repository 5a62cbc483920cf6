"""What every trace can be asked, wherever its counts lie."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

from janus_sim.traces.counts import Ints
from janus_sim.traces.form import Block, Choices, TraceInfo


class Recorded(ABC):
    """A trace: in a file (`Trace`), in memory (`RoutingTrace`), or part of others (`Chosen`)."""

    info: TraceInfo  #: what is told of it

    @abstractmethod
    def at(self, step: int, micro_batch: int, moe: int) -> Ints:
        """Return the counts (ranks, experts) of one MoE layer; `step` is a place from 0, not a number."""

    def choices_at(self, step: int, micro_batch: int, moe: int) -> Choices | None:
        """Return the choices (ranks, tokens, top_k) of one MoE layer; None where there are counts alone."""
        return None

    @property
    def steps(self) -> int:
        """Steps recorded."""
        return len(self.info.steps)

    @property
    def micro_batches(self) -> int:
        """Micro-batches recorded of each step."""
        return self.info.micro_batches

    @property
    def ranks(self) -> int:
        """Source ranks."""
        return self.info.ranks

    @property
    def experts(self) -> tuple[int, ...]:
        """Experts of each MoE layer."""
        return self.info.experts

    def blocks(self) -> Iterator[Block]:
        """Yield all blocks in order, a few in memory at a time."""
        for step, number in enumerate(self.info.steps):
            for micro_batch in range(self.micro_batches):
                for moe in range(len(self.experts)):
                    place = (step, micro_batch, moe)
                    yield Block(number, micro_batch, moe, self.at(*place), self.choices_at(*place))
