"""A kind of GPU: its data sheet, and what was measured of its kernels."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

from janus_sim.errors import InputError, Mistake
from janus_sim.files import (
    Bandwidth,
    Bytes,
    FlopRate,
    Fraction,
    NonNegativeFloat,
    Positive,
    PositiveFloat,
    Seconds,
    Spec,
    layered,
    validate,
)


class FlopsSpec(Spec):
    """Dense peak of each precision, FLOP/s; None where the GPU has no such units."""

    fp16: FlopRate | None = None
    bf16: FlopRate | None = None
    tf32: FlopRate | None = None
    fp32: FlopRate | None = None
    fp8: FlopRate | None = None


class GemmFit(Spec):
    """Seven constants of the tile model of matrix products, fitted by ``benchmarks/fit_gemm.py``.

    Attributes
    ----------
    launch : float
        Seconds of a launch in the benchmark that was fitted. Not used in a simulation, where the host's
        launch time stands in its place, so that a launch is paid once.
    peak : float
        Reached share of the data sheet's FLOP/s.
    hbm : float
        Reached share of the HBM's bandwidth.
    k_overhead : float
        Start and end of a tile, as that many more steps along k.
    l2_bandwidth : float
        Bytes per second at which all SMs together load tiles.
    split_cost : float
        HBM traffic of the partial results of split-K, over their bytes in single precision.
    norm : float
        p of the p-norm by which compute and memory time are joined.
    """

    launch: Seconds
    peak: Fraction
    hbm: Fraction
    k_overhead: NonNegativeFloat
    l2_bandwidth: Bandwidth
    split_cost: NonNegativeFloat
    norm: PositiveFloat


class GpuKind(Spec):
    """A kind of GPU.

    Attributes
    ----------
    sms : int
        Streaming multiprocessors.
    hbm_bandwidth : float
        Bytes per second, data sheet.
    hbm_size : float
        Bytes.
    flops : FlopsSpec
        Dense peaks of the data sheet; see `peak`.
    hbm_efficiency : float
        Share of the HBM's bandwidth that an elementwise kernel reaches.
    gemm : GemmFit
        Constants of matrix products.

    Examples
    --------
    >>> kind = GpuKind.load("a100-sxm4-80gb")
    >>> kind.sms, kind.peak("tf32") / kind.peak("fp16")
    (108, 0.5)
    """

    name: str
    source: str = ""
    sms: Positive
    hbm_bandwidth: Bandwidth
    hbm_size: Bytes
    flops: FlopsSpec
    hbm_efficiency: Fraction = 0.82
    gemm: GemmFit

    @classmethod
    def load(
        cls, source: str | Path | Mapping[str, Any], where: str = "", beside: Path | None = None
    ) -> Self:
        """Read a preset by name, a file by path, or a mapping (which may name its ``base``).

        Raises
        ------
        InputError
            With all mistakes.
        """
        if isinstance(source, str) and "/" not in source and beside is None:
            return cls._preset(source, where)
        return cls._read(source, where, beside)

    @classmethod
    @lru_cache(maxsize=64)
    def _preset(cls, name: str, where: str) -> Self:
        return cls._read(name, where, None)

    @classmethod
    def _read(cls, source: str | Path | Mapping[str, Any], where: str, beside: Path | None) -> Self:
        data, paths = layered("topologies/gpus", source, beside, where)
        return validate(cls, data, where or (f"{paths[0]}:" if paths else ""))

    def peak(self, precision: str) -> float:
        """Dense FLOP/s of the data sheet.

        Raises
        ------
        InputError
            When the GPU has no units of this precision.
        """
        rate: float | None = getattr(self.flops, precision, None)
        if rate is None:
            known = ", ".join(
                name for name in FlopsSpec.model_fields if getattr(self.flops, name) is not None
            )
            raise InputError(Mistake("precision", f'{self.name} has no "{precision}"; write one of {known}'))
        return rate
