"""A trace whose counts lie in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from janus_sim.errors import InputError, Mistake
from janus_sim.traces.counts import Ints, frozen
from janus_sim.traces.form import TraceInfo
from janus_sim.traces.recorded import Recorded

LARGEST_TRACE = 2**30  #: bytes of the counts that are held


@dataclass(frozen=True, eq=False)
class RoutingTrace(Recorded):
    """The counts of a gate, step by step, in memory.

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
    def hold(cls, trace: Recorded, source: str = "") -> RoutingTrace:
        """Return the counts of any trace, read into memory.

        Raises
        ------
        InputError
            If they are more than a gigabyte.
        """
        shape = (trace.steps, trace.micro_batches, trace.ranks)
        size = 8 * int(np.prod(shape)) * sum(trace.experts)
        if size > LARGEST_TRACE:
            text = f"{size} bytes of counts; at most {LARGEST_TRACE} are held; choose iterations"
            raise InputError(Mistake(source, text))
        layers = [np.zeros((*shape, experts), dtype=np.int64) for experts in trace.experts]
        for step in range(trace.steps):
            for batch in range(trace.micro_batches):
                for moe, layer in enumerate(layers):
                    layer[step, batch] = trace.at(step, batch, moe)
        return cls(tuple(map(frozen, layers)), trace.info.steps, source)

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
        """Read one or several files into memory, joined in the order of their iterations.

        Read are the neutral form (.parquet; `open_trace` reads it bit by bit) and plain arrays. An .npz holds
        `counts` (step, micro_batch, layer, rank, expert), or `counts_0`, `counts_1`, ... without the axis of
        layers where they differ in experts, or, as SmartMoE's, (iteration, rank, layer, expert); `iteration`
        numbers the first axis. A .csv has the columns step, micro_batch, layer, rank, expert and count; what
        it does not write is 0.

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
        from janus_sim.traces.reading import read_traces

        paths = [path] if isinstance(path, str | Path) else list(path)
        found = read_traces(paths, iterations, spread, beside, where)
        return cls.hold(found, ", ".join(Path(one).name for one in paths))

    @cached_property
    def info(self) -> TraceInfo:  # type: ignore[override]
        """What the arrays tell of the trace; top_k and tokens they do not."""
        sums = [layer.sum(axis=3) for layer in self.layers]
        return TraceInfo(
            model="",
            top_k=0,
            origin=self.source,
            experts=tuple(int(layer.shape[3]) for layer in self.layers),
            ranks=int(self.layers[0].shape[2]),
            steps=self.iterations,
            micro_batches=int(self.layers[0].shape[1]),
            rows=(min(int(rows.min()) for rows in sums), max(int(rows.max()) for rows in sums)),
            largest=max(int(layer.max()) for layer in self.layers),
        )

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
