"""Plain arrays (.npz), plain tables (.csv) and traces that are in the neutral form already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from janus_sim.traces.formats.base import Asked, Format, Read, inside
from janus_sim.traces.reading import read_traces


def _read(paths: Sequence[Path], asked: Asked) -> Read:
    files = inside(paths, ("*.npz", "*.csv", "*.parquet"))
    trace = read_traces(files)
    info = replace(trace.info, top_k=trace.info.top_k or asked.top_k)
    return Read(
        info if info.origin else replace(info, origin=", ".join(path.name for path in files)), trace.blocks()
    )


WHAT = {
    ".npz": "counts[step, micro_batch, layer, rank, expert]",
    ".csv": "columns step, micro_batch, layer, rank, expert, count",
    ".parquet": "the neutral form",
}


def _ends(suffix: str) -> Format:
    def knows(path: Path) -> bool:
        return any(path.glob(f"*{suffix}")) if path.is_dir() else path.suffix.lower() == suffix

    return Format(knows, _read, WHAT[suffix])


NPZ, CSV, NEUTRAL = _ends(".npz"), _ends(".csv"), _ends(".parquet")
