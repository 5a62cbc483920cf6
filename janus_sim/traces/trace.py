"""Reads a trace in the neutral form, a few row groups at a time."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from janus_sim.errors import InputError, Mistake
from janus_sim.traces.counts import Ints
from janus_sim.traces.footer import info_of
from janus_sim.traces.form import Choices, TraceInfo
from janus_sim.traces.recorded import Recorded
from janus_sim.traces.store import KEYS

REMEMBERED = 24 * 2**20  #: bytes of row groups that are kept, about


@dataclass(eq=False)
class Trace(Recorded):
    """A trace in a file, read as far as it is asked for; a `Routing` that a workload replays.

    Parameters
    ----------
    path : Path
    info : TraceInfo
    file : pyarrow.parquet.ParquetFile
    """

    path: Path
    info: TraceInfo
    file: pq.ParquetFile = field(repr=False)
    _known: OrderedDict[tuple[int, str], tuple[npt.NDArray[Any], Ints]] = field(
        default_factory=OrderedDict, init=False, repr=False
    )

    def __post_init__(self) -> None:
        groups = [self.file.metadata.row_group(one) for one in range(self.file.metadata.num_row_groups)]
        self._first = np.cumsum([0] + [group.num_rows for group in groups])
        largest = max(group.total_byte_size for group in groups)
        self._keep = max(2, REMEMBERED // max(1, largest))

    def at(self, step: int, micro_batch: int, moe: int) -> Ints:
        """Return the counts (ranks, experts) of one MoE layer; `step` is a place, from 0, and not a number.

        Raises
        ------
        InputError
            If that part of the file is damaged.
        """
        counts = self._rows("counts", step, micro_batch, moe, self.experts[moe]).astype(np.int64)
        sums = counts.sum(axis=1)
        if sums.min() < self.info.rows[0] or sums.max() > self.info.rows[1]:
            at = f"{self.path}: {self._called(step, micro_batch, moe)}, counts"
            found = (
                f"a rank has {sums.min()} to {sums.max()} rows; rows of the whole trace are {self.info.rows}"
            )
            raise InputError(Mistake(at, found))
        counts.flags.writeable = False
        return counts

    def choices(self, step: int, micro_batch: int, moe: int) -> Choices | None:
        """Return the choices (ranks, tokens, top_k) of one MoE layer; None where there are counts alone.

        `step` is a place, as in `at`.
        """
        if not self.info.has_choices:
            return None
        rows = self._rows("choices", step, micro_batch, moe, None)
        table: Choices = rows.reshape(len(rows), -1, self.info.top_k)
        if int(table.max(initial=0)) >= self.experts[moe] or int(table.min(initial=0)) < -1:
            at = f"{self.path}: {self._called(step, micro_batch, moe)}, choices"
            found = f"{table.min()} to {table.max()}; the layer has experts 0 to {self.experts[moe] - 1}"
            raise InputError(Mistake(at, found))
        table.flags.writeable = False
        return table

    def choices_at(self, step: int, micro_batch: int, moe: int) -> Choices | None:
        """Return what `choices` returns: its name in the protocol `Routing`."""
        return self.choices(step, micro_batch, moe)

    def _called(self, step: int, micro_batch: int, moe: int) -> str:
        return f"step {self.info.steps[step]}, micro-batch {micro_batch}, layer {moe}"

    def _rows(
        self, column: str, step: int, micro_batch: int, moe: int, width: int | None
    ) -> npt.NDArray[Any]:
        """Return (ranks, width) values of one column of one block."""
        if not (
            0 <= step < self.steps and 0 <= micro_batch < self.micro_batches and 0 <= moe < self.info.layers
        ):
            raise IndexError(f"no step {step}, micro-batch {micro_batch}, layer {moe} in {self.path}")
        row = ((step * self.micro_batches + micro_batch) * self.info.layers + moe) * self.ranks
        group = int(np.searchsorted(self._first, row, side="right")) - 1
        values, offsets = self._group(group, column)
        begin = row - int(self._first[group])
        edges = offsets[begin : begin + self.ranks + 1]
        wide = np.diff(edges)
        if (wide != (wide[0] if width is None else width)).any() or wide[0] % (
            1 if width else self.info.top_k
        ):
            at = f"{self.path}: {self._called(step, micro_batch, moe)}, {column}"
            raise InputError(
                Mistake(at, f"has {sorted(set(wide.tolist()))} values a rank, not {width or 'equally many'}")
            )
        return values[edges[0] : edges[-1]].reshape(self.ranks, -1)

    def _group(self, group: int, column: str) -> tuple[npt.NDArray[Any], Ints]:
        """Return the values and offsets of one column of a row group, read or remembered."""
        key = (group, column)
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key]
        try:
            table = self.file.read_row_group(
                group, columns=[*KEYS, f"{column}.list.element"], use_threads=False
            )
        except (pa.ArrowException, OSError) as error:
            where = f"{self.path}: row group {group}, {column}"
            raise InputError(Mistake(where, f"is damaged: {str(error).splitlines()[0]}")) from None
        self._check_keys(group, table)
        lists = table.column(column).combine_chunks()
        lists = lists.chunk(0) if isinstance(lists, pa.ChunkedArray) else lists
        if lists.null_count or lists.values.null_count:
            raise InputError(Mistake(f"{self.path}: row group {group}, {column}", "has empty cells"))
        self._known[key] = lists.values.to_numpy(), lists.offsets.to_numpy().astype(np.int64)
        while len(self._known) > self._keep:
            self._known.popitem(last=False)
        return self._known[key]

    def _check_keys(self, group: int, table: pa.Table) -> None:
        """Hold the rows of a group against their places."""
        rows = np.arange(self._first[group], self._first[group + 1])
        wanted = {"rank": rows % self.ranks, "layer": rows // self.ranks % self.info.layers}
        batches = rows // (self.ranks * self.info.layers)
        wanted["micro_batch"] = batches % self.micro_batches
        wanted["step"] = np.asarray(self.info.steps)[batches // self.micro_batches]
        for name in KEYS:
            found = table.column(name).to_numpy()
            if (found != wanted[name]).any():
                row = int(np.argmax(found != wanted[name]))
                at = f"{self.path}: row {rows[row]}, {name}"
                raise InputError(
                    Mistake(at, f"is {found[row]}; rows are in order, so it must be {wanted[name][row]}")
                )


def open_trace(path: str | Path) -> Trace:
    """Open a trace; nothing but its footer is read.

    Raises
    ------
        InputError
            If the file is missing, cut off, not a trace, or of a version that this one does not read.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from janus_sim.traces import Block, write_trace
    >>> with TemporaryDirectory() as folder:
    ...     block = Block(10, 0, 0, np.array([[3, 1], [2, 2]]))
    ...     _ = write_trace(folder + "/t.parquet", TraceInfo(model="tiny", top_k=1), [block])
    ...     trace = open_trace(folder + "/t.parquet")
    ...     trace.steps, trace.info.steps, trace.experts, trace.at(0, 0, 0).tolist()
    (1, (10,), (2,), [[3, 1], [2, 2]])
    """
    path = Path(path)
    try:
        file = pq.ParquetFile(path, memory_map=False)
    except pa.ArrowInvalid:
        raise InputError(Mistake(f"{path}:", "is not a whole Parquet file; was it cut off?")) from None
    except OSError as error:
        text = (
            "no such file"
            if isinstance(error, FileNotFoundError)
            else str(error.strerror or "cannot be read")
        )
        raise InputError(Mistake(f"{path}:", text.lower())) from None
    return Trace(path, info_of(path, file), file)
