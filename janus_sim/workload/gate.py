"""The gate of an MoE layer, and the ordering of rows by expert before and after the experts, as kernels."""

from __future__ import annotations

import math
from dataclasses import dataclass

from janus_sim.workload.pieces import Backward, Kernels, Pieces
from janus_sim.workload.spec import WorkloadSpec

INDEX = 8  #: bytes of an index or a count, as frameworks keep them
SCORE = 4  #: bytes of a gate's score, kept in single precision


@dataclass(frozen=True)
class Gate:
    """The gate of one MoE layer: which experts, at which place in their buffers, with which weight.

    Attributes
    ----------
    experts, top_k : int
    rows : int
        Rows of the dispatch buffer of a rank: experts x capacity, or top_k x tokens where there is no
        capacity.
    capacity : bool
        Whether the buffer has room for a capacity, and so is filled with zeros first.
    """

    pieces: Pieces
    experts: int
    top_k: int
    rows: int
    capacity: bool

    @classmethod
    def of(cls, spec: WorkloadSpec, experts: int) -> Gate:
        """Take what matters from a workload, for a layer of so many experts."""
        top_k, rows = spec.model.top_k, spec.model.top_k * spec.tokens
        capacity = spec.capacity_factor is not None
        if spec.capacity_factor is not None:
            rows = experts * math.ceil(spec.capacity_factor * rows / experts)
        return cls(Pieces.of(spec), experts, top_k, rows, capacity)

    @property
    def parameters(self) -> int:
        """Parameters of the gate."""
        return self.pieces.hidden * self.experts

    @property
    def scores(self) -> int:
        """Scores of all tokens for all experts."""
        return self.pieces.tokens * self.experts

    @property
    def chosen(self) -> int:
        """Elements of the rows of all choices."""
        return self.top_k * self.pieces.activation

    def choose(self) -> Kernels:
        """Return the gate's product, softmax, top-k, places in the buffers and load-balancing loss."""
        move, choices = self.pieces.move, self.top_k * self.pieces.tokens
        product = self.pieces.linear("gate", self.experts, self.pieces.hidden)
        if not self.pieces.eager:
            top = move("gate softmax and top-k", 0, raw=SCORE * self.scores + 2 * INDEX * choices)
            return (product, top, move("gate places", 0, raw=2 * INDEX * choices))
        marks = INDEX * self.top_k * self.scores
        return (
            product,
            move("gate softmax", 0, raw=2 * SCORE * self.scores),
            move("gate top-k", 0, raw=SCORE * self.scores + (SCORE + INDEX) * choices),
            move("gate one-hot", 0, raw=marks),
            move("gate running count", 0, raw=2 * marks),
            move("gate places", 0, raw=4 * marks, launches=2),
            move("gate balance loss", 0, raw=SCORE * self.scores + marks, launches=2),
        )

    def choose_backward(self) -> Backward:
        """Return the gradients of the gate."""
        move, pieces = self.pieces.move, self.pieces
        product = pieces.linear_backward("gate", self.experts, pieces.hidden)
        if not pieces.eager:
            softmax: Kernels = (move("gate backward", 0, raw=2 * SCORE * self.scores),)
        else:
            softmax = (
                move("gate top-k backward", 0, raw=SCORE * self.scores, launches=2),
                move("gate balance loss backward", 0, raw=3 * SCORE * self.scores),
                move("gate softmax backward", 0, raw=3 * SCORE * self.scores),
            )
        return Backward(softmax + product.input, product.weight)

    def encode(self) -> Kernels:
        """Return the kernels that lay token rows into the dispatch buffer, expert by expert."""
        move = self.pieces.move
        blank = (
            (move("dispatch buffer", self.rows * self.pieces.hidden),)
            if self.capacity and self.pieces.eager
            else ()
        )
        order = (
            ()
            if self.capacity
            else (move("dispatch order", 0, raw=4 * INDEX * self.top_k * self.pieces.tokens),)
        )
        return (*blank, *order, move("encode", 2 * self.chosen))

    def encode_backward(self) -> Backward:
        """Return the kernels that sum the gradients of a token's rows."""
        move, token = self.pieces.move, self.pieces.activation
        if self.pieces.eager:
            return Backward((move("encode backward zeros", token), move("encode backward", 3 * self.chosen)))
        return Backward((move("encode backward", self.chosen + token),))

    def decode(self) -> Kernels:
        """Return the kernels that take the rows back and add them up with the gate's weights."""
        move, token = self.pieces.move, self.pieces.activation
        if self.pieces.eager:
            gather, weigh = move("decode", 2 * self.chosen), move("decode weights", 2 * self.chosen)
            return (gather, weigh, move("decode sum", self.chosen + token))
        return (move("decode", self.chosen + token),)

    def decode_backward(self) -> Backward:
        """Return the gradients of the rows and of the gate's weights."""
        move, token = self.pieces.move, self.pieces.activation
        if not self.pieces.eager:
            return Backward((move("decode backward", 2 * self.chosen + token),))
        kernels = (
            move("decode weights backward", self.chosen + token),
            move("gate weight products", 2 * self.chosen + token),
            move("gate weight sums", self.chosen),
            move("decode backward zeros", self.rows * self.pieces.hidden),
            move("decode backward", 2 * self.chosen),
        )
        return Backward(kernels)
