"""Writes a trace in the neutral form, block by block, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from janus_sim.errors import InputError, Mistake
from janus_sim.files import write_whole
from janus_sim.traces.form import Block, TraceInfo
from janus_sim.traces.seen import Seen

KEY = b"janus_sim.trace"  #: of the footer's metadata: the `TraceInfo` as JSON
GROUP_BYTES = 4 * 2**20  #: of counts and choices in a row group, about; a group holds whole blocks
KEYS = ("step", "micro_batch", "layer", "rank")


def write_trace(path: str | Path, info: TraceInfo, blocks: Iterable[Block]) -> TraceInfo:
    """Write a trace as Parquet, in the memory of a few blocks; the same blocks give the same bytes.

    One row a source rank, by step, micro-batch, layer and rank; `docs/traces.md` has the columns.

    Parameters
    ----------
    path : path
        Written under a temporary name first, then renamed: an error leaves what was there before.
    info : TraceInfo
        Its shape (experts, ranks, steps, micro_batches, has_choices, rows; tokens where 0) is filled in.
    blocks : iterable of Block
        Each step has all micro-batches, each micro-batch all layers, both from 0 without a gap; steps ascend.
        All or none have choices, and their shape is one.

    Returns
    -------
    TraceInfo
        As it was written.

    Raises
    ------
    InputError
        If a block is wrong, out of order, missing, or not like the first ones; named by step, micro-batch,
        layer, rank and expert.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> blocks = [Block(step, 0, 0, np.array([[3, 1], [2, 2]])) for step in (10, 20)]
    >>> with TemporaryDirectory() as folder:
    ...     info = write_trace(folder + "/t.parquet", TraceInfo(model="tiny", top_k=1), blocks)
    >>> info.steps, info.experts, info.ranks, info.tokens
    ((10, 20), (2,), 2, 4)
    """
    path = Path(path)
    stream = iter(blocks)
    first = next(stream, None)
    if first is None:
        raise InputError(Mistake(f"{path}:", "would be a trace without a block; nothing was recorded"))
    seen = Seen(str(path), info)
    write_whole(path, lambda target: _write(target, seen, chain([first], stream), schema_of(first)))
    return seen.info()


def schema_of(block: Block) -> pa.Schema:
    """Return the columns of a trace whose blocks are like this one."""
    columns = [("step", pa.int64()), *((name, pa.int32()) for name in KEYS[1:])]
    columns.append(("counts", pa.list_(pa.uint32())))
    if block.choices is not None:
        columns.append(("choices", pa.list_(pa.int16())))
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in columns])


def _write(target: Path, seen: Seen, blocks: Iterable[Block], schema: pa.Schema) -> None:
    """Write the file under its temporary name."""
    wide = [f"{name}.list.element" for name in schema.names[4:]]
    with pq.ParquetWriter(
        target, schema, compression="zstd", use_dictionary=list(KEYS), use_byte_stream_split=wide
    ) as writer:
        for group in _groups(seen.checked(blocks)):
            writer.write_table(_table(group, schema), row_group_size=sum(len(one.counts) for one in group))
        text = json.dumps(seen.info().described(), sort_keys=True, separators=(",", ":"))
        writer.add_key_value_metadata({KEY: text.encode()})


def _groups(blocks: Iterable[Block]) -> Iterator[list[Block]]:
    """Gather blocks into row groups."""
    group: list[Block] = []
    size = 0
    for block in blocks:
        group.append(block)
        size += 4 * block.counts.size + (0 if block.choices is None else 2 * block.choices.size)
        if size >= GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _table(group: list[Block], schema: pa.Schema) -> pa.Table:
    ranks = [len(block.counts) for block in group]
    columns: list[Any] = [
        np.repeat([getattr(block, name) for block in group], ranks).astype(
            schema.field(name).type.to_pandas_dtype()
        )
        for name in KEYS[:3]
    ]
    columns.append(np.concatenate([np.arange(many, dtype=np.int32) for many in ranks]))
    columns.append(_lists([block.counts for block in group], schema.field("counts").type))
    if "choices" in schema.names:
        arrays = [
            block.choices.reshape(len(block.choices), -1) for block in group if block.choices is not None
        ]
        columns.append(_lists(arrays, schema.field("choices").type))
    return pa.table(columns, schema=schema)


def _lists(arrays: list[np.ndarray[Any, Any]], kind: pa.DataType) -> pa.ListArray:
    """Return one list a row of (rows, width) arrays."""
    lengths = np.concatenate([np.full(len(array), array.shape[1]) for array in arrays])
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    values = np.concatenate([array.ravel() for array in arrays]).astype(kind.value_type.to_pandas_dtype())
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values), type=kind)
