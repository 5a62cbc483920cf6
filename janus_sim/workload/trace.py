"""Routing that has happened: counts of a gate, read from a file, replayed step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from janus_sim.workload.copies import Ints, frozen
from janus_sim.workload.trace_files import read_traces


class Routing(Protocol):
    """What a workload asks of its routing, recorded or drawn."""

    @property
    def steps(self) -> int | None:
        """Steps there are; None where there is no end."""

    @property
    def micro_batches(self) -> int | None:
        """Micro-batches of a step; None where there is no end."""

    @property
    def ranks(self) -> int:
        """Source ranks."""

    @property
    def experts(self) -> tuple[int, ...]:
        """Experts of each MoE layer."""

    def at(self, step: int, micro_batch: int, moe: int) -> Ints:
        """Return the counts (ranks, experts) of one MoE layer."""


def choices(counts: npt.ArrayLike, top_k: int, rng: np.random.Generator) -> Ints:
    """Return the experts of each token, drawn so that they agree with the counts of one rank.

    The experts, in random order and each repeated as often as it was chosen, are written down the columns of
    a table of tokens x top_k; since none is chosen more often than there are tokens, no token gets one twice.

    Parameters
    ----------
    counts : (experts,) int
        Sums to tokens x top_k; no entry above the number of tokens.
    top_k : int
    rng : numpy.random.Generator

    Returns
    -------
    (tokens, top_k) int64

    Raises
    ------
    ValueError
        If the counts cannot be those of a gate that picks `top_k` distinct experts.

    Examples
    --------
    >>> table = choices([3, 2, 1], top_k=2, rng=np.random.default_rng(1))
    >>> table.shape, np.bincount(table.ravel()).tolist()
    ((3, 2), [3, 2, 1])
    """
    rows = np.asarray(counts, dtype=np.int64)
    tokens, rest = divmod(int(rows.sum()), top_k)
    if rest or (rows.size and (rows.min() < 0 or rows.max() > tokens)):
        raise ValueError(f"{rows.tolist()} are not the counts of {top_k} distinct experts a token")
    order = rng.permutation(rows.size)
    table = np.repeat(order, rows[order]).reshape(top_k, tokens).T
    return rng.permuted(rng.permutation(table), axis=1)


@dataclass(frozen=True, eq=False)
class RoutingTrace:
    """The counts of a gate, step by step.

    Parameters
    ----------
    layers : tuple of (steps, micro_batches, ranks, experts) int64, one for each MoE layer
        Layers may have different numbers of experts.
    iterations : tuple of int
        Number of each step in the training it was recorded from.
    source : str
        Where it comes from.

    Examples
    --------
    >>> trace = RoutingTrace.of(np.array([[[[[3, 1], [2, 2]]]]]))
    >>> trace.experts, trace.at(0, 0, 0).tolist(), trace.imbalance().item()
    ((2,), [[3, 1], [2, 2]], 1.25)
    """

    layers: tuple[Ints, ...]
    iterations: tuple[int, ...]
    source: str = ""

    @classmethod
    def of(
        cls, counts: npt.ArrayLike, iterations: Sequence[int] | None = None, source: str = ""
    ) -> RoutingTrace:
        """Return the trace of an array (steps, micro_batches, layers, ranks, experts)."""
        array = frozen(counts)
        numbers = range(len(array)) if iterations is None else iterations
        return cls(tuple(array[:, :, layer] for layer in range(array.shape[2])), tuple(numbers), source)

    @classmethod
    def load(
        cls,
        path: str | Path | Sequence[str | Path],
        *,
        iterations: Sequence[int] | None = None,
        spread: int | None = None,
        beside: Path | None = None,
        where: str = "routing",
    ) -> RoutingTrace:
        """Read one or several files, .npz or .csv, joined in the order of their iterations.

        An .npz holds `counts` (step, micro_batch, layer, rank, expert), or `counts_0`, `counts_1`, ...
        without the axis of layers where they differ in experts, or, as SmartMoE's, (iteration, rank, layer,
        expert); `iteration` numbers the first axis. A .csv has the columns step, micro_batch, layer, rank,
        expert and count; what it does not write is 0.

        Parameters
        ----------
        path : path, or several
            Looked for as it stands, beside `beside`, and under $JANUS_SIM_DATA.
        iterations : sequence of int, optional
            Which iterations, in this order; all by default.
        spread : int, optional
            This many iterations, evenly spread from the first to the last.
        where : str
            Place in the user's file, for messages.

        Raises
        ------
        InputError
            If a file is missing, too large, or not such a trace, or an iteration is not in it.
        """
        paths = [path] if isinstance(path, str | Path) else list(path)
        layers, numbers = read_traces(paths, iterations, spread, beside, where)
        return cls(tuple(map(frozen, layers)), numbers, ", ".join(Path(one).name for one in paths))

    @property
    def steps(self) -> int:
        """Steps recorded."""
        return len(self.iterations)

    @property
    def micro_batches(self) -> int:
        """Micro-batches recorded of each step."""
        return int(self.layers[0].shape[1])

    @property
    def ranks(self) -> int:
        """Source ranks."""
        return int(self.layers[0].shape[2])

    @cached_property
    def experts(self) -> tuple[int, ...]:
        """Experts of each MoE layer."""
        return tuple(int(layer.shape[3]) for layer in self.layers)

    def first(self, steps: int) -> RoutingTrace:
        """Return the trace of the first `steps` steps."""
        return RoutingTrace(
            tuple(layer[:steps] for layer in self.layers), self.iterations[:steps], self.source
        )

    @property
    def counts(self) -> Ints:
        """(steps, micro_batches, layers, ranks, experts), where all layers have equally many experts."""
        return frozen(np.stack(self.layers, axis=2))

    def at(self, step: int, micro_batch: int, moe: int) -> Ints:
        """Return the counts (ranks, experts) of MoE layer `moe`.

        Examples
        --------
        >>> RoutingTrace.of(np.ones((1, 1, 1, 2, 4))).at(0, 0, 0).shape
        (2, 4)
        """
        return frozen(self.layers[moe][step, micro_batch])

    def imbalance(self, level: str = "expert") -> npt.NDArray[np.float64]:
        """Return max / mean of each (step, micro_batch, layer), over experts or over ranks.

        `level` "rank" adds up the experts of contiguous blocks, which is where they live by default.
        """
        return np.stack([self._imbalance(rows.sum(axis=2), level) for rows in self.layers], axis=2)

    def _imbalance(self, rows: Ints, level: str) -> npt.NDArray[np.float64]:
        if level == "rank":
            rows = rows.reshape(*rows.shape[:2], self.ranks, -1).sum(axis=3)
        mean = rows.mean(axis=2)
        return np.where(mean > 0, rows.max(axis=2) / np.where(mean > 0, mean, 1), 1.0)
