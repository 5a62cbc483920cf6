"""`Record`: the facts of one run, and what it is put together from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from janus_sim.record.spans import Columns


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
    >>> from janus_sim.record import SpanLog
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
