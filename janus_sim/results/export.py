"""Tables of results as files, written one result after another: CSV for people, Parquet for spans."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from janus_sim.record import SPAN_COLUMNS, LayerRecord
from janus_sim.results.reading import INDEX
from janus_sim.results.result import LINK_TYPES, Result
from janus_sim.results.store import write_csv

ROWS = 100_000  #: of a row group of Parquet, about
_SERIES = {"link": object, "begin_s": np.float64, "seconds": np.float64, "bytes": np.float64,
           "utilization": np.float64}  # fmt: skip
_STEPS = ("step", "begin_s", "end_s", "step_time_s")
_MEMORY = ("rank", "machine", "component", "bytes")

Arrays = Mapping[str, NDArray[Any]]


def write(
    folder: Path, entries: Sequence[Mapping[str, Any]], summary: pd.DataFrame, results: Iterable[Result]
) -> None:
    """Write the tables of a folder of results.

    Parameters
    ----------
    entries
        What `scenarios.json` says.
    summary
        One row an entry.
    results
        Those whose record was kept; one after another is read, and never are all in memory.
    """
    write_csv(summary, folder / "summary.csv")
    with (
        _Csv(folder / "links.csv", LINK_TYPES) as links,
        _Csv(folder / "layers.csv", LayerRecord.__annotations__) as layer_rows,
        _Csv(folder / "memory.csv", _MEMORY) as memory,
        _Csv(folder / "steps.csv", _STEPS) as steps,
        _Parquet(folder / "spans.parquet", SPAN_COLUMNS) as spans,
        _Parquet(folder / "link_series.parquet", _SERIES) as series,
    ):
        for result in results:
            name = str(result.scenario.get("name", ""))
            links.rows(name, (dict(zip(LINK_TYPES, row, strict=True)) for row in result.link_rows()))
            layer_rows.rows(name, result.record.layers)
            memory.rows(name, result.record.memory)
            steps.rows(
                name,
                (
                    dict(zip(_STEPS, (s.step, s.begin, s.end, s.seconds), strict=True))
                    for s in result.record.steps
                ),
            )
            spans.add(name, result.record.spans)
            series.add(name, result.link_bins())
    text = json.dumps(list(entries), indent=1) + "\n"
    (folder / INDEX).write_text(text, encoding="utf-8", newline="\n")


class _Csv:
    """A table that grows; the first column names the scenario."""

    def __init__(self, path: Path, columns: Iterable[str]) -> None:
        self.file = path.open("w", encoding="utf-8", newline="")
        self.writer = csv.writer(self.file, lineterminator="\n")
        self.columns = list(columns)
        self.bytes = [name.endswith("_bytes") for name in self.columns]
        self.writer.writerow(["scenario", *self.columns])

    def rows(self, scenario: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Append rows of one scenario; what a row lacks stays empty."""
        columns = self.columns
        self.writer.writerows([scenario, *self._cells(map(row.get, columns))] for row in rows)

    def _cells(self, values: Iterable[object]) -> list[object]:
        """Return what is written: nothing for NaN, whole bytes without a point."""
        return [
            value
            if not isinstance(value, float)
            else ""
            if value != value
            else int(value)
            if whole and value.is_integer()
            else value
            for whole, value in zip(self.bytes, values, strict=True)
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *problem: object) -> None:
        self.file.close()


class _Parquet:
    """A table in row groups of about `ROWS` rows; words are dictionaries."""

    def __init__(self, path: Path, columns: Mapping[str, type]) -> None:
        self.columns = {"scenario": object, **columns}
        kinds = [
            (name, pa.dictionary(pa.int32(), pa.string()) if kind is object else pa.from_numpy_dtype(kind))
            for name, kind in self.columns.items()
        ]
        self.schema = pa.schema(kinds)
        self.writer = pq.ParquetWriter(path, self.schema)
        self.waiting: list[tuple[str, Arrays, int]] = []
        self.many = 0

    def add(self, scenario: str, arrays: Arrays) -> None:
        """Append the columns of one scenario."""
        many = len(next(iter(arrays.values())))
        self.waiting.append((scenario, arrays, many))
        self.many += many
        if self.many >= ROWS:
            self._flush()

    def _flush(self) -> None:
        if not self.many:
            self.waiting = []
            return
        columns = [self._column(name, kind) for name, kind in self.columns.items()]
        self.writer.write_table(pa.Table.from_arrays(columns, schema=self.schema))
        self.waiting, self.many = [], 0

    def _column(self, name: str, kind: type) -> pa.Array:
        if name == "scenario":
            words = [scenario for scenario, _, _ in self.waiting]
            codes = np.repeat(np.arange(len(words), dtype=np.int32), [many for _, _, many in self.waiting])
            return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(words, pa.string()))
        whole = np.concatenate([arrays[name] for _, arrays, _ in self.waiting])
        if kind is not object:
            return pa.array(whole)
        numbers, found = pd.factorize(whole.astype(object))
        return pa.DictionaryArray.from_arrays(
            pa.array(numbers.astype(np.int32)), pa.array([str(word) for word in found], pa.string())
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *problem: object) -> None:
        if problem[0] is None:
            self._flush()
        self.writer.close()
