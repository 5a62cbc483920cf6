"""DeepSpeed's exp_counts, gathered by the user: an .npz with one array of that name.

A MoE layer of DeepSpeed returns (output, loss, exp_counts), where exp_counts (experts,) are the tokens of
this rank that chose each expert; DeepSpeed itself writes them to no file. What is read is exp_counts (step,
layer, rank, expert), or (step, micro_batch, layer, rank, expert), of whole numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from janus_sim.traces.form import Block, TraceInfo
from janus_sim.traces.formats.base import (
    Asked,
    Format,
    Read,
    arrays,
    has_array,
    nothing_below_0,
    only,
    refuse,
)

NAME = "exp_counts"


def read(paths: Sequence[Path], asked: Asked) -> Read:
    """Read the array."""
    path = only(paths, "such arrays")
    counts = arrays(path, [NAME])[NAME]
    if counts.ndim == 4:
        counts = counts[:, None]
    if counts.ndim != 5:
        found = f"is {counts.dtype} of shape {counts.shape}"
        refuse(path, NAME, f"{found}; write whole numbers (step, [micro_batch,] layer, rank, expert)")
    nothing_below_0(path, NAME, counts)
    info = TraceInfo(model="", top_k=asked.top_k, origin="DeepSpeed, exp_counts of its MoE layers")
    return Read(info, _blocks(counts))


def _blocks(counts: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> Iterator[Block]:
    for step, micro_batch, layer in np.ndindex(*counts.shape[:3]):
        yield Block(step, micro_batch, layer, counts[step, micro_batch, layer])


def _knows(path: Path) -> bool:
    return has_array(path, NAME)


DEEPSPEED = Format(_knows, read, "exp_counts[step, (micro_batch,) layer, rank, expert]")
