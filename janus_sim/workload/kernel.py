"""A kernel: what one launch computes and moves, without any notion of time."""

from __future__ import annotations

from dataclasses import dataclass, field

ELEMENT_BYTES: dict[str, int] = {"fp8": 1, "fp16": 2, "bf16": 2, "tf32": 4, "fp32": 4}  #: bytes of an element


@dataclass(frozen=True, slots=True)
class Kernel:
    """One kernel, either a (batched) matrix product or a pass over high-bandwidth memory (HBM).

    Parameters
    ----------
    name : str
        What it computes, for labels and tables.
    gemm : (m, n, k, batch) of int, optional
        A product of ``batch`` pairs of matrices, (m, k) times (k, n). None for a pass over HBM.
    hbm_bytes : int
        Bytes read from and written to HBM. 0 for a matrix product means that each operand is read once and
        the result written once; another value replaces that (flash attention keeps its scores on the chip).
    element : int
        Bytes of an element.
    precision : str
        fp8, fp16, bf16, tf32 or fp32; says which peak a matrix product runs against.
    launches : int
        Launches that the work is spread over, each at the price of one.

    Examples
    --------
    >>> Kernel.product("fc1", m=512, n=3072, k=768, precision="fp16").flops
    2415919104
    >>> Kernel.product("fc1", m=512, n=3072, k=768, precision="fp16").bytes
    8650752
    >>> Kernel.passes("residual", 3 * 1024, precision="tf32").flops
    0
    """

    name: str
    gemm: tuple[int, int, int, int] | None = None
    hbm_bytes: int = 0
    element: int = 2
    precision: str = "fp16"
    launches: int = 1
    _hash: int = field(init=False, repr=False, compare=False, default=0)

    def __post_init__(self) -> None:
        if self.gemm is not None and min(self.gemm) < 1:
            raise ValueError(f"{self.name}: each of (m, n, k, batch) is at least 1, not {self.gemm}")
        if self.hbm_bytes < 0 or self.launches < 0 or self.element < 1:
            raise ValueError(
                f"{self.name}: bytes and launches are not negative, an element has at least 1 byte"
            )
        # integers alone, so that the value is the same in every process
        shape = self.gemm or (0, 0, 0, 0)
        object.__setattr__(self, "_hash", hash((shape, self.hbm_bytes, self.element, self.launches)))

    def __hash__(self) -> int:
        return self._hash

    @classmethod
    def product(
        cls,
        name: str,
        *,
        m: int,
        n: int,
        k: int,
        batch: int = 1,
        precision: str,
        hbm_bytes: int = 0,
        launches: int = 1,
    ) -> Kernel:
        """Return a batched matrix product (m, k) x (k, n)."""
        element = ELEMENT_BYTES[precision]
        return cls(name, (m, n, k, batch), hbm_bytes, element, precision, launches)

    @classmethod
    def passes(cls, name: str, hbm_bytes: int, *, precision: str, launches: int = 1) -> Kernel:
        """Return a kernel bound by HBM that moves ``hbm_bytes`` bytes in all, in ``launches`` launches."""
        return cls(name, None, hbm_bytes, ELEMENT_BYTES[precision], precision, launches)

    @property
    def flops(self) -> int:
        """Floating-point operations of a matrix product, 2 m n k batch; 0 for a pass over HBM."""
        if self.gemm is None:
            return 0
        m, n, k, batch = self.gemm
        return 2 * m * n * k * batch

    @property
    def bytes(self) -> int:
        """Bytes that go through HBM."""
        if self.gemm is None or self.hbm_bytes:
            return self.hbm_bytes
        m, n, k, batch = self.gemm
        return self.element * batch * (m * k + k * n + m * n)


def total_flops(kernels: tuple[Kernel, ...]) -> int:
    """Return the floating-point operations of kernels run back to back.

    Examples
    --------
    >>> total_flops(
    ...     (Kernel.product("a", m=1, n=2, k=3, precision="fp16"), Kernel.passes("b", 8, precision="fp16"))
    ... )
    12
    """
    return sum(kernel.flops for kernel in kernels)
