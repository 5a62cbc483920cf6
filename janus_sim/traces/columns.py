"""Columns of comma-separated values, read whole or refused with line and column."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pa_csv

Table = dict[str, npt.NDArray[Any]]


class RefusedError(Exception):
    """Why a file is not a trace, in words; becomes an InputError with the file's name."""


def header(path: Path) -> list[str]:
    """Return the names of the columns; of a packed file (.gz) too, and without the mark that Excel sets.

    Raises
    ------
    RefusedError
        If it is not text.
    """
    try:
        with pa.input_stream(str(path)) as stream:
            line = stream.read(2000).partition(b"\n")[0]
    except (pa.ArrowException, OSError) as error:
        raise RefusedError(f"cannot be read ({error})") from None
    text = line.decode("utf-8-sig", errors="replace").strip()
    if text and not text.isprintable():
        raise RefusedError("is not text")
    return [name.strip() for name in next(csv.reader([text]), [])]


def read_columns(path: Path, kinds: Mapping[str, type]) -> Table:
    """Return the columns wanted, and `line`: the number of each row in the file, from 2 on.

    Parameters
    ----------
    path : Path
        May be packed (.gz).
    kinds : mapping
        From each column to `int` (0 or more) or `str`.

    Raises
    ------
    RefusedError
        With line and column.
    """
    names = header(path)
    if not set(kinds) <= set(names):
        raise RefusedError(f"has the columns {', '.join(names)[:100]}; write {', '.join(kinds)}")
    types = {name: pa.int64() if kind is int else pa.string() for name, kind in kinds.items()}
    convert = pa_csv.ConvertOptions(column_types=types, include_columns=list(kinds), null_values=[""])
    try:
        table = pa_csv.read_csv(
            path,
            read_options=pa_csv.ReadOptions(use_threads=False, column_names=names, skip_rows=1),
            convert_options=convert,
        )
    except (pa.ArrowException, OSError) as error:
        raise RefusedError(_words(str(error), names)) from None
    found: Table = {name: table.column(name).to_numpy() for name in kinds}
    found["line"] = np.arange(2, table.num_rows + 2)
    for told in _wrong(table, kinds):
        raise RefusedError(told)
    return found


def _wrong(table: pa.Table, kinds: Mapping[str, type]) -> Iterator[str]:
    """Tell of empty cells, and of numbers below 0."""
    for name, kind in kinds.items():
        column = table.column(name)
        if column.null_count:
            row = int(np.argmax(column.is_null().to_numpy()))
            yield f"line {row + 2}, {name}: a cell is not a whole number"
        elif kind is int and table.num_rows and column.to_numpy().min() < 0:
            row = int(np.argmax(column.to_numpy() < 0))
            yield f"line {row + 2}, {name}: {column[row]}; nothing is below 0"


def _words(text: str, names: list[str]) -> str:
    """Say in our words what Arrow found."""
    cell = re.search(r"CSV column #(\d+)(?:: Row #(\d+))?: CSV conversion error to int64: (.*)", text)
    if cell:
        column = names[int(cell[1])] if int(cell[1]) < len(names) else cell[1]
        where = f"line {cell[2]}, {column}" if cell[2] else column
        return f"{where}: a cell is not a whole number ({cell[3]})"
    if row := re.search(r"(?:Row #(\d+): )?Expected (\d+) columns, got (\d+)", text):
        where = f"line {row[1]}: " if row[1] else ""
        return f"{where}has {row[3]} cells in a row; write {row[2]}"
    if "Empty CSV" in text:
        return "has no rows"
    return "is not text" if "UTF8" in text else text.splitlines()[0][:120]
