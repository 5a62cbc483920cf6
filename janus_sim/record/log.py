"""`SpanLog`: the spans of a run while it runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from janus_sim.record.spans import SPAN_COLUMNS, Columns, Listed, Spans, Words


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

    def columns(self) -> Columns:
        """Return the spans as columns of one length, read-only, in the order of `SPAN_COLUMNS`."""
        values: Iterator[Sequence[Any]] = (
            zip(*self.rows, strict=True) if self.rows else iter([()] * len(SPAN_COLUMNS))
        )
        columns = zip(SPAN_COLUMNS.items(), values, strict=True)
        return Spans(
            Listed({
                name: Words.of(value) if kind is object else np.array(value, dtype=kind)
                for (name, kind), value in columns
            })
        )  # fmt: skip
