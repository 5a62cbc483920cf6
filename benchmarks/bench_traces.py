"""Traces: import, replay, and memory against the size of a file: `python benchmarks/bench_traces.py`.

CPU seconds, best of three. A record of a table is a row, one of the neutral form is one layer of one rank.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from janus_sim import Scenario, simulate
from janus_sim.traces import Block, Trace, TraceInfo, counts_of, open_trace, write_trace
from janus_sim.traces.formats import Asked, opened

GROWTH = """
import re, sys
from pathlib import Path
from janus_sim.traces import open_trace

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024

trace = open_trace(sys.argv[1])
before = peak()
for block in trace.blocks():
    pass
print(before, peak())
"""


def best(run: Callable[[], Any], times: int = 3) -> float:
    """Return CPU seconds."""
    found = []
    for _ in range(times):
        begin = time.process_time()
        run()
        found.append(time.process_time() - begin)
    return min(found)


def brought(paths: list[Path], out: Path, **asked: int) -> None:
    found = opened(paths, asked=Asked(**asked))
    write_trace(out, found.info, found.read.blocks)


def table(path: Path, steps: int = 125, layers: int = 10, ranks: int = 16, experts: int = 50) -> int:
    """Write a .csv of a million rows; return their number."""
    rng = np.random.default_rng(1)
    axes = np.indices((steps, layers, ranks, experts)).reshape(4, -1)
    counts = rng.integers(0, 200, axes.shape[1])
    columns = [axes[0], np.zeros_like(counts), axes[1], axes[2], axes[3], counts]
    rows = "\n".join(
        ",".join(map(str, row)) for row in zip(*(column.tolist() for column in columns), strict=True)
    )
    path.write_text("step,micro_batch,layer,rank,expert,count\n" + rows + "\n")
    return len(counts)


def arrays(path: Path, records: int = 1_000_000, ranks: int = 16, layers: int = 25, experts: int = 32) -> int:
    """Write an .npz of a million records."""
    steps = records // ranks // layers
    rng = np.random.default_rng(1)
    counts = rng.integers(0, 200, (steps, 1, layers, ranks, experts)).astype(np.uint16)
    np.savez(path, counts=counts)
    return steps * layers * ranks


def lines(folder: Path, records: int, tokens: int, ranks: int = 16, layers: int = 25, k: int = 2) -> int:
    """Write router traces of Megatron-Core: a record is a line, one layer of one rank in one micro-batch."""
    folder.mkdir()
    rng = np.random.default_rng(1)
    drawn = [json.dumps(rng.integers(0, 64, (tokens, k)).tolist()) for _ in range(64)]
    steps = records // ranks // layers
    places = [(step, layer) for step in range(steps) for layer in range(layers)]
    for rank in range(ranks):
        with (folder / f"router_trace_rank{rank}.jsonl").open("w") as stream:
            for step, layer in places:
                told = f'"step": {step}, "block": "decoder", "layer": {layer}, "rank": {rank}'
                shape = f'"num_tokens": {tokens}, "topk": {k}'
                one = drawn[(step + layer + rank) % 64]
                stream.write(f'{{{told}, "stage": "pre_dispatch", {shape}, "top_indices": {one}}}\n')
    return steps * layers * ranks


def chosen(steps: int, tokens: int = 2**14) -> Iterator[Block]:
    """Yield blocks of 8 ranks with 1 MB of choices each."""
    rng = np.random.default_rng(1)
    choices = rng.integers(0, 256, (8, tokens, 4)).astype(np.int16)
    counts = counts_of(choices, 256)
    for step in range(steps):
        yield Block(step, 0, 0, counts, choices)


class Watched(Trace):
    """A trace that knows how long it took to be read."""

    seconds = 0.0

    def at(self, step: int, micro_batch: int, moe: int) -> np.ndarray[Any, Any]:
        begin = time.process_time()
        found = super().at(step, micro_batch, moe)
        Watched.seconds += time.process_time() - begin
        return found


def replay(path: Path) -> tuple[float, float]:
    """Return CPU seconds of 4 steps of smartmoe_gpt on 16 GPUs, and those spent in the trace."""
    import janus_sim.traces.reading as reading

    rng = np.random.default_rng(1)
    shares = rng.dirichlet(np.full(32, 0.5))
    blocks = (
        Block(step, 0, layer, np.array([_capped(rng, shares) for _ in range(16)]))
        for step in range(4) for layer in range(24)
    )  # fmt: skip
    write_trace(path, TraceInfo(model="drawn", top_k=2), blocks)

    def watched(file: Path) -> Watched:
        begin = time.process_time()
        trace = open_trace(file)
        Watched.seconds += time.process_time() - begin
        return Watched(trace.path, trace.info, trace.file)

    reading.open_trace = watched  # type: ignore[assignment]
    workload = {"base": "smartmoe_gpt", "routing": {"trace": str(path)}, "steps": 4}
    scenario = Scenario(topology="a100_2x8", workload=workload, policy="expert_centric")
    simulate(scenario)
    Watched.seconds = 0.0
    begin = time.process_time()
    simulate(scenario)
    return time.process_time() - begin, Watched.seconds


def _capped(rng: np.random.Generator, shares: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Draw 4096 rows, none above 2048."""
    counts = rng.multinomial(4096, shares)
    while counts.max() > 2048:
        over = int(np.maximum(counts - 2048, 0).sum())
        counts = np.minimum(counts, 2048) + rng.multinomial(over, np.full(32, 1 / 32))
    return counts


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for words, make, file in (
            ("rows of a .csv", table, "t.csv"),
            ("records of an .npz", arrays, "t.npz"),
        ):
            many = make(folder / file)
            seconds = best(lambda file=file: brought([folder / file], folder / "o.parquet"))  # type: ignore[misc]
            print(f"import of {many:,} {words}: {seconds:.2f} s, {many / seconds:,.0f}/s")
        for records, tokens in ((1_000_000, 8), (1600, 4096)):
            many = lines(folder / f"m{tokens}", records, tokens)
            seconds = best(
                lambda at=f"m{tokens}": brought([folder / at], folder / "o.parquet", experts=64), 2
            )  # type: ignore[misc]
            told = f"{many / seconds:,.0f}/s, {many * tokens * 2 / seconds / 1e6:.1f} M choices/s"
            print(f"import of {many:,} lines of {tokens} tokens of Megatron-Core: {seconds:.2f} s, {told}")
        whole, reading = replay(folder / "r.parquet")
        print(f"replay of 4 steps: {whole:.2f} s, of which the trace {reading:.3f} s ({reading / whole:.1%})")
        for steps in (200, 2000):
            write_trace(folder / "large.parquet", TraceInfo(model="large", top_k=4), chosen(steps))
            size = (folder / "large.parquet").stat().st_size
            command = [sys.executable, "-c", GROWTH, str(folder / "large.parquet")]
            before, after = map(int, subprocess.run(command, capture_output=True, check=True).stdout.split())
            told = f"{size / 1e6:,.0f} MB in the file ({steps * 1.05:,.0f} MB of values)"
            print(f"read block by block: {told}, memory {before / 1e6:.0f} to {after / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
