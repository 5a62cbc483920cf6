"""SmartMoE's logs: table_iter{I}_rank{R}.log, one line a layer, `layer:[[counts] a micro-batch]`.

The artifact (thu-pacman/SmartMoE-AE, moe_trace/) has one such file for each sampled iteration and source
rank. The arrays (.npz) made of them, counts[iteration, rank, layer, expert] and iteration, are read as
plain arrays.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from janus_sim.traces.form import Block, TraceInfo
from janus_sim.traces.formats.base import Asked, Format, Read, gap, inside, refuse

_NAME = re.compile(r"(?:raw_sample_)?table_iter(\d{1,9})_rank(\d{1,6})\.log(?:\.gz)?")
LARGEST = 2**26  #: bytes of one file, unpacked


def read(paths: Sequence[Path], asked: Asked) -> Read:
    """Read the files of all ranks, iteration by iteration."""
    files: dict[int, dict[int, Path]] = {}
    for path in inside(paths, ("*table_iter*_rank*.log*",)):
        name = _NAME.fullmatch(path.name)
        if name is None:
            refuse(path, "", "is not called table_iter{I}_rank{R}.log")
        files.setdefault(int(name[1]), {})[int(name[2])] = path
    if not files:
        refuse(paths[0], "", "holds no table_iter{I}_rank{R}.log")
    for step, ranks in files.items():
        gap(ranks, ranks[min(ranks)].parent, f"table_iter{step}_rank{{R}}.log")
    origin = "SmartMoE's logs (table_iter{I}_rank{R}.log)"
    return Read(TraceInfo(model="", top_k=asked.top_k, origin=origin), _blocks(files))


def _blocks(files: dict[int, dict[int, Path]]) -> Iterator[Block]:
    shape: tuple[int, ...] = ()
    for step, ranks in sorted(files.items()):
        tables = []
        for rank in sorted(ranks):
            tables.append(_table(ranks[rank]))
            shape = shape or tables[-1].shape
            if tables[-1].shape != shape:
                found = (
                    f"has the shape {tables[-1].shape}; (layers, micro-batches, experts) was {shape} before"
                )
                refuse(ranks[rank], "", found)
        counts = np.stack(tables, axis=2)  # layer, micro-batch, rank, expert
        for micro_batch in range(shape[1]):
            for layer in range(shape[0]):
                yield Block(step, micro_batch, layer, counts[layer, micro_batch])


def _table(path: Path) -> npt.NDArray[np.int64]:
    """Return (layers, micro_batches, experts) of one file."""
    rows = []
    for number, line in enumerate(_lines(path)):
        name, colon, text = line.partition(":")
        if not colon or name.strip() != str(number):
            refuse(
                path,
                f"line {number + 1}",
                f'begins with "{name[:20]}"; layer {number} is due, as "{number}:"',
            )
        try:
            rows.append(np.array(json.loads(text), dtype=np.float64))
        except (ValueError, TypeError, RecursionError) as error:
            refuse(path, f"line {number + 1}", f"cannot be read ({str(error)[:80]}); was the file cut off?")
        row = rows[-1]
        if row.ndim != 2 or row.shape != rows[0].shape or not row.size:
            found = f"holds numbers of shape {row.shape}; (micro-batches, experts) is {rows[0].shape}"
            refuse(path, f"line {number + 1}", found)
        wrong = ~((row >= 0) & (row <= 2**32) & (row == np.floor(row)))
        if wrong.any():
            batch, expert = np.argwhere(wrong)[0]
            place = f"line {number + 1}, micro-batch {batch}, expert {expert}"
            refuse(path, place, f"holds {row[batch, expert]:g}; write a count of 0 or more")
    if not rows:
        refuse(path, "", "is empty")
    return np.stack(rows).astype(np.int64)


def _lines(path: Path) -> list[str]:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            content = stream.read(LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        refuse(path, "", f"cannot be unpacked ({error}); was the file cut off?")
    if len(content) > LARGEST:
        refuse(path, "", f"has more than {LARGEST} bytes; such a file has at most that")
    return [line for line in content.decode("utf-8", errors="replace").splitlines() if line.strip()]


def _knows(path: Path) -> bool:
    return any(path.glob("*table_iter*_rank*.log*")) if path.is_dir() else bool(_NAME.fullmatch(path.name))


SMARTMOE = Format(_knows, read, "table_iter{I}_rank{R}.log")
