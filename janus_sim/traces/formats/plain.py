"""Plain arrays (.npz), plain tables (.csv) and traces that are in the neutral form already."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from janus_sim.traces.form import Block
from janus_sim.traces.formats.base import Asked, Format, Read, inside, refuse
from janus_sim.traces.reading import read_traces


def _read(paths: Sequence[Path], asked: Asked) -> Read:
    files = inside(paths, ("*.npz", "*.csv", "*.parquet"))
    trace = read_traces(files)
    origin = trace.info.origin or ", ".join(path.name for path in files)
    info = replace(trace.info, top_k=trace.info.top_k or asked.top_k, origin=origin)
    blocks = _widened(files[0], trace.blocks(), asked.experts) if asked.experts else trace.blocks()
    return Read(info, blocks)


def _widened(file: Path, blocks: Iterable[Block], experts: int) -> Iterator[Block]:
    """Give all layers so many experts; a file need not write those that nobody chose."""
    for block in blocks:
        beyond = block.counts[:, experts:]
        if beyond.any():
            rank, expert = np.argwhere(beyond > 0)[0]
            found = f"expert {expert + experts}; a layer has experts 0 to {experts - 1}"
            refuse(file, f"{block.called()}, rank {rank}", found)
        missing = max(0, experts - block.counts.shape[1])
        yield replace(block, counts=np.pad(block.counts[:, :experts], ((0, 0), (0, missing))))


WHAT = {
    ".npz": "counts[step, micro_batch, layer, rank, expert]",
    ".csv": "columns step, micro_batch, layer, rank, expert, count",
    ".parquet": "the neutral form",
}


def _ends(suffix: str) -> Format:
    def knows(path: Path) -> bool:
        """Whether a path ends so, or is a folder of such files."""
        return any(path.glob(f"*{suffix}")) if path.is_dir() else path.suffix.lower() == suffix

    return Format(knows, _read, WHAT[suffix])


NPZ, CSV, NEUTRAL = _ends(".npz"), _ends(".csv"), _ends(".parquet")
