"""Kernels take launches, bytes and tiles; the model agrees with its twin and with what was measured."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from janus_sim.engine.kernel_time import KernelClock, gemm_parts
from janus_sim.topology.gpu import FlopsSpec, GemmFit, GpuKind
from janus_sim.workload.kernel import Kernel

A100 = GpuKind.load("a100-sxm4-80gb")
SIDES = st.integers(1, 20_000)


def plain(**changes: float) -> GpuKind:
    """A GPU of round numbers: 10 SMs, 1 GB/s of HBM of which a half is reached, 10 MFLOP/s."""
    fit = {
        "launch": 0.0,
        "peak": 1.0,
        "hbm": 1.0,
        "k_overhead": 0.0,
        "l2_bandwidth": 1e30,
        "split_cost": 0.0,
        "norm": 200.0,
    }
    return GpuKind(
        name="plain", sms=10, hbm_bandwidth=1e9, hbm_size=1e9, flops=FlopsSpec(fp16=1e7, tf32=5e6),
        hbm_efficiency=0.5, gemm=GemmFit(**fit | changes),
    )  # fmt: skip


def product(m: int, n: int, k: int, batch: int = 1, precision: str = "fp16") -> Kernel:
    return Kernel.product("a", m=m, n=n, k=k, batch=batch, precision=precision)


def twin() -> ModuleType:
    """The formula on arrays, as the fit uses it."""
    pytest.importorskip("scipy")
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "fit_gemm.py"
    spec = importlib.util.spec_from_file_location("fit_gemm", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_pass_takes_its_launches_and_its_bytes() -> None:
    clock = KernelClock(plain(), launch=1.0)
    assert clock.seconds((Kernel.passes("a", 500_000_000, precision="fp16"),)) == 2.0
    assert clock.seconds((Kernel.passes("a", 500_000_000, precision="fp16", launches=3),)) == 4.0


def test_kernels_run_back_to_back() -> None:
    clock = KernelClock(plain(), launch=1.0)
    one = Kernel.passes("a", 500_000_000, precision="fp16")
    assert clock.seconds((one, one)) == 4.0
    assert clock.seconds(()) == 0.0
    assert clock.launch_seconds((one, one)) == 2.0


def test_ten_tiles_on_ten_sms_take_the_peak() -> None:
    # 1280 x 64 is ten tiles of 128 x 64 or twenty of 64 x 64: one wave or two, no SM idle
    kernel = product(1280, 64, 1000)
    assert KernelClock(plain(), launch=0.0).seconds((kernel,)) == pytest.approx(kernel.flops / 1e7)


def test_an_eleventh_tile_waits_for_a_second_wave_unless_k_is_cut() -> None:
    # 11 tiles of 64 x 64: two waves whole, but cut into 8 parts 88 parts in nine waves of an eighth
    compute, _ = gemm_parts(plain(), product(64 * 11, 64, 800))
    whole = 2 * 64 * 64 * 800 / 1e6
    assert compute == pytest.approx(9 / 8 * whole)
    dear, _ = gemm_parts(plain(split_cost=1e9), product(64 * 11, 64, 800))
    assert dear == pytest.approx(2 * whole)


def test_an_overhead_along_k_is_paid_by_each_tile() -> None:
    free, _ = gemm_parts(plain(split_cost=1e9), product(1280, 64, 1000))
    paid, _ = gemm_parts(plain(split_cost=1e9, k_overhead=500.0), product(1280, 64, 1000))
    assert paid == pytest.approx(1.5 * free)


def test_a_batch_fills_the_gpu_as_a_taller_matrix_does() -> None:
    tall, _ = gemm_parts(plain(), product(64 * 30, 64, 64))
    batch, _ = gemm_parts(plain(), product(64, 64, 64, batch=30))
    assert batch == pytest.approx(tall)


def test_tf32_takes_twice_the_compute_and_twice_the_bytes() -> None:
    half, single = (gemm_parts(plain(), product(1280, 640, 1000, precision=p)) for p in ("fp16", "tf32"))
    assert single == pytest.approx((2 * half[0], 2 * half[1]))


def test_what_is_bound_by_bytes_does_not_mind_fewer_sms() -> None:
    clock = KernelClock(plain(), launch=0.0)
    bound = Kernel.passes("a", 1000, precision="fp16")
    assert clock.seconds((bound,), share=0.5) == clock.seconds((bound,))
    kernel = product(1280, 64, 1000)
    assert clock.seconds((kernel,), share=0.5) == pytest.approx(2 * clock.seconds((kernel,)))


def test_a_slow_gpu_is_slow_in_all() -> None:
    clock = KernelClock(A100, launch=4e-6)
    kernels = (product(512, 512, 512), Kernel.passes("a", 1000, precision="fp16"))
    assert clock.seconds(kernels, speed=0.8) == pytest.approx(clock.seconds(kernels) / 0.8)


def test_training_slows_products_alone() -> None:
    kernel, moved = product(1280, 64, 1000), Kernel.passes("a", 1000, precision="fp16")
    plain_clock, slow = KernelClock(plain(), launch=0.0), KernelClock(plain(), launch=0.0, slowdown=1.25)
    assert slow.seconds((kernel,)) == pytest.approx(1.25 * plain_clock.seconds((kernel,)))
    assert slow.seconds((moved,)) == plain_clock.seconds((moved,))


def test_the_ideal_is_the_data_sheet() -> None:
    kernel = product(1000, 1000, 1000)
    assert KernelClock(A100, launch=1.0).ideal_seconds((kernel,)) == pytest.approx(2e9 / 312e12)


@given(m=SIDES, n=SIDES, k=SIDES)
def test_no_product_beats_the_peak_or_the_memory(m: int, n: int, k: int) -> None:
    kernel = product(m, n, k)
    seconds = KernelClock(A100, launch=0.0).seconds((kernel,))
    assert seconds >= kernel.flops / A100.peak("fp16")
    assert seconds >= kernel.bytes / A100.hbm_bandwidth


@given(m=SIDES, n=SIDES, k=SIDES)
def test_more_rows_never_take_less(m: int, n: int, k: int) -> None:
    clock = KernelClock(A100, launch=0.0)
    assert clock.seconds((product(m, n, k),)) <= clock.seconds((product(m + 128, n, k),)) * (1 + 1e-12)


def test_the_fit_uses_the_same_formula() -> None:
    fit = twin()
    shapes = np.random.default_rng(0).integers(1, 9000, (200, 3))
    constants = np.array([getattr(A100.gemm, name) for name in fit.NAMES])
    theirs = fit.gemm_seconds(A100, constants, shapes, 4, "tf32") - A100.gemm.launch
    clock = KernelClock(A100, launch=0.0)
    ours = [clock.seconds((product(m, n, k, precision="tf32"),)) for m, n, k in shapes.tolist()]
    assert theirs == pytest.approx(ours, rel=1e-9)


@pytest.mark.parametrize("name", ["a100-sxm4-80gb", "h100-sxm5-80gb"])
def test_measured_products(name: str, data: Path) -> None:
    fit, gpu = twin(), GpuKind.load(name)
    shapes, seconds = fit.rows_of(name)
    errors = fit.relative_error(gpu, np.array([getattr(gpu.gemm, n) for n in fit.NAMES]), shapes, seconds)
    small = (shapes[:, 1:] < 512).any(axis=1)
    assert np.median(errors[~small]) < 0.055
    assert np.quantile(errors[~small], 0.9) < 0.16
    assert np.median(errors[small]) < 0.08


def test_an_expert_in_training_that_was_not_fitted() -> None:
    """LAER: 6.09 ms for a SwiGLU expert of 4096 x 14336 on 4096 tokens, bf16, one A100."""
    fit = twin()
    constants = np.array([getattr(A100.gemm, name) for name in fit.NAMES])
    assert 0.85 < fit.laer(A100, constants) / 6.09e-3 < 1.05
