"""The footer of a trace: read before anything else, and refused where it does not hold together."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from janus_sim.errors import InputError, Mistake
from janus_sim.traces.form import VERSION, TraceInfo
from janus_sim.traces.store import KEY, KEYS

LARGEST_GROUP = 2**28  #: bytes of a row group that is read at all


def info_of(path: Path, file: pq.ParquetFile) -> TraceInfo:
    """Return what the footer tells.

    Raises
    ------
    InputError
        If it is no trace's, of a version that is not read, or contradicts the columns.
    """
    text = (file.metadata.metadata or {}).get(KEY)
    if text is None:
        raise InputError(Mistake(f"{path}:", f"is Parquet, but no trace: its metadata lack {KEY.decode()}"))
    try:
        info = TraceInfo.of(_versioned(path, json.loads(text)))
    except (ValueError, RecursionError) as error:
        raise InputError(Mistake(f"{path}: {KEY.decode()}", f"cannot be read: {error}")) from None
    mistakes = [*_columns(str(path), info, file), *_rows(str(path), info, file)]
    if mistakes:
        raise InputError(mistakes)
    return info


def _versioned(path: Path, values: object) -> dict[str, object]:
    """Refuse another version before its fields are looked at."""
    if not isinstance(values, dict):
        raise ValueError("is no mapping")
    version = values.get("version")
    if type(version) is not int or not 1 <= version <= VERSION:
        found = f"is {version!r}; this version of janus-sim reads 1 to {VERSION}"
        raise InputError(Mistake(f"{path}: version", found))
    return values


def _columns(path: str, info: TraceInfo, file: pq.ParquetFile) -> Iterator[Mistake]:
    have = {item.name: item.type for item in file.schema_arrow}
    for name, kind in zip(KEYS, (pa.int64(), *[pa.int32()] * 3), strict=True):
        if have.get(name) != kind:
            yield Mistake(f"{path}: {name}", f"is {have.get(name, 'missing')}; write {kind}")
    lists = {"counts": pa.uint32(), "choices": pa.int16()} if info.has_choices else {"counts": pa.uint32()}
    for name, kind in lists.items():
        if not pa.types.is_list(have.get(name, pa.null())) or have[name].value_type != kind:
            yield Mistake(f"{path}: {name}", f"is {have.get(name, 'missing')}; write a list of {kind}")


def _rows(path: str, info: TraceInfo, file: pq.ParquetFile) -> Iterator[Mistake]:
    rows = len(info.steps) * info.micro_batches * info.layers * info.ranks
    if file.metadata.num_rows != rows or not rows:
        shape = f"{len(info.steps)} steps x {info.micro_batches} micro-batches x {info.layers} layers"
        yield Mistake(f"{path}: rows", f"{file.metadata.num_rows}; {shape} x {info.ranks} ranks are {rows}")
        return
    for group in range(file.metadata.num_row_groups):
        part = file.metadata.row_group(group)
        if part.total_byte_size > LARGEST_GROUP or part.num_rows % info.ranks:
            found = f"{part.num_rows} rows, {part.total_byte_size} bytes"
            wanted = f"write whole blocks of {info.ranks} rows, at most {LARGEST_GROUP} bytes"
            yield Mistake(f"{path}: row group {group}", f"{found}; {wanted}")
