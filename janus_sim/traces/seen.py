"""What has been seen of the blocks of a trace on their way to a file, and whether the next one follows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from janus_sim.errors import InputError, Mistake
from janus_sim.traces.form import VERSION, Block, TraceInfo


@dataclass
class Seen:
    """Checks blocks as they pass, and gathers the shape of the trace.

    Parameters
    ----------
    path : str
        Of the file that will be, for messages.
    told : TraceInfo
        What the writer says; top_k and tokens are held against the blocks.
    """

    path: str
    told: TraceInfo
    experts: list[int] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    micro_batches: int = 0
    rows: tuple[int, int] = (2**62, 0)
    largest: int = 0
    first: Block | None = None
    last: Block | None = None

    def checked(self, blocks: Iterable[Block]) -> Iterator[Block]:
        """Yield the blocks, each checked.

        Raises
        ------
        InputError
            At the first block that is wrong, and if the last one is not the last of its step.
        """
        for block in blocks:
            mistakes = list(block.mistakes(self.path))
            if not mistakes and not self._follows(block):
                mistakes = [self._gap(block.called())]
            mistakes = mistakes or list(self._unlike(block))
            if mistakes:
                raise InputError(mistakes)
            self._count(block)
            yield block
        last = self.last
        if last and (last.layer + 1 < len(self.experts) or last.micro_batch + 1 < self.micro_batches):
            raise InputError(self._gap("the end"))

    def info(self) -> TraceInfo:
        """Return what is told of the trace, with the shape that was seen."""
        return replace(
            self.told,
            version=VERSION,
            tokens=self._tokens(),
            experts=tuple(self.experts),
            ranks=len(self.first.counts) if self.first else 0,
            steps=tuple(self.steps),
            micro_batches=self.micro_batches,
            has_choices=self.first is not None and self.first.choices is not None,
            rows=self.rows,
            largest=self.largest,
        )

    def _tokens(self) -> int | tuple[int, int]:
        """Return the tokens told, or those that the choices or the rows tell."""
        if self.told.tokens:
            return self.told.tokens
        if not self.told.top_k:
            return 0
        fewest, most = (-(-rows // self.told.top_k) for rows in self.rows)
        return most if fewest == most else (fewest, most)

    def _follows(self, block: Block) -> bool:
        """Whether a block comes right after the last one; the first step tells how many there are of each."""
        last, layers, batches = self.last, len(self.experts), self.micro_batches
        if last is None:
            return block.step >= 0 and block.micro_batch == block.layer == 0
        growing = len(self.steps) == 1
        if (block.step, block.micro_batch) == (last.step, last.micro_batch):
            return block.layer == last.layer + 1 and (block.layer < layers or (growing and batches == 1))
        if last.layer + 1 < layers or block.layer:
            return False
        if block.step == last.step:
            return block.micro_batch == last.micro_batch + 1 and (block.micro_batch < batches or growing)
        return block.step > last.step and block.micro_batch == 0 and last.micro_batch + 1 == batches

    def _gap(self, found: str) -> Mistake:
        after = f"after {self.last.called()}" if self.last else "at the beginning"
        rule = "steps ascend, each has all micro-batches, each of them all layers, both from 0 without a gap"
        shape = f"{self.micro_batches} micro-batches of {len(self.experts)} layers so far"
        return Mistake(f"{self.path}: {found}", f"does not follow {after}: {rule} ({shape})")

    def _unlike(self, block: Block) -> Iterator[Mistake]:
        """Tell where a block is not like those before it, or contradicts top_k or tokens."""
        at = f"{self.path}: {block.called()}"
        first = self.first or block
        experts = self.experts[block.layer] if block.layer < len(self.experts) else block.counts.shape[1]
        if block.counts.shape != (len(first.counts), experts):
            found = f"{block.counts.shape}; (ranks, experts) was ({len(first.counts)}, {experts}) before"
            yield Mistake(f"{at}, counts", f"has the shape {found}")
        if (block.choices is None) != (first.choices is None):
            yield Mistake(f"{at}, choices", "all blocks have choices, or none has")
        if block.choices is not None and first.choices is not None:
            k = block.choices.shape[2]
            if k != self.told.top_k:
                yield Mistake(f"{at}, choices", f"{k} a token; top_k is {self.told.top_k}")
        yield from self._too_many(block, at)

    def _too_many(self, block: Block, at: str) -> Iterator[Mistake]:
        """Tell of more rows than the tokens of a rank can make."""
        k = self.told.top_k
        if k == 0:
            return
        if k > block.counts.shape[1]:
            yield Mistake(f"{self.path}: top_k", f"is {k}; the layer has {block.counts.shape[1]} experts")
            return
        (fewest, most), tokens = block.rows, self.told.most_tokens
        if block.largest <= (tokens or -(-fewest // k)) and most <= (tokens or most) * k:
            return
        sums, largest = block.counts.sum(axis=1, dtype="int64"), block.counts.max(axis=1)
        limit = -(-sums // k) if not tokens else sums * 0 + tokens
        if (largest > limit).any() or (tokens and (sums > tokens * k).any()):
            rank = int(((largest > limit) | (sums > limit * k)).argmax())
            found = f"rank {rank} routes {sums[rank]} rows, {largest[rank]} of them to one expert"
            yield Mistake(f"{at}, counts", f"{found}; {limit[rank]} tokens choose {k} distinct experts each")

    def _count(self, block: Block) -> None:
        """Take a block into the shape of the trace."""
        self.first = self.first or block
        if not self.steps or self.steps[-1] != block.step:
            self.steps.append(block.step)
        if block.layer == len(self.experts):
            self.experts.append(block.counts.shape[1])
        self.micro_batches = max(self.micro_batches, block.micro_batch + 1)
        self.rows = (min(self.rows[0], block.rows[0]), max(self.rows[1], block.rows[1]))
        self.largest = max(self.largest, block.largest)
        self.last = block
