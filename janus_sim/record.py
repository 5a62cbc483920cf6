"""What one simulated run leaves behind: spans, steps, links, layers and memory, as plain facts.

The engine appends to a `SpanLog`; when the run is over all becomes one frozen `Record`. Nothing here is a
figure or a mean: those are computed from the record afterwards (`janus_sim.results`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

#: The columns of the spans, in the order of `SpanLog.add`, each with the type of its array.
SPAN_COLUMNS: dict[str, type] = {
    "step": np.int64,
    "micro_batch": np.int64,
    "layer": np.int64,
    "phase": object,
    "rank": np.int64,
    "machine": np.int64,
    "stream": object,
    "kind": object,
    "label": object,
    "lane": object,
    "joined": np.float64,
    "begin": np.float64,
    "end": np.float64,
    "why": np.int64,
    "resource": object,
    "bytes": np.int64,
    "flops": np.float64,
    "padded_flops": np.float64,
    "launch": np.float64,
    "ideal": np.float64,
    "far_bytes": np.int64,
}

Columns = Mapping[str, NDArray[Any]]


class SpanLog:
    """The spans of a run while it runs: one row a span, appended at the span's end.

    The id of a span is its row number. A span that caused another ended before, so it has its id already.

    Examples
    --------
    >>> log = SpanLog()
    >>> first = log.add(0, 0, 1, "forward", 0, 0, "compute", "compute", "gate", "F0", 0.0, 0.0, 2.0)
    >>> log.add(0, 0, 1, "forward", 0, 0, "compute", "compute", "expert 3", "F0", 1.0, 2.0, 5.0, why=first)
    1
    >>> len(log), log.end(first), log.columns()["why"].tolist()
    (2, 2.0, [-1, 0])
    """

    __slots__ = ("_append", "rows")

    def __init__(self) -> None:
        self.rows: list[tuple[Any, ...]] = []
        self._append = self.rows.append

    def add(
        self,
        step: int,
        micro_batch: int,
        layer: int,
        phase: str,
        rank: int,
        machine: int,
        stream: str,
        kind: str,
        label: str,
        lane: str,
        joined: float,
        begin: float,
        end: float,
        why: int = -1,
        resource: str = "",
        bytes: int = 0,  # noqa: A002
        flops: float = 0.0,
        padded_flops: float = 0.0,
        launch: float = 0.0,
        ideal: float = 0.0,
        far_bytes: int = 0,
    ) -> int:
        """Append one span and return its id.

        Parameters
        ----------
        step, micro_batch, layer, phase
            The place in the training; `layer` is -1 and `phase` "" outside any layer.
        rank, machine
            Who did it; `rank` is -1 for what a machine does for all of its GPUs.
        stream
            "compute", "communication", "copy" or "host".
        kind
            "compute", "all_to_all", "all_reduce", "transfer", "think" or "wait".
        label, lane
            What it is called, and the pass (or "beside", "dense") that it runs in.
        joined, begin, end
            Seconds: when it was opened on the rank, when its last part could start, when it was over.
        why
            Id of the span whose end is this one's `begin`; -1 at the very start of a step.
        resource
            Name of the link that bound it, "gpu", "host", or "" for a flow held back by its own start or rate
            cap.
        bytes, far_bytes
            Bytes that left `rank` (or were fetched for it), and those of them that left for other machines.
        flops, padded_flops
            Useful FLOPs, and all FLOPs that ran, rows of padding included.
        launch, ideal
            Seconds of `end - begin` that are kernel launches, and useful FLOPs over the peak of the
            precision.
        """
        rows = self.rows
        self._append(
            (step, micro_batch, layer, phase, rank, machine, stream, kind, label, lane, joined, begin, end,
            why,
             resource, bytes, flops, padded_flops, launch, ideal, far_bytes)
        )  # fmt: skip
        return len(rows) - 1

    def __len__(self) -> int:
        return len(self.rows)

    def end(self, span: int) -> float:
        """Return when that span ended, in seconds."""
        return float(self.rows[span][12])

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the spans as arrays of one length, read-only, in the order of `SPAN_COLUMNS`."""
        values: Iterator[Sequence[Any]] = (
            zip(*self.rows, strict=True) if self.rows else iter([()] * len(SPAN_COLUMNS))
        )
        return {
            name: _column(value, kind)
            for (name, kind), value in zip(SPAN_COLUMNS.items(), values, strict=True)
        }


def _column(values: Sequence[Any], kind: type) -> NDArray[Any]:
    column: NDArray[Any] = np.array(values, dtype=kind)
    column.flags.writeable = False
    return column


BOUND = " (bound)"  #: what the names of a policy and its runs have that may see the future


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One training step: [begin, end] in seconds, and the id of the span that ended it."""

    step: int
    begin: float
    end: float
    last_span: int

    @property
    def seconds(self) -> float:
        """How long the step took."""
        return self.end - self.begin


@dataclass(frozen=True, slots=True, eq=False)
class LinkRecord:
    """What one direction of one link carried over the whole run.

    `crosses` is True exactly on the links that leave a machine, so that summing over them counts a byte once.
    `series` (bins,) holds the bytes carried in [i, i + 1) * `bin_width` seconds; empty if none was asked for.
    """

    name: str
    kind: str
    machine: int
    capacity: float  #: bytes per second, at the start of the run
    crosses: bool
    expert_bytes: int  #: All-to-Alls, pulls and gradients of experts
    dense_bytes: int  #: all-reduce of dense gradients
    busy: float  #: seconds in which anything moved
    series: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    bin_width: float = 0.0  #: seconds


class LayerRecord(TypedDict, total=False):
    """One MoE layer in one step. `step`, `layer` and `paradigm` are always there."""

    step: int
    layer: int  #: index among all layers of the model
    paradigm: str  #: "expert_centric", "data_centric", ...
    r: float  #: gain of moving experts in cross-machine bytes (JANUS.md's R)
    expert_imbalance: float  #: max over mean of the rows of the experts
    rank_imbalance: float  #: max over mean of the rows chosen for the experts that live at each rank
    arriving_imbalance: (
        float  #: max over mean of the rows that arrive at each rank, after the policy moved any
    )
    rows: int  #: token rows that the gate chose, all ranks and micro-batches
    dropped_rows: int  #: of them beyond the capacity
    expert_cross_machine_bytes: int
    token_counts: str  #: how a policy counted tokens a machine: "exact", "expected", "" where it did not


class MemoryRecord(TypedDict):
    """Peak bytes of a component of the memory of a GPU (`rank` >= 0), or of a machine's host (`rank` -1)."""

    rank: int
    machine: int
    component: str
    bytes: int


class Facts(TypedDict, total=False):
    """What the metrics need to know of the run besides its spans."""

    world: int  #: number of GPUs
    images: int  #: machines for which each of those in spans, links and memory stands (`alike: machines`)
    tolerance: float  #: of the network; absent where it is exact
    machine_of: Sequence[int]  #: (world,) the machine of each rank
    tokens_per_rank: float  #: tokens of one rank in one step, all micro-batches
    model_flops: float  #: FLOPs of the model in one step, all ranks: causal half, no recomputation
    peak_flops: float  #: FLOP/s of all GPUs together at the precision of the workload
    hbm_size: Sequence[int]  #: (world,) bytes of each GPU
    host_memory: Sequence[int]  #: (machines,) bytes of each host


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """All that one run left behind; never changed after it is made.

    Attributes
    ----------
    spans
        Arrays of one length named as in `SPAN_COLUMNS`. `spans["end"][why] == begin` exactly, or `why` is -1
        and the span begins with its step.
    steps, links, layers, memory, facts
        See their types.

    Examples
    --------
    >>> log = SpanLog()
    >>> last = log.add(0, 0, -1, "", 0, 0, "compute", "compute", "optimizer", "F0", 0.0, 0.0, 1.5)
    >>> record = Record(log.columns(), (StepRecord(0, 0.0, 1.5, last),))
    >>> record.steps[0].seconds
    1.5
    """

    spans: Columns
    steps: tuple[StepRecord, ...]
    links: tuple[LinkRecord, ...] = ()
    layers: tuple[LayerRecord, ...] = ()
    memory: tuple[MemoryRecord, ...] = ()
    facts: Facts = field(default_factory=Facts)
