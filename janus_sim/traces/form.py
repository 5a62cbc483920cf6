"""The neutral form of a trace: what is told of it, and its blocks of counts and choices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from janus_sim.errors import Mistake

VERSION = 1  #: of the form that this version writes; it reads 1 to this one
MOST_COUNT = 2**32 - 1  #: the largest count of a cell
MOST_EXPERTS = 2**15  #: of a layer whose tokens' choices are kept, which are 16 bits wide
NO_CHOICE = -1  #: in the choices: no expert, because the token is padding or was dropped

Counts = npt.NDArray[np.uint32]
Choices = npt.NDArray[np.int16]


@dataclass(frozen=True)
class TraceInfo:
    """What is told of a trace; the shape is filled in by `write_trace` from the blocks that it is given.

    Parameters
    ----------
    model : str
        Whose routing it is.
    top_k : int
        Experts that a token chooses; 0 where nobody tells.
    tokens : int or (int, int)
        Of every rank in every micro-batch; (fewest, most) where they differ. 0: read off the
        counts and top_k; it stays 0 where top_k is not told.
    origin : str
        Who recorded it, and how; for a public trace the repository and its commit.
    licence : str
        SPDX identifier, or words.
    phase : "training" or "inference"
    version : int
        Of the form.
    experts : tuple of int
        Experts of each MoE layer.
    ranks : int
        Source ranks: whose tokens are counted.
    steps : tuple of int
        Numbers of the steps, ascending, in the training that it was recorded from.
    micro_batches : int
        Of each step.
    has_choices : bool
        Whether each block has its tokens' choices too.
    rows : (int, int)
        Fewest and most (token, expert) pairs of one rank in one block; tokens x top_k where none was dropped.
    largest : int
        The largest count.
    notes : tuple of str
        What was done to it since it was recorded, in order.

    Examples
    --------
    >>> TraceInfo(model="tiny", top_k=2, tokens=64, origin="made up", licence="CC0-1.0").phase
    'training'
    """

    model: str
    top_k: int
    tokens: int | tuple[int, int] = 0
    origin: str = ""
    licence: str = ""
    phase: Literal["training", "inference"] = "training"
    version: int = VERSION
    experts: tuple[int, ...] = ()
    ranks: int = 0
    steps: tuple[int, ...] = ()
    micro_batches: int = 0
    has_choices: bool = False
    rows: tuple[int, int] = (0, 0)
    largest: int = 0
    notes: tuple[str, ...] = ()

    @property
    def layers(self) -> int:
        """Number of MoE layers."""
        return len(self.experts)

    @property
    def most_tokens(self) -> int:
        """Tokens of the rank and micro-batch that has most."""
        return self.tokens if isinstance(self.tokens, int) else self.tokens[1]

    def noted(self, *notes: str) -> TraceInfo:
        """Return the same with notes added."""
        return replace(self, notes=(*self.notes, *notes))

    def described(self) -> dict[str, Any]:
        """Return all fields as plain values, for JSON."""
        return asdict(self)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Return the info of plain values, as JSON gives them.

        Raises
        ------
        ValueError
            In words, if a field is missing, unknown or of another kind.
        """
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"unknown: {', '.join(unknown)}")
        tuples = {name: _tuple(value) for name, value in values.items()}
        if wrong := [name for name, value in tuples.items() if not _fits(name, value)]:
            raise ValueError(f"{wrong[0]} is {values[wrong[0]]!r}")
        try:
            return cls(**tuples)
        except TypeError:
            raise ValueError(f"{', '.join(sorted({'model', 'top_k'} - set(values)))} missing") from None


@dataclass(frozen=True, eq=False)
class Block:
    """One MoE layer in one micro-batch of one step.

    Parameters
    ----------
    step : int
        Its number (not its place).
    micro_batch, layer : int
        From 0; `layer` counts the MoE layers.
    counts : (ranks, experts) integer
        Tokens of each source rank that chose each expert.
    choices : (ranks, tokens, top_k) integer, optional
        Expert of each slot of each token; `NO_CHOICE` for a token that is padding, or was dropped. They agree
        with the counts; the number of tokens may differ from block to block.
    counted : bool
        The counts were made of these choices, and need not be held against them.
    """

    step: int
    micro_batch: int
    layer: int
    counts: npt.NDArray[Any]
    choices: npt.NDArray[Any] | None = None
    counted: bool = False

    @cached_property
    def rows(self) -> tuple[int, int]:
        """Fewest and most rows of a source rank."""
        sums = self.counts.sum(axis=1, dtype=np.int64)
        return int(sums.min()), int(sums.max())

    @cached_property
    def largest(self) -> int:
        """The largest count."""
        return int(self.counts.max())

    def called(self) -> str:
        """Name the block in messages."""
        return f"step {self.step}, micro-batch {self.micro_batch}, layer {self.layer}"

    def mistakes(self, where: str) -> Iterator[Mistake]:
        """Tell what is wrong with the block alone, with its place and field."""
        at = f"{where}: {self.called()}"
        counts = self.counts
        if counts.ndim != 2 or counts.dtype.kind not in "iu" or not counts.size:
            found = f"{counts.dtype} of shape {counts.shape}"
            yield Mistake(f"{at}, counts", f"{found}; write integers of shape (ranks, experts)")
            return
        if int(counts.min()) < 0 or self.largest > MOST_COUNT:
            rank, expert = np.argwhere((counts < 0) | (counts > MOST_COUNT))[0]
            found = f"{counts[rank, expert]} rows of rank {rank} for expert {expert}"
            yield Mistake(f"{at}, counts", f"{found}; write 0 to {MOST_COUNT}")
        elif self.choices is not None:
            yield from self._choice_mistakes(f"{at}, choices", self.choices)

    def _choice_mistakes(self, at: str, choices: npt.NDArray[Any]) -> Iterator[Mistake]:
        ranks, experts = self.counts.shape
        if choices.ndim != 3 or choices.dtype.kind not in "iu" or len(choices) != ranks:
            found = f"{choices.dtype} of shape {choices.shape}"
            yield Mistake(at, f"{found}; write integers of shape ({ranks}, tokens, top_k)")
            return
        if experts > MOST_EXPERTS:
            yield Mistake(at, f"are of {experts} experts; write counts alone above {MOST_EXPERTS}")
        if choices.size and not NO_CHOICE <= int(choices.min()) <= int(choices.max()) < experts:
            wild = (choices < NO_CHOICE) | (choices >= experts)
            rank, token, slot = np.argwhere(wild)[0]
            found = f"rank {rank}, token {token}, slot {slot} chose expert {choices[rank, token, slot]}"
            yield Mistake(at, f"{found}; the layer has experts 0 to {experts - 1}")
            return
        if self.counted:
            return
        found_counts = counts_of(choices, experts)
        if (found_counts != self.counts).any():
            rank, expert = np.argwhere(found_counts != self.counts)[0]
            text = f"rank {rank} chose expert {expert} {found_counts[rank, expert]} times"
            yield Mistake(at, f"{text}, its counts say {self.counts[rank, expert]}")


def counts_of(choices: npt.NDArray[Any], experts: int) -> npt.NDArray[np.int64]:
    """Return the counts (ranks, experts) of choices (ranks, tokens, top_k); `NO_CHOICE` counts nowhere.

    Examples
    --------
    >>> counts_of(np.array([[[0, 2], [2, 1], [-1, -1]]]), experts=4).tolist()
    [[1, 1, 2, 0]]
    """
    ranks = len(choices)
    cells = np.arange(ranks)[:, None] * (experts + 1) + choices.reshape(ranks, -1).astype(np.int64) + 1
    table = np.bincount(cells.ravel(), minlength=ranks * (experts + 1)).reshape(ranks, experts + 1)
    return np.asarray(table[:, 1:], dtype=np.int64)


def _tuple(value: object) -> Any:  # noqa: ANN401
    return tuple(value) if isinstance(value, list) else value


def _fits(name: str, value: object) -> bool:
    """Whether a value read from a file is of its field's kind."""
    if name in ("model", "origin", "licence"):
        return isinstance(value, str)
    if name == "phase":
        return value in ("training", "inference")
    if name == "has_choices":
        return isinstance(value, bool)
    if name == "notes":
        return isinstance(value, tuple) and all(isinstance(one, str) for one in value)
    if name == "tokens" and isinstance(value, int):
        return value >= 0
    if name in ("experts", "steps", "rows", "tokens"):
        whole = isinstance(value, tuple) and all(type(one) is int and one >= 0 for one in value)
        return whole and (name in ("experts", "steps") or len(value) == 2)  # type: ignore[arg-type]
    return type(value) is int and value >= 0
