"""Where a step went: the chain of causes from its last span back to its begin, and what each part was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from janus_sim.errors import JanusSimError
from janus_sim.record import Columns, LinkRecord, Record, StepRecord, rows_of, words_of
from janus_sim.results.metrics import DUST, Floats, Ints, world_of

Column = NDArray[Any]  # (n,) of str

#: What a step can consist of, in the order of tables and figures. They add up to the step time.
PARTS = (
    "compute",
    "small_kernels",
    "launch",
    "nvlink",
    "pcie",
    "nic",
    "transfer_start",
    "straggler",
    "host",
    "other",
)

#: The kinds of span of which a rank may have more than the mean.
COMPARED = {"compute": 0, "all_to_all": 1, "all_reduce": 2}

BLOCK = 1_000_000  #: spans that are looked at together

#: The kinds of link that a part stands for.
LINK_PARTS = {
    "nvlink": "nvlink",
    "pcie": "pcie",
    "uplink": "pcie",
    "memory": "pcie",
    "socket": "pcie",
    "nic": "nic",
    "fabric": "nic",
}


def critical_path(spans: Columns, step: StepRecord) -> Ints:
    """Return the ids of the spans that the step hung on, earliest first.

    Each begins when the one before it ends, the first begins with the step and the last ends it, so that
    their durations add up to the step time exactly.

    Raises
    ------
    JanusSimError
        If the causes are not contiguous: a bug of the engine, never of its user.

    Examples
    --------
    >>> from janus_sim.record import SpanLog
    >>> log = SpanLog()
    >>> a = log.add(0, 0, 0, "", 0, 0, "compute", "compute", "a", "F0", 0.0, 0.0, 1.0)
    >>> b = log.add(0, 0, 0, "", 1, 0, "compute", "compute", "b", "F0", 0.0, 0.0, 2.0)
    >>> c = log.add(0, 0, 0, "", 0, 0, "communication", "all_to_all", "c", "F0", 1.0, 2.0, 5.0, b)
    >>> critical_path(log.columns(), StepRecord(0, 0.0, 5.0, c)).tolist()
    [1, 2]
    """
    why, begin, end = spans["why"], spans["begin"], spans["end"]
    path: list[int] = []
    at, until = step.last_span, step.end
    while at >= 0:
        if end[at] != until or len(path) > len(why):
            raise JanusSimError(_broken(spans, at, f"ends at {end[at]}, not at {until}"))
        path.append(at)
        until, at = begin[at], int(why[at])
    if until != step.begin:
        where = path[-1] if path else -1
        raise JanusSimError(
            _broken(spans, where, f"begins at {until} without a cause; its step begins at {step.begin}")
        )
    return np.array(path[::-1], dtype=np.int64)


def _broken(spans: Columns, at: int, found: str) -> str:
    name = (
        f"{spans['kind'][at]} {spans['label'][at]!r} on rank {spans['rank'][at]}" if at >= 0 else "the step"
    )
    told = f"span {at} ({name}) {found}"
    return f"the critical path does not add up: {told}; this is a bug of janus-sim, please report it"


@dataclass(frozen=True)
class Attribution:
    """A path of n spans and what each second of it was.

    Attributes
    ----------
    path : (n,) ids of spans
    seconds : part (see `PARTS`) -> (n,) seconds of each span; they add up to its duration
    """

    path: Ints
    seconds: Mapping[str, Floats]

    def totals(self) -> dict[str, float]:
        """Return seconds by part."""
        return {part: float(self.seconds[part].sum()) for part in PARTS}


def attribute(record: Record, step: StepRecord) -> Attribution:
    """Say of each span on the critical path of a step what its time was.

    A kernel is launch, useful FLOPs over the peak, and the loss of small or memory-bound kernels; what moves
    bytes is the link that bound it, or its own start and rate cap; and of both the excess over the mean rank
    is `straggler`.
    """
    path = critical_path(record.spans, step)
    spans = rows_of(record.spans, path)
    seconds = spans["end"] - spans["begin"]
    parts = {part: np.zeros(len(path)) for part in PARTS}
    kind = spans["kind"]
    kernel = kind == "compute"
    launch = np.minimum(spans["launch"], seconds)
    ideal = np.minimum(spans["ideal"], seconds - launch)
    for part, value in (("launch", launch), ("compute", ideal), ("small_kernels", seconds - launch - ideal)):
        parts[part][kernel] = value[kernel]
    for row, part in enumerate(_part_of(kind, spans["resource"], record.links)):
        if part:
            parts[part][row] = seconds[row]
    lost = _excess(record, step, path, seconds)
    for part in PARTS:
        parts[part] *= 1.0 - lost
    parts["straggler"] = lost * seconds
    return Attribution(path, parts)


def _part_of(kinds: Column, resources: Column, links: Sequence[LinkRecord]) -> list[str]:
    """Return the part of each span that is not a kernel; "" for kernels."""
    kind_of = {link.name: LINK_PARTS.get(link.kind, "other") for link in links}
    fixed = {"compute": "", "think": "host", "wait": "other"}
    return [
        fixed[kind]
        if kind in fixed
        else "host"
        if resource == "host"
        else kind_of.get(resource, "transfer_start")
        for kind, resource in zip(kinds, resources, strict=True)
    ]


def _excess(record: Record, step: StepRecord, path: Ints, seconds: Floats) -> Floats:
    """Return for each span of the path the share of its time beyond the mean rank's.

    Spans are compared in groups of one kind (kernels, All-to-Alls, all-reduces), micro-batch, layer and
    phase: max(0, path's seconds in the group - mean over the ranks at work in that micro-batch, layer and
    phase of their seconds in it).
    """
    places = _Places(record)
    mean = places.mean_seconds(
        np.flatnonzero((record.spans["step"] == step.step) & (record.spans["rank"] >= 0))
    )
    spans = rows_of(record.spans, path)
    place, code = places.of(spans)
    group = 3 * place + code
    mine = (code >= 0) & (spans["step"] == step.step) & (spans["rank"] >= 0)
    on_path = np.bincount(group[mine], seconds[mine], minlength=len(mean))
    beyond = on_path - mean
    beyond[beyond < DUST * on_path] = 0.0
    share = np.divide(beyond, on_path, out=np.zeros_like(mean), where=on_path > 0)
    lost = np.zeros(len(path))
    lost[mine] = share[group[mine]]
    return lost


class _Places:
    """The (phase, micro-batch, layer)s of a run, numbered, with three groups of spans each."""

    def __init__(self, record: Record) -> None:
        self.spans, self.world = record.spans, world_of(record)
        self.phases = words_of(record.spans, "phase").words
        self.batches, self.layers = (
            int(record.spans[name].max(initial=0)) + 2 for name in ("micro_batch", "layer")
        )

    def of(self, spans: Columns) -> tuple[Ints, Ints]:
        """Return the place of each span, and the number of its kind among those compared, -1 of others."""
        phase, kind = words_of(spans, "phase"), words_of(spans, "kind")
        number = np.array([self.phases.index(word) for word in phase.words] or [0])[phase.numbers]
        code = np.array([COMPARED.get(word, -1) for word in kind.words] or [-1])[kind.numbers]
        return (number * self.batches + spans["micro_batch"] + 1) * self.layers + spans["layer"] + 1, code

    def mean_seconds(self, rows: Ints) -> Floats:
        """Return the seconds of each group over the ranks at work in its place, of these spans."""
        many = len(self.phases) * self.batches * self.layers
        works, total = np.zeros((many, self.world), dtype=bool), np.zeros(3 * many)
        for block in np.array_split(rows, len(rows) // BLOCK + 1):
            spans = rows_of(self.spans, block)
            place, code = self.of(spans)
            works[place, spans["rank"]] = True
            counted = code >= 0
            np.add.at(total, (3 * place + code)[counted], (spans["end"] - spans["begin"])[counted])
        at_work = np.repeat(works.sum(axis=1), 3)
        mean: Floats = np.divide(total, at_work, out=np.zeros_like(total), where=at_work > 0)
        return mean
