"""Where a step went: the chain of causes from its last span back to its begin, and what each part was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from janus_sim.errors import JanusSimError
from janus_sim.record import Columns, LinkRecord, Record, StepRecord
from janus_sim.results.metrics import DUST, Floats, Ints, world_of

Words = NDArray[Any]  # (n,) of str

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
    spans = record.spans
    path = critical_path(spans, step)
    seconds = spans["end"][path] - spans["begin"][path]
    parts = {part: np.zeros(len(path)) for part in PARTS}
    kind = spans["kind"][path]
    kernel = kind == "compute"
    launch = np.minimum(spans["launch"][path], seconds)
    ideal = np.minimum(spans["ideal"][path], seconds - launch)
    for part, value in (("launch", launch), ("compute", ideal), ("small_kernels", seconds - launch - ideal)):
        parts[part][kernel] = value[kernel]
    for row, part in enumerate(_part_of(kind, spans["resource"][path], record.links)):
        if part:
            parts[part][row] = seconds[row]
    lost = _excess(record, step, path, seconds)
    for part in PARTS:
        parts[part] *= 1.0 - lost
    parts["straggler"] = lost * seconds
    return Attribution(path, parts)


def _part_of(kinds: Words, resources: Words, links: Sequence[LinkRecord]) -> list[str]:
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
    spans = record.spans
    rows = np.flatnonzero((spans["step"] == step.step) & (spans["rank"] >= 0))
    place = _codes(spans["micro_batch"][rows], spans["layer"][rows], spans["phase"][rows])
    group = place * 3 + _kind_code(spans["kind"][rows])
    counted = _kind_code(spans["kind"][rows]) >= 0
    ranks = np.unique(place * world_of(record) + spans["rank"][rows]) // world_of(record)
    at_work = np.bincount(ranks)
    took = spans["end"][rows] - spans["begin"][rows]
    mean = np.bincount(group[counted], took[counted], minlength=3 * len(at_work)) / np.repeat(at_work, 3)
    where = np.searchsorted(rows, path)
    mine = np.zeros(len(path), dtype=bool)
    inside = where < len(rows)
    mine[inside] = (rows[where[inside]] == path[inside]) & counted[where[inside]]
    on_path = np.bincount(group[where[mine]], seconds[mine], minlength=len(mean))
    beyond = on_path - mean
    beyond[beyond < DUST * on_path] = 0.0
    share = np.divide(beyond, on_path, out=np.zeros_like(mean), where=on_path > 0)
    lost = np.zeros(len(path))
    lost[mine] = share[group[where[mine]]]
    return lost


def _codes(micro_batch: Ints, layer: Ints, phase: Words) -> Ints:
    """Return one small number for each (micro-batch, layer, phase) that occurs."""
    phases: dict[str, int] = {}
    phase_code = np.array([phases.setdefault(word, len(phases)) for word in phase], dtype=np.int64)
    mixed = ((micro_batch + 1) * (int(layer.max(initial=0)) + 2) + layer + 1) * (len(phases) + 1) + phase_code
    code: Ints = np.unique(mixed, return_inverse=True)[1].astype(np.int64)
    return code


def _kind_code(kinds: Words) -> Ints:
    code = {"compute": 0, "all_to_all": 1, "all_reduce": 2}
    return np.array([code.get(kind, -1) for kind in kinds], dtype=np.int64)
