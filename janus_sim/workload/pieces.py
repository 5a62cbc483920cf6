"""The smallest pieces of a model as kernels: linear layers, norms, dropout and residual, both ways."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from janus_sim.workload.kernel import ELEMENT_BYTES, Kernel
from janus_sim.workload.spec import WorkloadSpec

Kernels = tuple[Kernel, ...]


class Backward(NamedTuple):
    """Kernels of a backward pass: what the layer below waits for, and what is awaited at the end."""

    input: Kernels = ()
    weight: Kernels = ()


def in_order(*parts: Backward) -> Backward:
    """Join backward passes that follow each other.

    Examples
    --------
    >>> one = Backward((Kernel.passes("a", 1, precision="fp16"),))
    >>> [kernel.name for kernel in in_order(one, one).input]
    ['a', 'a']
    """
    return Backward(sum((part.input for part in parts), ()), sum((part.weight for part in parts), ()))


@dataclass(frozen=True)
class Pieces:
    """Makes kernels in the precision of a workload, each elementwise operation on its own (eager) or fused.

    Attributes
    ----------
    precision : str
    eager : bool
    tokens, hidden : int
        Shape of an activation.
    dropout, bias : bool
    """

    precision: str
    eager: bool
    tokens: int
    hidden: int
    dropout: bool
    bias: bool

    @classmethod
    def of(cls, spec: WorkloadSpec) -> Pieces:
        """Take what matters from a workload."""
        model = spec.model
        return cls(
            spec.precision, spec.kernels == "eager", spec.tokens, model.hidden, model.dropout, model.bias
        )

    @property
    def element(self) -> int:
        """Bytes of an element."""
        return ELEMENT_BYTES[self.precision]

    @property
    def activation(self) -> int:
        """Elements of the activation of all tokens."""
        return self.tokens * self.hidden

    def product(self, name: str, m: int, n: int, k: int, batch: int = 1) -> Kernel:
        """Return a batched matrix product (m, k) x (k, n)."""
        return Kernel.product(name, m=m, n=n, k=k, batch=batch, precision=self.precision)

    def move(self, name: str, elements: int, *, raw: int = 0, launches: int = 1) -> Kernel:
        """Return a pass that reads and writes ``elements`` elements in all, and ``raw`` bytes beside."""
        size = elements * self.element + raw
        return Kernel.passes(name, size, precision=self.precision, launches=launches)

    def linear(self, name: str, n: int, k: int, rows: int | None = None) -> Kernel:
        """Return a linear layer from k to n elements; its bias is added where the product is written."""
        return self.product(name, self.tokens if rows is None else rows, n, k)

    def linear_backward(
        self, name: str, n: int, k: int, rows: int | None = None, *, bias: bool = False
    ) -> Backward:
        """Return the gradients of a linear layer; the bias's, if eager, by a pass of its own."""
        m = self.tokens if rows is None else rows
        weight: Kernels = (self.product(f"{name} weight gradient", n, k, m),)
        if bias and self.eager:
            weight += (self.move(f"{name} bias gradient", m * n),)
        return Backward((self.product(f"{name} input gradient", m, k, n),), weight)

    def norm(self, name: str) -> Kernels:
        """Return a norm: reads and writes the activation."""
        return (self.move(name, 2 * self.activation),)

    def norm_backward(self, name: str) -> Backward:
        """Return the gradients of a norm and, after them, the sum with the residual's gradient."""
        if not self.eager:
            return Backward((self.move(f"{name} backward and residual", 4 * self.activation),))
        inputs = (
            self.move(f"{name} backward", 3 * self.activation),
            self.move("residual gradient", 3 * self.activation),
        )
        return Backward(inputs, (self.move(f"{name} weight gradient", 2 * self.activation),))

    def join(self) -> Kernels:
        """Return dropout and the sum with the residual; the mask has a byte an element."""
        mask = self.activation if self.dropout else 0
        if not self.eager:
            return (self.move("dropout and residual", 3 * self.activation, raw=mask),)
        dropout = (self.move("dropout", 2 * self.activation, raw=mask),) if self.dropout else ()
        return (*dropout, self.move("residual", 3 * self.activation))

    def join_norm(self, name: str) -> Kernels:
        """Return dropout, the sum with the residual, and the norm of the sum."""
        if self.eager:
            return self.join() + self.norm(name)
        mask = self.activation if self.dropout else 0
        return (self.move(f"dropout, residual and {name}", 4 * self.activation, raw=mask),)

    def join_backward(self) -> Backward:
        """Return the gradient through the dropout; the residual's own gradient passes by unchanged."""
        if not self.dropout:
            return Backward()
        return Backward((self.move("dropout backward", 2 * self.activation, raw=self.activation),))

    def add(self, name: str, elements: int) -> Kernel:
        """Return the sum of two arrays of ``elements`` elements into one of them."""
        return self.move(name, 3 * elements)
