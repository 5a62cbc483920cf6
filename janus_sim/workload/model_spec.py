"""The model part of a workload file: layers, experts, attention and vocabulary, as frozen values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from janus_sim.errors import Mistake
from janus_sim.files import Fraction, NonNegative, Positive, Spec

_EVERY = re.compile(r"every ([1-9]\d{0,5})|all after ([1-9]\d{0,5})|all|none")


class FfnSpec(Spec):
    """A feed-forward network: its inner width, and two matrices (GELU between) or three (SwiGLU)."""

    width: Positive
    kind: Literal["two_matrix", "swiglu"] = "two_matrix"

    @property
    def matrices(self) -> int:
        """Matrices of hidden x width elements."""
        return 2 if self.kind == "two_matrix" else 3


class LatentSpec(Spec):
    """Multi-head latent attention: queries, keys and values are projected through narrow latents."""

    query_rank: Positive
    kv_rank: Positive
    rotary_dim: Positive  #: of a head, beside ``head_dim``


class ModelSpec(Spec):
    """The shape of a transformer with experts.

    Attributes
    ----------
    moe_layers : str or tuple of int
        ``all``, ``none``, ``every 2`` (layers 1, 3, 5, ...), ``all after 3`` (all but the first three), a
        list.
    experts, experts_per_rank : int or tuple of int
        Of each MoE layer, or one number for all of them; one of the two is given.
    loss_fraction : float
        Share of the tokens that reach the loss head (masked language models: 0.15).
    attention : str, optional
        ``standard`` keeps the scores in memory, ``flash`` does not; default by ``kernels`` (eager: standard).
    bias : bool
        Of the dense projections; experts have none, so that an expert is exactly its matrices.

    Examples
    --------
    >>> model = ModelSpec(
    ...     layers=12,
    ...     moe_layers="every 2",
    ...     experts=32,
    ...     top_k=2,
    ...     hidden=768,
    ...     ffn=FfnSpec(width=3072),
    ...     heads=12,
    ...     vocabulary=30522,
    ... )
    >>> model.moe
    (1, 3, 5, 7, 9, 11)
    >>> model.experts_by_layer(ep=32)
    (32, 32, 32, 32, 32, 32)
    """

    layers: Positive
    moe_layers: str | tuple[NonNegative, ...] = "all"
    experts: Positive | tuple[Positive, ...] | None = None
    experts_per_rank: Positive | tuple[Positive, ...] | None = None
    top_k: Positive = 1
    hidden: Positive
    ffn: FfnSpec
    expert_width: Positive | None = None
    shared_experts: NonNegative = 0
    residual_expert: bool = False
    heads: Positive
    kv_heads: Positive | None = None
    head_dim: Positive | None = None
    latent: LatentSpec | None = None
    causal: bool = True
    attention: Literal["standard", "flash"] | None = None
    positions: Literal["learned", "rotary", "none"] = "learned"
    vocabulary: Positive
    tied_embedding: bool = True
    loss_fraction: Fraction = 1.0
    dropout: bool = True
    bias: bool = True

    @property
    def moe(self) -> tuple[int, ...]:
        """Indices of the layers with experts, ascending."""
        if not isinstance(self.moe_layers, str):
            return self.moe_layers
        match = _EVERY.fullmatch(self.moe_layers)
        if match is None or self.moe_layers == "none":
            return ()
        step, first = int(match[1] or 1), int(match[2] or 0)
        return tuple(layer for layer in range(self.layers) if layer >= first and (layer + 1) % step == 0)

    @property
    def head_size(self) -> int:
        """Elements of a head."""
        return self.head_dim or self.hidden // self.heads

    @property
    def key_heads(self) -> int:
        """Heads of keys and values."""
        return self.kv_heads or self.heads

    @property
    def width_of_expert(self) -> int:
        """Inner width of an expert."""
        return self.expert_width or self.ffn.width

    @property
    def expert_parameters(self) -> int:
        """Parameters of one expert: its matrices, without biases."""
        return self.ffn.matrices * self.hidden * self.width_of_expert

    def experts_by_layer(self, ep: int) -> tuple[int, ...]:
        """Experts of each MoE layer when ``ep`` ranks share them, shape (MoE layers,)."""
        given, factor = (self.experts, 1) if self.experts is not None else (self.experts_per_rank, ep)
        numbers = given if isinstance(given, tuple) else (given or 0,) * len(self.moe)
        return tuple(number * factor for number in numbers)

    def mistakes(self, where: str) -> Iterator[Mistake]:
        """Tell what contradicts itself in the model alone."""
        if isinstance(self.moe_layers, str) and not _EVERY.fullmatch(self.moe_layers):
            known = '"all", "none", "every 2", "all after 3" or a list of layers'
            yield Mistake(f"{where}.moe_layers", f'"{self.moe_layers}" is not known; write {known}')
        elif list(self.moe) != sorted({layer for layer in self.moe if layer < self.layers}):
            known = f"different numbers from 0 to {self.layers - 1}, ascending"
            yield Mistake(f"{where}.moe_layers", f"{list(self.moe)} is wrong; write {known}")
        if self.moe and (self.experts is None) == (self.experts_per_rank is None):
            yield Mistake(f"{where}.experts", "give either experts or experts_per_rank")
        for name in ("experts", "experts_per_rank"):
            given = getattr(self, name)
            if isinstance(given, tuple) and len(given) != len(self.moe):
                message = f"{list(given)} has {len(given)} numbers, but there are {len(self.moe)} MoE layers"
                yield Mistake(f"{where}.{name}", message)
        if self.head_dim is None and self.hidden % self.heads:
            yield Mistake(
                f"{where}.heads", f"{self.heads} heads do not divide hidden {self.hidden}; give head_dim too"
            )
        if self.heads % self.key_heads:
            yield Mistake(f"{where}.kv_heads", f"{self.key_heads} does not divide {self.heads} heads")
