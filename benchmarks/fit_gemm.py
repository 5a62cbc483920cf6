"""Fit the seven constants of the tile model of matrix products, and tell the error on held-out shapes.

    python benchmarks/fit_gemm.py            # reads $JANUS_SIM_DATA, or ../shared/data

Fitted is the mean absolute logarithm of modelled over measured time, over both frameworks of a GPU alike, for
m >= 16 and n, k >= 256. The errors told are of rows whose n or k the fit has not seen: in each of six folds,
every sixth value of n and every sixth value of k is left out of the fit. A random split would leak, since the
benchmarks hold near-duplicates. The formula here is the one of `janus_sim.engine.kernel_time`, on arrays.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize

from janus_sim.engine.kernel_time import PARTIAL, SPLITS, TILES
from janus_sim.topology.gpu import GemmFit, GpuKind

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NAMES = ("launch", "peak", "hbm", "k_overhead", "l2_bandwidth", "split_cost", "norm")
START = np.array([3.4e-6, 0.95, 0.75, 170.0, 6e12, 2.6, 3.8])
FOLDS = 6
BENCHMARKS = {
    "a100-sxm4-80gb": ("a100_sxm_vllm-0.14.0", "a100_sxm_trtllm-1.0.0"),
    "h100-sxm5-80gb": ("h100_sxm_vllm-0.19.0", "h100_sxm_trtllm-1.2.0rc5"),
}
LAER = (4096, 14336, 4096, 6.09e-3)  #: rows, width, hidden and seconds of a SwiGLU expert forward on one A100


def data_folder() -> Path:
    """Find the measured data: $JANUS_SIM_DATA, or ../shared/data beside the project."""
    return Path(os.environ.get("JANUS_SIM_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")


def measured(benchmark: str, least: int = 256) -> tuple[Ints, Floats]:
    """Read bf16 products with n and k from `least`: shapes (rows, 3) as m, n, k, and seconds (rows,)."""
    table = pd.read_csv(data_folder() / "gemm" / f"aiconfigurator_{benchmark}_gemm.csv.gz")
    kept = (table.gemm_dtype == "bfloat16") & (table.m >= 16) & (table.n >= least) & (table.k >= least)
    kept &= table.m % 16 == 0  # the H100 tables hold m + 1 beside each m
    table = table[kept].groupby(["m", "n", "k"], as_index=False).latency.median()
    return table[["m", "n", "k"]].to_numpy(np.int64), table.latency.to_numpy() * 1e-3


def rows_of(gpu: str, least: int = 256) -> tuple[Ints, Floats]:
    """Lay the rows of both frameworks of a GPU under each other."""
    parts = [measured(benchmark, least) for benchmark in BENCHMARKS[gpu]]
    return np.concatenate([shape for shape, _ in parts]), np.concatenate([seconds for _, seconds in parts])


def gemm_seconds(
    gpu: GpuKind, constants: Floats, shapes: Ints, element: int = 2, precision: str = "bf16"
) -> Floats:
    """Return the modelled seconds of products, shape (rows,), the benchmark's launch included."""
    launch, peak, hbm_share, k_overhead, l2_bandwidth, split_cost, norm = constants
    m, n, k = (shapes[:, axis].astype(float) for axis in range(3))
    rate, load = peak * gpu.peak(precision) / gpu.sms, l2_bandwidth / gpu.sms
    hbm = hbm_share * gpu.hbm_bandwidth
    compute = np.full(len(shapes), np.inf)
    for tm, tn in TILES:
        tiles = np.ceil(m / tm) * np.ceil(n / tn)
        step = ((2 * tm * tn / rate) ** norm + ((tm + tn) * element / load) ** norm) ** (1 / norm)
        for split in SPLITS:
            waves = np.ceil(tiles * split / gpu.sms)
            partial = split_cost * PARTIAL * m * n * split / hbm if split > 1 else 0.0
            compute = np.minimum(compute, waves * step * (k / split + k_overhead) + partial)
    memory = element * (m * k + k * n + m * n) / hbm
    seconds: Floats = launch + (compute**norm + memory**norm) ** (1 / norm)
    return seconds


def fit(gpu: GpuKind, shapes: Ints, seconds: Floats, start: Floats = START, starts: int = 1) -> Floats:
    """Return the seven constants, by Nelder-Mead on their logarithms from ``starts`` seeded points."""
    unique, inverse = np.unique(shapes, axis=0, return_inverse=True)
    target, rng = np.log(seconds), np.random.default_rng(0)

    def loss(logs: Floats) -> float:
        constants = np.exp(logs)
        if max(constants[1:3]) > 1 or constants[6] > 20:
            return 9.0
        return float(np.abs(np.log(gemm_seconds(gpu, constants, unique))[inverse.ravel()] - target).mean())

    best = None
    for number in range(starts):
        logs = np.log(start) + (rng.normal(0, 0.2, len(start)) if number else 0)
        logs[1:3] = np.minimum(logs[1:3], -0.001)
        options = {"maxiter": 1500, "xatol": 1e-3, "fatol": 1e-6, "adaptive": True}
        found = minimize(loss, logs, method="Nelder-Mead", options=options)
        best = found if best is None or found.fun < best.fun else best
    assert best is not None
    return np.exp(best.x)


def relative_error(gpu: GpuKind, constants: Floats, shapes: Ints, seconds: Floats) -> Floats:
    """Return |modelled / measured - 1|, shape (rows,)."""
    return np.abs(gemm_seconds(gpu, constants, shapes) / seconds - 1)


def held_out(
    gpu: GpuKind, shapes: Ints, seconds: Floats, start: Floats
) -> tuple[Ints, Floats, NDArray[np.bool_]]:
    """Return shapes and errors of rows whose n or k was left out, and whether both were."""
    widths, depths = np.unique(shapes[:, 1]), np.unique(shapes[:, 2])
    found: list[tuple[Ints, Floats, NDArray[np.bool_]]] = []
    for fold in range(FOLDS):
        no_n = np.isin(shapes[:, 1], widths[fold::FOLDS])
        no_k = np.isin(shapes[:, 2], depths[(2 * fold + 1) % FOLDS :: FOLDS])
        constants = fit(gpu, shapes[~no_n & ~no_k], seconds[~no_n & ~no_k], start)
        unseen = no_n | no_k
        errors = relative_error(gpu, constants, shapes[unseen], seconds[unseen])
        found.append((shapes[unseen], errors, (no_n & no_k)[unseen]))
    return tuple(np.concatenate(column) for column in zip(*found, strict=True))  # type: ignore[return-value]


def tell(label: str, errors: Floats) -> None:
    """Print median and 90th percentile of errors."""
    print(f"  {label:<46} {np.median(errors):6.1%} {np.quantile(errors, 0.9):6.1%}   {len(errors):>6} rows")


def tell_by_size(label: str, shapes: Ints, errors: Floats) -> None:
    """Print errors, those with n or k below 512 apart."""
    small = (shapes[:, 1:] < 512).any(axis=1)
    tell(f"{label}, n and k from 512", errors[~small])
    tell(f"{label}, n or k below 512", errors[small])


def tell_heads(gpu: GpuKind, constants: Floats) -> None:
    """Print the errors on shapes like attention's, one side of 64, which are never fitted."""
    shapes, seconds = rows_of(gpu.name, least=64)
    errors = relative_error(gpu, constants, shapes, seconds)
    m, n, k = shapes.T
    tell("never fitted: k = 64 (scores), m from 512", errors[(m >= 512) & (n >= 128) & (k == 64)])
    tell("never fitted: n = 64 (values), m from 512", errors[(m >= 512) & (n == 64) & (k >= 128)])


def laer(gpu: GpuKind, constants: Floats) -> float:
    """Return the modelled seconds of LAER's expert forward: three products and five inner passes."""
    rows, width, hidden, _ = LAER
    products = np.array([[rows, width, hidden], [rows, width, hidden], [rows, hidden, width]])
    passes = 5 * rows * width * 2 / (gpu.hbm_efficiency * gpu.hbm_bandwidth)
    return float(gemm_seconds(gpu, constants, products).sum() + passes)


def scaled(constants: Floats, source: GpuKind, target: GpuKind) -> Floats:
    """Scale constants by data sheets: shares and overheads stay, the L2 follows the tensor cores."""
    moved = constants.copy()
    moved[4] *= target.peak("fp16") / source.peak("fp16")
    return moved


def as_fit(constants: Floats) -> GemmFit:
    """Round constants to three digits, as the presets hold them."""
    return GemmFit(**{name: float(f"{value:.3g}") for name, value in zip(NAMES, constants, strict=True)})


def main() -> None:
    """Fit both GPUs and print constants and errors."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--starts", type=int, default=4, help="seeded starting points of the fit")
    starts = parser.parse_args().starts
    fitted: dict[str, Floats] = {}
    for name in BENCHMARKS:
        gpu = GpuKind.load(name)
        shapes, seconds = rows_of(name)
        fitted[name] = constants = fit(gpu, shapes, seconds, starts=starts)
        print(f"{name}: {as_fit(constants)}")
        print(f"  {'relative error':<46} {'median':>6} {'p90':>6}")
        tell_by_size("fitted", shapes, relative_error(gpu, constants, shapes, seconds))
        unseen, errors, both = held_out(gpu, shapes, seconds, constants)
        tell_by_size("n or k held out", unseen, errors)
        tell_by_size("n and k held out", unseen[both], errors[both])
        large = (shapes[:, 1:] >= 512).all(axis=1)
        narrow = fit(gpu, shapes[large], seconds[large], constants)
        tell(
            "nothing below 512 fitted, n or k below 512", relative_error(gpu, narrow, shapes, seconds)[~large]
        )
        tell_heads(gpu, constants)
    a100, h100 = (GpuKind.load(name) for name in BENCHMARKS)
    shapes, seconds = rows_of(h100.name)
    moved = scaled(fitted[a100.name], a100, h100)
    tell_by_size("A100's scaled to H100 by data sheet", shapes, relative_error(h100, moved, shapes, seconds))
    modelled = laer(a100, fitted[a100.name])
    against = f"measured {LAER[3] * 1e3} ms ({modelled / LAER[3] - 1:+.0%})"
    print(f"  LAER's expert on A100, not fitted: {modelled * 1e3:.2f} ms, {against}")


if __name__ == "__main__":
    main()
