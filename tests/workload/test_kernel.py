"""A kernel counts its FLOPs and bytes, and knows no time."""

from __future__ import annotations

import subprocess
import sys

import pytest

from janus_sim.workload.kernel import Kernel, total_flops


def test_a_product_reads_two_matrices_and_writes_one() -> None:
    kernel = Kernel.product("a", m=2, n=3, k=5, precision="fp16")
    assert kernel.flops == 60
    assert kernel.bytes == 2 * (10 + 15 + 6)


def test_a_batch_is_as_many_products() -> None:
    one = Kernel.product("a", m=2, n=3, k=5, precision="tf32")
    ten = Kernel.product("a", m=2, n=3, k=5, batch=10, precision="tf32")
    assert (ten.flops, ten.bytes) == (10 * one.flops, 10 * one.bytes)
    assert one.bytes == 4 * 31


def test_a_product_may_move_other_bytes() -> None:
    assert Kernel.product("flash", m=2, n=3, k=5, precision="fp16", hbm_bytes=7).bytes == 7


def test_a_pass_has_bytes_and_no_flops() -> None:
    kernel = Kernel.passes("norm", 100, precision="fp16", launches=2)
    assert (kernel.flops, kernel.bytes, kernel.launches) == (0, 100, 2)
    assert total_flops((kernel, kernel)) == 0


def test_equal_kernels_are_one_key() -> None:
    first, second = (Kernel.product("a", m=2, n=3, k=5, precision="fp16") for _ in range(2))
    assert first == second
    assert len({first, second}) == 1
    assert first != Kernel.product("b", m=2, n=3, k=5, precision="fp16")


def test_the_hash_is_the_same_in_every_process() -> None:
    product = "Kernel.product('a', m=2, n=3, k=5, precision='fp16')"
    moved = "Kernel.passes('b', 9, precision='tf32')"
    code = f"from janus_sim.workload.kernel import Kernel; print(hash({product}), hash({moved}))"
    seeds = ("1", "2")
    told = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": s},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for s in seeds
    }
    assert len(told) == 1


@pytest.mark.parametrize("shape", [(0, 1, 1, 1), (1, 1, 1, 0)])
def test_a_product_of_nothing_is_refused(shape: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Kernel("a", gemm=shape)


def test_negative_bytes_are_refused() -> None:
    with pytest.raises(ValueError, match="not negative"):
        Kernel("a", hbm_bytes=-1)
