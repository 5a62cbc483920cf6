"""FLAME-MoE's traces: actives/iter_NNNN/layer_NN.parquet, one row a token, with its scores and indices.

As the card of the data set CMU-FLAME/FLAME-MoE-Traces describes them: `indices` is a list of the experts of
a token, `scores` their probabilities; a capture has 52,428,800 tokens, in the same order in all files. The
stream is cut into micro-batches of `--tokens` tokens for each of `--ranks` ranks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from janus_sim.traces.form import Block, TraceInfo, counts_of
from janus_sim.traces.formats.base import Asked, Format, Read, in_range, known_experts, refuse

TOKENS, EXPERTS = 8192, 64  #: of a rank and micro-batch by default; routed experts of all three models
_ITER, _LAYER = re.compile(r"iter_(\d{1,9})"), re.compile(r"layer_(\d{1,4})\.parquet")


def read(paths: Sequence[Path], asked: Asked) -> Read:
    """Read all layers of each capture, side by side."""
    captures = {step: files for path in paths for step, files in _captures(path).items()}
    if not captures:
        refuse(paths[0], "", "holds no iter_NNNN/layer_NN.parquet")
    for files in captures.values():
        _equally_long(files)
    layers = [[int(_LAYER.fullmatch(file.name)[1]) for file in files] for files in captures.values()]  # type: ignore[index]
    for (step, files), numbers in zip(captures.items(), layers, strict=True):
        if numbers != layers[0] or numbers != list(range(numbers[0], numbers[0] + len(numbers))):
            found = f"has the layers {numbers}; the first capture has {layers[0]}, without a gap"
            refuse(files[0].parent, f"iter_{step}", found)
    tokens, ranks = asked.tokens or TOKENS, asked.ranks or 1
    note = f"a stream of tokens, cut into micro-batches of {tokens} tokens for each of {ranks} ranks"
    info = TraceInfo(
        model="FLAME-MoE", top_k=_width(next(iter(captures.values()))[0]), notes=(note,),
        licence="Apache-2.0",
        origin="CMU-FLAME/FLAME-MoE-Traces (arXiv 2505.20225): captured at checkpoints of the pre-training",
    )  # fmt: skip
    return Read(info, _blocks(captures, tokens, ranks, asked))


def _captures(path: Path) -> dict[int, list[Path]]:
    """Return the files of each capture by the number of its iteration."""
    if not path.is_dir():
        refuse(path, "", "is a file; write the folder iter_NNNN, or the one above it")
    folders = [path, *sorted(path.glob("iter_*")), *sorted(path.glob("actives/iter_*"))]
    named = [(folder, _ITER.fullmatch(folder.resolve().name)) for folder in folders]
    found = {
        int(name[1]): sorted(file for file in folder.glob("layer_*.parquet") if _LAYER.fullmatch(file.name))
        for folder, name in named
        if name
    }
    return {step: files for step, files in sorted(found.items()) if files}


def _equally_long(files: Sequence[Path]) -> None:
    """Refuse layers of one capture that do not hold the same number of tokens."""
    rows = [_opened(file).metadata.num_rows for file in files]
    for file, many in zip(files, rows, strict=True):
        if many != rows[0] or not many:
            refuse(file, "", f"holds {many} tokens; {files[0].name} holds {rows[0]}, and all layers the same")


def _opened(file: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file)
    except (pa.ArrowException, OSError) as error:
        refuse(file, "", f"is not a whole Parquet file ({str(error).splitlines()[0][:80]})")


def _width(file: Path) -> int:
    """Return the experts of the first token."""
    return int(next(_tables(file, 1)).shape[1])


def _blocks(captures: dict[int, list[Path]], tokens: int, ranks: int, asked: Asked) -> Iterator[Block]:
    experts = asked.experts or EXPERTS
    known_experts(Path("--experts"), experts)
    for step, files in captures.items():
        streams = [_tables(file, tokens * ranks) for file in files]
        for micro_batch, tables in enumerate(zip(*streams, strict=False)):
            whole = all(len(table) == tokens * ranks for table in tables)
            if not whole or (asked.micro_batches and micro_batch >= asked.micro_batches):
                break
            for layer, (table, file) in enumerate(zip(tables, files, strict=True)):
                kept = in_range(file, "indices", table, experts, micro_batch * tokens * ranks)
                choices = kept.reshape(ranks, tokens, -1)
                yield Block(step, micro_batch, layer, counts_of(choices, experts), choices, counted=True)


def _tables(file: Path, rows: int) -> Iterator[npt.NDArray[Any]]:
    """Yield the indices (rows, top_k), so many rows at a time."""
    first = 0
    try:
        with _opened(file) as parquet:
            if "indices" not in parquet.schema_arrow.names:
                refuse(file, "indices", f"is missing; there are {', '.join(parquet.schema_arrow.names)}")
            for batch in parquet.iter_batches(batch_size=rows, columns=["indices"], use_threads=False):
                lists = batch.column(0)
                values = lists.flatten().to_numpy(zero_copy_only=False)
                wide = np.asarray(pa.compute.list_value_length(lists).fill_null(0))
                first = first or int(wide[0])
                if first < 1 or (wide != first).any() or values.dtype.kind not in "iu":
                    refuse(file, "indices", "are not equally many whole numbers a token")
                yield values.reshape(len(lists), -1)
    except (pa.ArrowException, OSError) as error:
        refuse(file, "", f"is not a whole Parquet file ({str(error).splitlines()[0][:80]})")


def _knows(path: Path) -> bool:
    return path.is_dir() and any(
        any(path.glob(pattern)) for pattern in ("layer_*.parquet", "iter_*/layer_*.parquet", "actives/iter_*")
    )


FLAME = Format(_knows, read, "actives/iter_NNNN/layer_NN.parquet")
