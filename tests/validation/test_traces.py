"""SmartMoE's trace (USENIX ATC 2023): 501 iterations brought into the neutral form lose nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from janus_sim.traces import open_trace, write_trace
from janus_sim.traces.formats import Asked, opened
from janus_sim.traces.measure import measured

FILES = ("trace_mb0_iter0001-2491.npz", "trace_mb0_iter2501-5001.npz")


def test_mean_imbalance_by_layer_is_the_files_to_the_last_digit(data: Path, tmp_path: Path) -> None:
    files = [data / "routing" / "smartmoe" / name for name in FILES]
    found = opened(files, asked=Asked(top_k=2))
    write_trace(tmp_path / "t.parquet", found.info, found.read.blocks)
    trace = open_trace(tmp_path / "t.parquet")
    assert (trace.steps, trace.ranks, trace.experts) == (501, 16, (32,) * 24)
    assert (trace.info.tokens, trace.info.rows) == (2048, (4096, 4096))
    straight = [np.load(file, allow_pickle=False) for file in files]
    assert trace.info.steps == tuple(np.concatenate([one["iteration"] for one in straight]).tolist())
    rows = np.concatenate([one["counts"].astype(np.int64).sum(axis=1) for one in straight])
    wanted = (rows.max(axis=2) / rows.mean(axis=2)).mean(axis=0)
    assert measured(trace).max_over_mean[:, 0].mean(axis=0).tolist() == wanted.tolist()
