"""A feed-forward network as kernels: a dense one, a shared one, or an expert on its rows."""

from __future__ import annotations

from dataclasses import dataclass, replace

from janus_sim.workload.kernel import Kernel
from janus_sim.workload.pieces import Backward, Kernels, Pieces


@dataclass(frozen=True)
class Ffn:
    """Two matrices with GELU between, or SwiGLU's three.

    Eager, SwiGLU has a product for each of its three matrices; fused, the first two are one product. Fused
    GELU is computed where the first product is written, which also keeps its input for the backward pass.
    """

    pieces: Pieces
    width: int
    gated: bool
    bias: bool
    name: str = "ffn"

    @property
    def matrix_parameters(self) -> int:
        """Parameters without biases."""
        return (3 if self.gated else 2) * self.pieces.hidden * self.width

    @property
    def parameters(self) -> int:
        """Parameters, with biases."""
        first = self.width * (2 if self.gated else 1)
        return self.matrix_parameters + (first + self.pieces.hidden if self.bias else 0)

    def forward(self, rows: int) -> Kernels:
        """Return the kernels on ``rows`` rows; none for no rows."""
        if not rows:
            return ()
        hidden, inner, pieces = self.pieces.hidden, rows * self.width, self.pieces
        last = pieces.linear(f"{self.name} fc2", hidden, self.width, rows)
        if self.gated:
            return (*self._first(rows), *self._gating(inner), last)
        first = pieces.linear(f"{self.name} fc1", self.width, hidden, rows)
        if not pieces.eager:
            return (_also(first, inner), last)
        return (first, pieces.move(f"{self.name} activation", 2 * inner), last)

    def input_gradient(self, rows: int) -> Kernels:
        """Return the kernels of the gradient of the input."""
        if not rows:
            return ()
        hidden, inner, pieces = self.pieces.hidden, rows * self.width, self.pieces
        last = pieces.product(f"{self.name} fc2 input gradient", rows, self.width, hidden)
        if self.gated:
            return (last, *self._gating_backward(inner), *self._first_backward(rows))
        first = pieces.product(f"{self.name} fc1 input gradient", rows, hidden, self.width)
        if not pieces.eager:
            return (_also(last, inner), first)
        return (last, pieces.move(f"{self.name} activation backward", 3 * inner), first)

    def weight_gradient(self, rows: int) -> Kernels:
        """Return the kernels of the gradients of the matrices, and of the biases if eager."""
        if not rows:
            return ()
        hidden, pieces = self.pieces.hidden, self.pieces
        columns = (
            (self.width,)
            if not self.gated
            else (self.width, self.width)
            if pieces.eager
            else (2 * self.width,)
        )
        last = pieces.product(f"{self.name} fc2 weight gradient", hidden, self.width, rows)
        first = tuple(pieces.product(f"{self.name} fc1 weight gradient", n, hidden, rows) for n in columns)
        biases: Kernels = ()
        if self.bias and pieces.eager:
            wide = sum(columns)
            biases = (
                pieces.move(f"{self.name} fc2 bias gradient", rows * hidden),
                pieces.move(f"{self.name} fc1 bias gradient", rows * wide),
            )
        return (last, *first, *biases)

    def backward(self, rows: int) -> Backward:
        """Return both gradients."""
        return Backward(self.input_gradient(rows), self.weight_gradient(rows))

    def _first(self, rows: int) -> Kernels:
        hidden = self.pieces.hidden
        if self.pieces.eager:
            return tuple(
                self.pieces.linear(f"{self.name} {p}", self.width, hidden, rows) for p in ("gate", "up")
            )
        return (self.pieces.linear(f"{self.name} gate and up", 2 * self.width, hidden, rows),)

    def _first_backward(self, rows: int) -> Kernels:
        hidden, pieces = self.pieces.hidden, self.pieces
        if not pieces.eager:
            return (pieces.product(f"{self.name} gate and up input gradient", rows, hidden, 2 * self.width),)
        products = (
            pieces.product(f"{self.name} {part} input gradient", rows, hidden, self.width)
            for part in ("gate", "up")
        )
        return (*products, pieces.add(f"{self.name} input gradient sum", rows * hidden))

    def _gating(self, inner: int) -> Kernels:
        move = self.pieces.move
        if self.pieces.eager:
            return (move(f"{self.name} silu", 2 * inner), move(f"{self.name} gating", 3 * inner))
        return (move(f"{self.name} swiglu", 3 * inner),)

    def _gating_backward(self, inner: int) -> Kernels:
        move = self.pieces.move
        if self.pieces.eager:
            gating = move(f"{self.name} gating backward", 6 * inner, launches=2)
            return (gating, move(f"{self.name} silu backward", 3 * inner))
        return (move(f"{self.name} swiglu backward", 5 * inner),)


def _also(kernel: Kernel, elements: int) -> Kernel:
    """Let a product move so many elements more."""
    return replace(kernel, hbm_bytes=kernel.bytes + elements * kernel.element)
