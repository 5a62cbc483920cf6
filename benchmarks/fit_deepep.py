"""Fit the lines of a node-limited All-to-All to DeepEP's normal kernels on H100, and tell the error held out.

    python benchmarks/fit_deepep.py            # reads $JANUS_SIM_DATA, or ../shared/data

Fitted, by the mean absolute logarithm of modelled over measured time, are three lines (start, rate of one SM)
a kernel and kind of path: NVLink on one machine, then RDMA on two. In the fit are rows of 4096 elements and
more and 6 experts a token and more, which is what such kernels are for; the others are told apart. Held
out: one number of SMs at a time; 12 SMs, an anomaly of the dispatch on two machines, are in no fit. Bytes are
those of uniform routing, each token once a machine and once a GPU, its own GPU left out. The formula is of
`janus_sim.engine.streaming`, where all ranks do the same; tests/validation/test_deepep.py holds the preset
against the engine itself.
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

NVLINK, NIC = 325e9, 49e9  #: bytes/s of a port, as in topologies/h100.yaml
APART = 12  #: SMs
HIDDEN, TOP_K = 4096, 6  #: the least that is in the fit
START = {"nvlink": [26, 10, 15, 8, 4, 5], "rdma": [27, 10, 15, 1.2, 0.4, 0.3]}  #: us and GB/s, added up


def data_folder() -> Path:
    """Find the measured data: $JANUS_SIM_DATA, or ../shared/data beside the project."""
    return Path(os.environ.get("JANUS_SIM_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")


def read() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows of one machine and those of two."""
    rows = pd.read_csv(data_folder() / "comm" / "deepep_normal_h100_1to2nodes.csv")
    more = pd.read_csv(data_folder() / "comm" / "aiconfigurator_deepep_normal_1node_h100_sxm.csv.gz")
    return pd.concat([rows[rows.node_num == 1], more], ignore_index=True), rows[rows.node_num == 2]


def sent(rows: pd.DataFrame, kernel: str) -> tuple[Floats, Floats]:
    """Return the bytes that a GPU sends over RDMA and over NVLink."""
    size = 2 * rows.hidden_size if kernel == "combine" else rows.hidden_size + 4 * (rows.hidden_size // 128)
    machines, experts, k = rows.node_num, rows.num_experts, rows.num_topk
    far = [(n - 1) * touched(e, top, e // n) for n, e, top in zip(machines, experts, k, strict=True)]
    near = [7 * n * touched(e, top, e // (8 * n)) for n, e, top in zip(machines, experts, k, strict=True)]
    return (size * rows.num_token * far).to_numpy(float), (size * rows.num_token * near).to_numpy(float)


def touched(experts: int, top_k: int, part: int) -> float:
    """Return the share of tokens that need any of `part` of the experts."""
    return 1.0 - comb(experts - part, top_k) / comb(experts, top_k)


def seconds(size: Floats, sms: Floats, lines: Lines, link: float) -> Floats:
    """Return how long what a GPU sends over one kind of path takes."""
    rates = [np.minimum(rate * sms, link) for _, rate in lines]
    times = np.array([start + size / rate for (start, _), rate in zip(lines, rates, strict=True)])
    chosen: Floats = times.min(axis=0)
    return chosen


def lines_of(free: Floats) -> Lines:
    """Return lines that ascend in start and in rate."""
    steps = np.exp(free.reshape(2, -1)).cumsum(axis=1)
    return [(float(start) * 1e-6, float(rate) * 1e9) for start, rate in steps.T]


def fit(model: Callable[[Lines], Floats], measured: Floats, kind: str) -> Lines:
    """Return the lines with the least mean absolute logarithm of modelled over measured time."""
    tries = [np.log(START[kind]) + np.random.default_rng(seed).normal(0, 0.2, 6) for seed in range(3)]

    def loss(free: Floats) -> float:
        return float(np.abs(np.log(model(lines_of(free)) / measured)).mean())

    found = [minimize(loss, start, method="Nelder-Mead", options={"maxfev": 4000}) for start in tries]
    return lines_of(min(found, key=lambda one: float(one.fun)).x)


def error(modelled: Floats, measured: Floats) -> str:
    """Write the relative error, median / 90th percentile."""
    off = 100 * np.abs(modelled / measured - 1)
    return f"{np.median(off):5.1f} / {np.percentile(off, 90):5.1f} %"


def study(rows: pd.DataFrame, kernel: str, kind: str, near_lines: Lines | None) -> Lines:
    """Fit one kernel on one or two machines, tell its errors, and return its lines."""
    far, near = sent(rows, kernel)
    sms, measured = rows[f"{kernel}_sms"].to_numpy(float), rows[f"{kernel}_transmit_us"].to_numpy() * 1e-6

    def model(lines: Lines, some: Bools) -> Floats:
        if near_lines is None:
            return seconds(near[some], sms[some], lines, NVLINK)
        inside = seconds(near[some], sms[some], near_lines, NVLINK)
        return np.maximum(seconds(far[some], sms[some], lines, NIC), inside)

    def fitted(some: Bools) -> Lines:
        return fit(lambda lines: model(lines, some), measured[some], kind)

    shape = ((rows.hidden_size >= HIDDEN) & (rows.num_topk >= TOP_K)).to_numpy()
    kept = (sms != APART) & shape
    lines, held = fitted(kept), np.full(len(rows), np.nan)
    for count in np.unique(sms[kept]):
        out = kept & (sms == count)
        held[out] = model(fitted(kept & ~out), out)
    text = ", ".join(
        f"{{start: {start * 1e6:.1f} us, sm_rate: {rate / 1e9:.3g} GB/s}}" for start, rate in lines
    )
    print(f"{kernel} {kind}: [{text}]")
    print(
        f"  fitted {error(model(lines, kept), measured[kept])}, held out {error(held[kept], measured[kept])}"
    )
    for count in np.unique(sms):
        out = (sms == count) & shape
        apart = "(in no fit)" if count == APART else f"held out {error(held[out], measured[out])}"
        print(f"  {count:4.0f} SMs {error(model(lines, out), measured[out])}  {apart}")
    deepseek = kept & (rows.hidden_size == 7168).to_numpy() & (rows.num_topk == 8).to_numpy()
    print(f"  hidden 7168, top-8: held out {error(held[deepseek], measured[deepseek])}")
    others = ~shape & (sms != APART)
    if others.any():
        print(f"  other shapes, in no fit: {error(model(lines, others), measured[others])}")
    return lines


def main() -> None:
    """Print lines and errors."""
    one, two = read()
    print(f"{len(one)} rows on one machine, {len(two)} on two; relative error, median / 90th percentile")
    for kernel in ("dispatch", "combine"):
        study(two, kernel, "rdma", study(one, kernel, "nvlink", None))
    notify = two[two.dispatch_sms != APART][["dispatch_notify_us", "combine_notify_us"]].median()
    print("notify on two machines, medians:", *(f"{name} {value:.1f} us" for name, value in notify.items()))


if __name__ == "__main__":
    main()
