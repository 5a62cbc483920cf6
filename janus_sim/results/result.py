"""The result of one run: its record as tidy DataFrames, and one row of figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from janus_sim.record import SPAN_COLUMNS, Record
from janus_sim.results import metrics
from janus_sim.results.critical_path import Attribution, attribute

#: The columns of `Result.summary` that name the row; those of a grid (with a dot in their name) come last.
IDENTITY = ("scenario", "topology", "workload", "precision", "micro_batch_size", "policy", "schedule", "seed")

#: The columns of `Result.links`.
LINK_TYPES = {
    "link": "str",
    "kind": "str",
    "machine": "int64",
    "capacity_bytes_per_s": "float64",
    "crosses": "bool",
    "expert_bytes": "int64",
    "dense_bytes": "int64",
    "busy_s": "float64",
    "utilization_mean": "float64",
    "utilization_peak": "float64",
}


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """What one scenario came to.

    Attributes
    ----------
    record : Record
        The facts.
    scenario : mapping
        What was run, as plain values: name, topology, workload, precision, micro_batch_size, policy,
        schedule, seed, and `point`, a mapping from the dotted keys of the grid to their values.

    Examples
    --------
    >>> from janus_sim.record import SpanLog, StepRecord
    >>> log = SpanLog()
    >>> last = log.add(0, 0, -1, "", 0, 0, "compute", "compute", "optimizer", "F0", 0.0, 0.0, 1.5)
    >>> result = Result(
    ...     Record(log.columns(), (StepRecord(0, 0.0, 1.5, last),)), {"name": "one", "policy": "janus"}
    ... )
    >>> result.summary()[["scenario", "policy", "step_time_s", "gpu_busy_share"]].to_dict("records")
    [{'scenario': 'one', 'policy': 'janus', 'step_time_s': 1.5, 'gpu_busy_share': 1.0}]
    """

    record: Record
    scenario: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def spans(self) -> pd.DataFrame:
        """One row a span, named by its id; words are categories."""
        return pd.DataFrame({
            name: pd.Categorical(column.tolist()) if column.dtype == object else column
            for name, column in ((name, self.record.spans[name]) for name in SPAN_COLUMNS)
        })  # fmt: skip

    @cached_property
    def steps(self) -> pd.DataFrame:
        """One row a training step."""
        steps = self.record.steps
        return pd.DataFrame({
            "step": np.array([step.step for step in steps], dtype=np.int64),
            "begin_s": np.array([step.begin for step in steps], dtype=np.float64),
            "end_s": np.array([step.end for step in steps], dtype=np.float64),
            "step_time_s": metrics.step_seconds(self.record),
        })  # fmt: skip

    @cached_property
    def links(self) -> pd.DataFrame:
        """One row a link: bytes and busy seconds over the whole run, mean and peak utilization."""
        return pd.DataFrame(self.link_rows(), columns=list(LINK_TYPES)).astype(LINK_TYPES)

    def link_rows(self) -> list[tuple[Any, ...]]:
        """Return the rows of `links` as plain values."""
        seconds = metrics.span_of_time(self.record)
        return [
            (link.name, link.kind, link.machine, link.capacity, link.crosses, link.expert_bytes,
             link.dense_bytes, link.busy, *metrics.utilization(link, seconds))
            for link in self.record.links
        ]  # fmt: skip

    @cached_property
    def link_series(self) -> pd.DataFrame:
        """One row a link and bin in which it carried anything: link, begin_s, seconds, bytes, utilization."""
        return pd.DataFrame(self.link_bins())

    def link_bins(self) -> dict[str, NDArray[Any]]:
        """Return the columns of `link_series` as arrays."""
        rows = [(link, np.flatnonzero(link.series)) for link in self.record.links]
        many = [len(bins) for _, bins in rows]

        def column(values: Sequence[NDArray[Any]], kind: type) -> NDArray[Any]:
            return np.concatenate([np.zeros(0, kind), *values])

        moved = column([link.series[bins] for link, bins in rows], float)
        width = np.repeat(np.array([link.bin_width for link, _ in rows], dtype=float), many)
        room = width * np.repeat(np.array([link.capacity for link, _ in rows], dtype=float), many)
        return {
            "link": np.repeat(np.array([link.name for link, _ in rows], dtype=object), many),
            "begin_s": column([bins for _, bins in rows], int) * width,
            "seconds": width,
            "bytes": moved,
            "utilization": moved / room,
        }

    @cached_property
    def layers(self) -> pd.DataFrame:
        """One row an MoE layer and step: paradigm, R, imbalance, rows, bytes."""
        return pd.DataFrame(
            list(self.record.layers), columns=None if self.record.layers else ["step", "layer"]
        )

    @cached_property
    def memory(self) -> pd.DataFrame:
        """One row a component of the memory of a GPU, or of a host (rank -1)."""
        return pd.DataFrame(list(self.record.memory), columns=["rank", "machine", "component", "bytes"])

    @cached_property
    def occupancy(self) -> metrics.Occupancy:
        """How long each rank computes and has communication open, in each step."""
        return metrics.Occupancy(self.record)

    @cached_property
    def paths(self) -> tuple[Attribution, ...]:
        """The critical path of each step, and what each part of it was."""
        return tuple(attribute(self.record, step) for step in self.record.steps)

    def summary(self) -> pd.DataFrame:
        """Return the figures of the run, one row; each column is defined in `docs/metrics.md`.

        `speedup` is NaN until a table has a baseline (`tables.add_speedup`).
        """
        from janus_sim.results.summary import figures_of

        names = {name: self.scenario.get("name" if name == "scenario" else name, "") for name in IDENTITY}
        return pd.DataFrame([names | figures_of(self) | dict(self.scenario.get("point", {}))])

    def __repr__(self) -> str:
        told = ", ".join(str(self.scenario[name]) for name in IDENTITY[1:6] if self.scenario.get(name))
        return f"<Result of {len(self.record.steps)} steps: {told}>"

    def _repr_html_(self) -> str:
        from janus_sim.results import notebook

        return notebook.result(self)

    def save(self, folder: Path | str) -> None:
        """Write the result as CSV, Parquet and JSON files; `open_results` reads them."""
        from janus_sim.results.store import save

        save([self], folder)

    @classmethod
    def load(cls, folder: Path | str) -> Result:
        """Read the result that `save` wrote.

        Raises
        ------
        InputError
            If the folder holds no result, or more than one.
        """
        from janus_sim.results.store import open_one

        return open_one(folder)
