"""What stands around the layers of a model, as kernels: embedding, loss head and optimizer."""

from __future__ import annotations

import math
from dataclasses import dataclass

from janus_sim.workload.kernel import Kernel
from janus_sim.workload.pieces import Backward, Kernels, Pieces, in_order
from janus_sim.workload.spec import WorkloadSpec

CHUNK = (
    320 * 65536
)  #: parameters that one launch of an optimizer's pass covers (PyTorch's multi-tensor apply)
SINGLE = 4  #: bytes of a number in single precision


@dataclass(frozen=True)
class Ends:
    """Embedding and loss head.

    Attributes
    ----------
    loss_tokens : int
        Tokens that reach the loss head.
    """

    pieces: Pieces
    vocabulary: int
    sequence: int
    loss_tokens: int
    tied: bool
    positions: bool

    @classmethod
    def of(cls, spec: WorkloadSpec) -> Ends:
        """Take what matters from a workload."""
        model = spec.model
        loss_tokens = math.ceil(model.loss_fraction * spec.tokens)
        learned = model.positions == "learned"
        return cls(
            Pieces.of(spec), model.vocabulary, spec.seq_length, loss_tokens, model.tied_embedding, learned
        )

    @property
    def table(self) -> int:
        """Elements of the embedding's table, and of the head's matrix."""
        return self.vocabulary * self.pieces.hidden

    @property
    def embedding_parameters(self) -> int:
        """Parameters of the embedding, positions included."""
        return self.table + (self.sequence * self.pieces.hidden if self.positions else 0)

    @property
    def head_parameters(self) -> int:
        """Parameters of the last norm, and of the head's matrix unless it is the embedding's."""
        return self.pieces.hidden * (2 if self.pieces.bias else 1) + (0 if self.tied else self.table)

    @property
    def flops_per_token(self) -> float:
        """Floating-point operations of a token forward, averaged over the tokens without a loss."""
        return 2 * self.table * self.loss_tokens / self.pieces.tokens

    def embedding(self) -> Kernels:
        """Return the look-up, the positions and the dropout."""
        pieces, mask = self.pieces, self.pieces.activation if self.pieces.dropout else 0
        if not pieces.eager:
            return (pieces.move("embedding", 2 * pieces.activation, raw=mask),)
        positions = (pieces.add("positions", pieces.activation),) if self.positions else ()
        dropout = (pieces.move("dropout", 2 * pieces.activation, raw=mask),) if pieces.dropout else ()
        return (pieces.move("embedding", 2 * pieces.activation), *positions, *dropout)

    def embedding_backward(self) -> Kernels:
        """Return the gradients of the table and the positions; a tied table's is added to the head's."""
        pieces = self.pieces
        positions = (pieces.move("positions gradient", pieces.activation),) if self.positions else ()
        tied = (pieces.add("tied embedding gradient", self.table),) if self.tied else ()
        zeros = pieces.move("embedding gradient zeros", self.table)
        rows = pieces.move("embedding gradient", 2 * pieces.activation)
        return (*pieces.join_backward().input, *positions, zeros, rows, *tied)

    def head(self) -> Kernels:
        """Return the last norm, the logits and the loss of the tokens that have one."""
        pieces, logits = self.pieces, self.loss_tokens * self.vocabulary
        product = pieces.linear("logits", self.vocabulary, pieces.hidden, self.loss_tokens)
        if not pieces.eager:
            return (
                *pieces.norm("last norm"),
                *self._taken("loss rows"),
                product,
                pieces.move("loss", logits),
            )
        loss = pieces.move("log-softmax", 0, raw=2 * SINGLE * logits)
        picked = pieces.move("loss", 0, raw=2 * SINGLE * self.loss_tokens)
        cast = self._cast("logits to single", logits)
        return (*pieces.norm("last norm"), *self._taken("loss rows"), product, *cast, loss, picked)

    def head_backward(self) -> Backward:
        """Return the gradients of loss, logits and last norm."""
        pieces, logits = self.pieces, self.loss_tokens * self.vocabulary
        if pieces.eager:
            loss: Kernels = (
                pieces.move("loss backward", 0, raw=SINGLE * logits, launches=2),
                pieces.move("log-softmax backward", 0, raw=3 * SINGLE * logits),
                *self._cast("logits from single", logits),
            )
        else:
            loss = (pieces.move("loss backward", 2 * logits),)
        product = pieces.linear_backward("logits", self.vocabulary, pieces.hidden, self.loss_tokens)
        taken = self._taken("loss rows backward")
        zeros = (pieces.move("loss rows backward zeros", pieces.activation),) if taken else ()
        norm = (pieces.move("last norm backward", 3 * pieces.activation),)
        weight = (pieces.move("last norm weight gradient", 2 * pieces.activation),) if pieces.eager else ()
        return in_order(Backward(loss), product, Backward((*zeros, *taken, *norm), weight))

    def _taken(self, name: str) -> Kernels:
        """Copy the rows of the tokens with a loss, if not all have one."""
        if self.loss_tokens == self.pieces.tokens:
            return ()
        return (self.pieces.move(name, 2 * self.loss_tokens * self.pieces.hidden),)

    def _cast(self, name: str, elements: int) -> Kernels:
        """Change between single precision and shorter elements."""
        if self.pieces.element == SINGLE:
            return ()
        return (self.pieces.move(name, elements, raw=SINGLE * elements),)


def optimizer_step(spec: WorkloadSpec, parameters: int) -> Kernels:
    """Return the optimizer's kernels on so many parameters.

    Fused, each array is read and written once. Eager, Adam makes seven passes, of 72 bytes a parameter in
    all: first moment, second moment (scale, add), root, correction, epsilon, update; elements of two bytes
    add a cast of the gradient and one of the weight. SGD has no momentum.
    """
    if not parameters:
        return ()
    short = spec.element < SINGLE
    launches = -(-parameters // CHUNK)
    if spec.kernels == "fused":
        arrays = 7 if spec.optimizer == "adam" else 3
        # short: gradient read short, weight written twice
        size = arrays * SINGLE + ((2 * spec.element - SINGLE) if short else 0)
        return (_over(spec, f"fused {spec.optimizer}", size * parameters, launches),)
    adam = (
        ("first moment", 3), ("second moment scale", 2), ("second moment", 3), ("root", 2), ("correction", 2),
        ("epsilon", 2), ("update", 4),
    )  # fmt: skip
    passes = [
        (name, SINGLE * arrays) for name, arrays in (adam if spec.optimizer == "adam" else (("update", 3),))
    ]
    if short:
        cast = spec.element + SINGLE
        passes = [("gradient to single", cast), *passes, ("weight from single", cast)]
    return tuple(
        _over(spec, f"{spec.optimizer} {name}", size * parameters, launches) for name, size in passes
    )


def _over(spec: WorkloadSpec, name: str, size: int, launches: int) -> Kernel:
    return Kernel.passes(name, size, precision=spec.precision, launches=launches)
