"""Attention as kernels: projections, scores in memory (standard) or not (flash), and their gradients."""

from __future__ import annotations

from dataclasses import dataclass

from janus_sim.workload.kernel import Kernel
from janus_sim.workload.model_spec import ModelSpec
from janus_sim.workload.pieces import Backward, Kernels, Pieces, in_order
from janus_sim.workload.spec import WorkloadSpec


@dataclass(frozen=True)
class Attention:
    """The attention of a layer, without its norm and residual.

    Attributes
    ----------
    projections : tuple of (name, n, k)
        Linear layers before the scores, in order.
    key_size, value_size : int
        Elements of a head of queries and keys, and of values.
    """

    pieces: Pieces
    batch: int
    sequence: int
    heads: int
    key_heads: int
    key_size: int
    value_size: int
    projections: tuple[tuple[str, int, int], ...]
    causal: bool
    flash: bool
    rotary: bool

    @classmethod
    def of(cls, spec: WorkloadSpec) -> Attention:
        """Take what matters from a workload."""
        model = spec.model
        flash = model.attention == "flash" or (model.attention is None and spec.kernels == "fused")
        extra = model.latent.rotary_dim if model.latent else 0
        return cls(
            Pieces.of(spec), spec.micro_batch_size, spec.seq_length, model.heads, model.key_heads,
            model.head_size + extra, model.head_size, _projections(model), model.causal, flash,
            model.positions == "rotary",
        )  # fmt: skip

    @property
    def matrix_parameters(self) -> int:
        """Parameters of the projections, the last one included, without biases."""
        return sum(n * k for _, n, k in self.projections) + self.pieces.hidden * self.heads * self.value_size

    @property
    def parameters(self) -> int:
        """Parameters, with biases."""
        biases = sum(n for _, n, _ in self.projections) + self.pieces.hidden
        return self.matrix_parameters + (biases if self.pieces.bias else 0)

    @property
    def flops_per_token(self) -> float:
        """Floating-point operations of a token forward; under a causal mask half of the scores."""
        seen = self.sequence / 2 if self.causal else self.sequence
        return 2 * self.matrix_parameters + 2 * seen * self.heads * (self.key_size + self.value_size)

    @property
    def scores(self) -> int:
        """Elements of the scores of all heads."""
        return self.batch * self.heads * self.sequence**2

    @property
    def queries(self) -> int:
        """Elements of the queries; of the attention's output too, where values are as wide as keys."""
        return self.pieces.tokens * self.heads * self.key_size

    @property
    def keys(self) -> int:
        """Elements of keys and values as projected."""
        return self.pieces.tokens * self.key_heads * (self.key_size + self.value_size)

    @property
    def output(self) -> int:
        """Elements of the attention's output."""
        return self.pieces.tokens * self.heads * self.value_size

    def forward(self) -> Kernels:
        """Return the kernels from the normed activation to the output projection."""
        projections = tuple(self.pieces.linear(name, n, k) for name, n, k in self.projections)
        last = self.pieces.linear("attention output", self.pieces.hidden, self.heads * self.value_size)
        core = self._flash("attention", 2, 1) if self.flash else self._standard()
        return (*projections, *self._rotate("rotary"), *core, last)

    def backward(self) -> Backward:
        """Return the gradients, in the order in which they are computed."""
        pieces = self.pieces
        last = pieces.linear_backward(
            "attention output", pieces.hidden, self.heads * self.value_size, bias=pieces.bias
        )
        core = self._flash("attention backward", 5, 2) if self.flash else self._standard_backward()
        core += self._rotate("rotary backward")
        first = [
            pieces.linear_backward(name, n, k, bias=pieces.bias) for name, n, k in reversed(self.projections)
        ]
        return in_order(last, Backward(core), *first)

    def _rotate(self, name: str) -> Kernels:
        """Rotate queries and keys: ten array passes in five launches each if eager, else one."""
        if not self.rotary:
            return ()
        turned = self.queries + self.pieces.tokens * self.key_heads * self.key_size
        if self.pieces.eager:
            return (self.pieces.move(name, 10 * turned, launches=10),)
        return (self.pieces.move(name, 2 * turned),)

    def _flash(self, name: str, products: int, passes: int) -> Kernels:
        """Return one kernel of ``products`` products a score that moves the four arrays ``passes`` times."""
        seen = (self.sequence + 1) // 2 if self.causal else self.sequence
        size = passes * (self.queries + self.keys + self.output) * self.pieces.element
        width = (self.key_size + self.value_size) // 2
        shape = (self.sequence, width, products * seen, self.batch * self.heads)
        return (Kernel(name, shape, size, self.pieces.element, self.pieces.precision),)

    def _scored(self, name: str, n: int, k: int) -> Kernel:
        return self.pieces.product(name, self.sequence, n, k, self.batch * self.heads)

    def _standard(self) -> Kernels:
        move, scores = self.pieces.move, self.scores
        products = (
            self._scored("scores", self.sequence, self.key_size),
            self._scored("weighted values", self.value_size, self.sequence),
        )
        mask = scores if self.pieces.dropout else 0
        if not self.pieces.eager:
            return (products[0], move("scale, mask, softmax and dropout", 2 * scores, raw=mask), products[1])
        # queries copied, keys and values copied and repeated for each group of queries
        copies = 2 * self.queries + self.keys + self.queries + self.output
        dropout = (move("scores dropout", 2 * scores, raw=mask),) if self.pieces.dropout else ()
        return (
            move("split heads", copies, launches=3),
            products[0],
            move("scale", 2 * scores),
            move("mask", 2 * scores),
            move("softmax", 2 * scores),
            *dropout,
            products[1],
            move("merge heads", 2 * self.output),
        )

    def _standard_backward(self) -> Kernels:
        move, scores = self.pieces.move, self.scores
        products = (
            self._scored("values gradient", self.value_size, self.sequence),
            self._scored("weights gradient", self.sequence, self.value_size),
            self._scored("queries gradient", self.key_size, self.sequence),
            self._scored("keys gradient", self.key_size, self.sequence),
        )
        mask = scores if self.pieces.dropout else 0
        if not self.pieces.eager:
            fused = move("scale, softmax and dropout backward", 3 * scores, raw=mask)
            return (*products[:2], fused, *products[2:])
        copies = 2 * self.queries + self.keys + self.queries + self.output
        dropout = (move("scores dropout backward", 2 * scores, raw=mask),) if self.pieces.dropout else ()
        return (
            move("merge heads backward", 2 * self.output),
            *products[:2],
            *dropout,
            move("softmax backward", 3 * scores),
            move("scale backward", 2 * scores),
            *products[2:],
            move("split heads backward", copies, launches=3),
        )


def _projections(model: ModelSpec) -> tuple[tuple[str, int, int], ...]:
    """List the linear layers before the scores: (name, n, k)."""
    hidden, heads, size, latent = model.hidden, model.heads, model.head_size, model.latent
    if latent is None:
        return (("qkv", (heads + 2 * model.key_heads) * size, hidden),)
    return (
        ("query down", latent.query_rank, hidden),
        ("query up", heads * (size + latent.rotary_dim), latent.query_rank),
        ("key-value down", latent.kv_rank + latent.rotary_dim, hidden),
        ("key-value up", heads * 2 * size, latent.kv_rank),
    )
