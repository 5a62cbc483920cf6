"""Fit the lines of a node-limited All-to-All to DeepEP's normal kernels on H100, and tell the error held out.

    python benchmarks/fit_deepep.py            # reads $JANUS_SIM_DATA, or ../shared/data

Fitted, by the mean absolute logarithm of modelled over measured time, are lines (start, rate of one SM), two
a kernel over NVLink, on one machine, with three costs of rows, then three over RDMA, on two machines.
Held out: one number of SMs at a time, and on one machine also one shape (elements, experts a token, experts)
at a time; 12 SMs, an anomaly of the dispatch on two machines, are in no fit. Bytes are those of uniform
routing, each token once a machine and once a GPU, its own GPU left out. The formula is of
`janus_sim.engine.streaming` and `janus_sim.topology.transfers`, where all ranks do the same;
tests/validation/test_deepep.py holds the preset against the engine itself.

Costs of rows, since a warp moves one row at a time: for each row sent, what its queue and indices take, as
bytes that an SM would move meanwhile; for each token, what reading it takes, or summing and writing it, as
rows; and the time that one row takes to go through, before which no SM can be done (bytes/s).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from math import comb
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Lines = list[tuple[float, float]]  #: start [s], rate of one SM [bytes/s]
Model = Callable[[Floats, Bools], Floats]  #: of free parameters and chosen rows, to seconds

NVLINK, NIC = 325e9, 49e9  #: bytes/s of a port, as in topologies/h100.yaml
APART = 12  #: SMs
START = {"nvlink": [26, 15, 18, 10], "rdma": [27, 10, 15, 1.2, 0.4, 0.3]}  #: us and GB/s, added up
COSTS = [2.0, 1000.0, 1.0]  #: rows a token, bytes a row, GB/s of a row: where the search starts
SHAPE = ["hidden_size", "num_topk", "num_experts"]


def data_folder() -> Path:
    """Find the measured data: $JANUS_SIM_DATA, or ../shared/data beside the project."""
    return Path(os.environ.get("JANUS_SIM_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")


def read() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows of one machine and those of two."""
    rows = pd.read_csv(data_folder() / "comm" / "deepep_normal_h100_1to2nodes.csv")
    more = pd.read_csv(data_folder() / "comm" / "aiconfigurator_deepep_normal_1node_h100_sxm.csv.gz")
    one = pd.concat([rows[rows.node_num == 1], more], ignore_index=True)
    return one, rows[rows.node_num == 2].reset_index(drop=True)


def touched(experts: int, top_k: int, part: int) -> float:
    """Return the share of tokens that need any of `part` of the experts."""
    return 1.0 - comb(experts - part, top_k) / comb(experts, top_k)


def row_bytes(rows: pd.DataFrame, kernel: str) -> Floats:
    """Return the bytes of a row: bf16, or fp8 with a scale of 4 bytes for 128 values."""
    hidden = rows.hidden_size.to_numpy(float)
    return 2 * hidden if kernel == "combine" else hidden + 4 * (hidden // 128)


def sent(rows: pd.DataFrame, kernel: str) -> tuple[Floats, Floats, Floats]:
    """Return the bytes that a GPU sends over RDMA and over NVLink, and of how many tokens the latter are."""
    size, tokens = row_bytes(rows, kernel), rows.num_token.to_numpy(float)
    each = list(zip(rows.node_num, rows.num_experts, rows.num_topk, strict=True))
    machine = np.array([touched(e, top, e // n) for n, e, top in each])
    gpu = np.array([n * touched(e, top, e // (8 * n)) for n, e, top in each])
    count = rows.node_num.to_numpy(float)
    return size * tokens * (count - 1) * machine, size * tokens * 7 * gpu, tokens * count * machine


def seconds(size: Floats, busy: Floats, sms: Floats, lines: Lines, link: float) -> Floats:
    """Return how long what a GPU sends over one kind of path takes; `busy`: SMs, over the bytes alone."""
    rates = [np.minimum(rate * sms / busy, link) for _, rate in lines]
    times = np.array([start + size / rate for (start, _), rate in zip(lines, rates, strict=True)])
    chosen: Floats = times.min(axis=0)
    return chosen


def lines_of(free: Floats) -> Lines:
    """Return lines that ascend in start and in rate."""
    steps = np.exp(free.reshape(2, -1)).cumsum(axis=1)
    return [(float(start) * 1e-6, float(rate) * 1e9) for start, rate in steps.T]


def inside(rows: pd.DataFrame, kernel: str) -> Model:
    """Return the model of one machine, or of the near hop of two: those of lines, then of rows."""
    size, (_, near, tokens) = row_bytes(rows, kernel), sent(rows, kernel)
    sms = rows[f"{kernel}_sms"].to_numpy(float)

    def model(free: Floats, some: Bools) -> Floats:
        token, extra, pace = np.exp(free[-3:])
        busy = 1 + extra / size[some] + token * size[some] * tokens[some] / near[some]
        lines = lines_of(free[:-3])
        return seconds(near[some], busy, sms[some], lines, NVLINK) + size[some] / (pace * 1e9)

    return model


def between(rows: pd.DataFrame, kernel: str, near: Floats) -> Model:
    """Return the model of two machines; `near`: the parameters of the near hop."""
    far, hop = sent(rows, kernel)[0], inside(rows, kernel)(near, np.ones(len(rows), dtype=bool))
    sms = rows[f"{kernel}_sms"].to_numpy(float)

    def model(free: Floats, some: Bools) -> Floats:
        one = np.ones(int(some.sum()))
        return np.maximum(seconds(far[some], one, sms[some], lines_of(free), NIC), hop[some])

    return model


def fit(model: Model, measured: Floats, some: Bools, starts: list[Floats], steps: int) -> Floats:
    """Return the parameters with the least mean absolute logarithm of modelled over measured time."""

    def loss(free: Floats) -> float:
        return float(np.abs(np.log(model(free, some) / measured[some])).mean())

    options = {"maxfev": steps, "maxiter": steps, "adaptive": True}
    found = [minimize(loss, start, method="Nelder-Mead", options=options) for start in starts]
    best: Floats = min(found, key=lambda one: float(one.fun)).x
    return best


def error(modelled: Floats, measured: Floats) -> str:
    """Write the relative error, median / 90th percentile."""
    off = 100 * np.abs(modelled / measured - 1)
    return f"{np.median(off):5.1f} / {np.percentile(off, 90):5.1f} %"


def study(rows: pd.DataFrame, kernel: str, kind: str, model: Model) -> Floats:
    """Fit one kernel on one or two machines, tell its errors, and return its parameters."""
    first = np.log(START[kind] + (COSTS if kind == "nvlink" else []))
    measured = rows[f"{kernel}_transmit_us"].to_numpy() * 1e-6
    sms = rows[f"{kernel}_sms"].to_numpy(float)
    kept = sms != APART
    starts = [first + np.random.default_rng(seed).normal(0, 0.2, len(first)) for seed in range(3)]
    free = fit(model, measured, kept, starts, 5000)

    def held_out(groups: pd.Series) -> Floats:
        held = np.full(len(rows), np.nan)
        for group in groups[kept].unique():
            out = (groups == group).to_numpy()
            held[out] = model(fit(model, measured, kept & ~out, [free], 2000), out)
        return held

    say(f"{kernel} {kind}", free, kind)
    every = np.ones(len(rows), dtype=bool)
    told(rows, kept, sms, measured, model(free, every), held_out(rows[f"{kernel}_sms"]), "SMs")
    if kind == "nvlink":
        shapes = rows[SHAPE].astype(str).agg(" ".join, axis=1)
        told(rows, kept, sms, measured, model(free, every), held_out(shapes), "shape")
    return free


def say(name: str, free: Floats, kind: str) -> None:
    """Print parameters as a topology has them."""
    lines, costs = (free[:-3], free[-3:]) if kind == "nvlink" else (free, None)
    text = ", ".join(
        f"{{start: {start * 1e6:.1f} us, sm_rate: {rate / 1e9:.3g} GB/s}}" for start, rate in lines_of(lines)
    )
    print(f"{name}: [{text}]")
    if costs is not None:
        token, extra, pace = np.exp(costs)
        print(f"  rows: {{extra: {extra:.0f} B, token: {token:.3g}, pace: {pace:.3g} GB/s}}")


def told(
    rows: pd.DataFrame, kept: Bools, sms: Floats, measured: Floats, fitted: Floats, held: Floats, by: str
) -> None:
    """Print the errors of all rows in the fit, and of some of them; `held`: out of the fit, by `by`."""
    narrow = ((rows.hidden_size < 4096) | (rows.num_topk < 6)).to_numpy()
    deepseek = ((rows.hidden_size == 7168) & (rows.num_topk == 8)).to_numpy()
    some = {"all": kept, "of rows below 4096 or fewer than 6 experts a token": kept & narrow}
    some |= {"hidden 7168, top-8": kept & deepseek}
    some |= (
        {f"{count:.0f} SMs": kept & (sms == count) for count in np.unique(sms[kept])} if by == "SMs" else {}
    )
    for name, these in some.items():
        if these.any():
            print(f"  {name}, {these.sum()} rows: fitted {error(fitted[these], measured[these])}, "
                  f"held out by {by} {error(held[these], measured[these])}")  # fmt: skip
    if by == "SMs":
        print(f"  {APART} SMs, in no fit: {error(fitted[~kept], measured[~kept])}")


def main() -> None:
    """Print lines and errors."""
    one, two = read()
    print(f"{len(one)} rows on one machine, {len(two)} on two; relative error, median / 90th percentile")
    for kernel in ("dispatch", "combine"):
        near = study(one, kernel, "nvlink", inside(one, kernel))
        study(two, kernel, "rdma", between(two, kernel, near))
    notify = two[two.dispatch_sms != APART][["dispatch_notify_us", "combine_notify_us"]].median()
    print("notify on two machines, medians:", *(f"{name} {value:.1f} us" for name, value in notify.items()))


if __name__ == "__main__":
    main()
