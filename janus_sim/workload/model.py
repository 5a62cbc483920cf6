"""Every kernel of a training step on one rank, layer by layer, forward and backward."""

from __future__ import annotations

from functools import cache

from janus_sim.workload.attention import Attention
from janus_sim.workload.ends import Ends, optimizer_step
from janus_sim.workload.ffn import Ffn
from janus_sim.workload.gate import Gate
from janus_sim.workload.kernel import Kernel
from janus_sim.workload.pieces import Backward, Kernels, Pieces, in_order
from janus_sim.workload.spec import WorkloadSpec

_CACHED = (
    "before", "after", "before_backward", "after_backward", "expert", "expert_input_gradient",
    "expert_weight_gradient", "embedding", "embedding_backward", "head", "head_backward",
)  # fmt: skip


class ModelKernels:
    """The kernels of a model, as pure functions of a layer and of numbers of rows.

    A layer is norm, attention, dropout and residual, norm, feed-forward network (or gate and experts),
    dropout and residual. Results are cached: the same question gives the same tuple.

    Parameters
    ----------
    spec : WorkloadSpec
    world : int
        Ranks; says how many experts a layer has where the file states experts a rank.

    Examples
    --------
    >>> spec = WorkloadSpec.load("moe_gpt")
    >>> model = ModelKernels(spec, world=32)
    >>> model.expert_parameters(1) == 8 * spec.model.hidden**2
    True
    >>> [kernel.name for kernel in model.expert(1, rows=2048)]
    ['expert fc1', 'expert activation', 'expert fc2']
    """

    def __init__(self, spec: WorkloadSpec, world: int) -> None:
        self.spec = spec
        self.pieces = Pieces.of(spec)
        self.attention = Attention.of(spec)
        self.ends = Ends.of(spec)
        self.experts = dict(zip(spec.model.moe, spec.experts(world), strict=True))
        model, gated = spec.model, spec.model.ffn.kind == "swiglu"
        self._dense = Ffn(self.pieces, model.ffn.width, gated, model.bias)
        self._expert = Ffn(self.pieces, model.width_of_expert, gated, bias=False, name="expert")
        self._beside = tuple(_beside(spec, self.pieces))
        for name in _CACHED:
            setattr(self, name, cache(getattr(self, name)))

    def is_moe(self, layer: int) -> bool:
        """Whether a layer has experts."""
        return layer in self.experts

    def before(self, layer: int) -> Kernels:
        """Return what runs forward before the experts' rows can leave; all of a dense layer."""
        pieces, tokens = self.pieces, self.spec.tokens
        start = (*pieces.norm("attention norm"), *self.attention.forward(), *pieces.join_norm("ffn norm"))
        if not self.is_moe(layer):
            return (*start, *self._dense.forward(tokens), *pieces.join())
        gate = self._gate(layer)
        beside = sum((ffn.forward(tokens) for ffn in self._beside), ())
        return (*start, *gate.choose(), *gate.encode(), *beside)

    def after(self, layer: int) -> Kernels:
        """Return what runs forward after the experts' rows have come back; nothing in a dense layer."""
        if not self.is_moe(layer):
            return ()
        pieces = self.pieces
        shared = (
            (pieces.add("shared experts sum", pieces.activation),) if self.spec.model.shared_experts else ()
        )
        mixed = self._mix() if self.spec.model.residual_expert else ()
        return (*self._gate(layer).decode(), *shared, *mixed, *pieces.join())

    def after_backward(self, layer: int) -> Backward:
        """Return the gradients down to the rows that travel to the experts; nothing in a dense layer."""
        if not self.is_moe(layer):
            return Backward()
        mixed = self._mix_backward() if self.spec.model.residual_expert else Backward()
        return in_order(self.pieces.join_backward(), mixed, self._gate(layer).decode_backward())

    def before_backward(self, layer: int) -> Backward:
        """Return the gradients from the rows that came back from the experts; all of a dense layer."""
        pieces, tokens = self.pieces, self.spec.tokens
        if self.is_moe(layer):
            gate = self._gate(layer)
            beside = [ffn.backward(tokens) for ffn in self._beside]
            ways = 1 + len(beside)
            sums = Backward(
                tuple(pieces.add("gradients of the ffn's input", pieces.activation) for _ in range(ways))
            )
            first = in_order(gate.encode_backward(), gate.choose_backward(), *beside, sums)
        else:
            first = in_order(pieces.join_backward(), self._dense.backward(tokens))
        return in_order(
            first,
            pieces.norm_backward("ffn norm"),
            pieces.join_backward(),
            self.attention.backward(),
            pieces.norm_backward("attention norm"),
        )

    def expert(self, layer: int, rows: int) -> Kernels:
        """Return an expert on ``rows`` rows, forward; nothing for no rows."""
        return self._expert.forward(rows)

    def expert_input_gradient(self, layer: int, rows: int) -> Kernels:
        """Return the gradient of an expert's input."""
        return self._expert.input_gradient(rows)

    def expert_weight_gradient(self, layer: int, rows: int) -> Kernels:
        """Return the gradients of an expert's matrices."""
        return self._expert.weight_gradient(rows)

    def embedding(self) -> Kernels:
        """Return the embedding, forward."""
        return self.ends.embedding()

    def embedding_backward(self) -> Kernels:
        """Return the embedding's gradients."""
        return self.ends.embedding_backward()

    def head(self) -> Kernels:
        """Return the last norm, the logits and the loss."""
        return self.ends.head()

    def head_backward(self) -> Backward:
        """Return the gradients of the loss head."""
        return self.ends.head_backward()

    def optimizer(self, dense_parameters: int, expert_parameters: int) -> Kernels:
        """Return the optimizer's step on so many parameters of a rank."""
        return optimizer_step(self.spec, dense_parameters) + optimizer_step(self.spec, expert_parameters)

    def add(self, size: int) -> Kernels:
        """Return the sum of two buffers of ``size`` bytes into one of them."""
        return (Kernel.passes("add gradients", 3 * size, precision=self.spec.precision),)

    def copy(self, size: int) -> Kernels:
        """Return a copy of ``size`` bytes."""
        return (Kernel.passes("copy", 2 * size, precision=self.spec.precision),)

    def expert_parameters(self, layer: int) -> int:
        """Parameters of one expert of a layer: its matrices, without biases; 0 in a dense layer."""
        return self._expert.matrix_parameters if self.is_moe(layer) else 0

    def dense_parameters(self, layer: int) -> int:
        """Parameters of a layer that every rank holds."""
        norms = 2 * self.pieces.hidden * (2 if self.pieces.bias else 1)
        if not self.is_moe(layer):
            return norms + self.attention.parameters + self._dense.parameters
        beside = sum(ffn.parameters for ffn in self._beside)
        mixing = 2 * self.pieces.hidden if self.spec.model.residual_expert else 0
        return norms + self.attention.parameters + self._gate(layer).parameters + beside + mixing

    @property
    def embedding_parameters(self) -> int:
        """Parameters of the embedding; a tied head has no others but its norm."""
        return self.ends.embedding_parameters

    @property
    def head_parameters(self) -> int:
        """Parameters of the loss head that the embedding does not have."""
        return self.ends.head_parameters

    def model_flops_per_token(self) -> float:
        """Floating-point operations of a token in a step, for MFU.

        Matrix products alone, forward and twice that backward; half of the scores under a causal mask; top-k
        experts a token; the loss head on the tokens that have a loss; nothing recomputed.
        """
        hidden = self.pieces.hidden
        flops = self.spec.model.layers * self.attention.flops_per_token + self.ends.flops_per_token
        for layer in range(self.spec.model.layers):
            if self.is_moe(layer):
                active = self.spec.model.top_k * self._expert.matrix_parameters
                active += sum(ffn.matrix_parameters for ffn in self._beside) + hidden * self.experts[layer]
                active += 2 * hidden if self.spec.model.residual_expert else 0
            else:
                active = self._dense.matrix_parameters
            flops += 2 * active
        return 3 * flops

    def _gate(self, layer: int) -> Gate:
        return Gate.of(self.spec, self.experts[layer])

    def _mix(self) -> Kernels:
        """Weigh the residual expert against the others, by a linear layer to two and its softmax."""
        pieces = self.pieces
        weights = (
            pieces.linear("mixing weights", 2, pieces.hidden),
            pieces.move("mixing softmax", 4 * pieces.tokens),
        )
        if pieces.eager:
            return (*weights, pieces.move("mixing", 7 * pieces.activation, launches=3))
        return (*weights, pieces.move("mixing", 3 * pieces.activation))

    def _mix_backward(self) -> Backward:
        pieces = self.pieces
        linear = pieces.linear_backward("mixing weights", 2, pieces.hidden)
        softmax = pieces.move("mixing softmax backward", 6 * pieces.tokens)
        if not pieces.eager:
            return Backward(
                (pieces.move("mixing backward", 5 * pieces.activation), softmax, *linear.input), linear.weight
            )
        mixing = pieces.move("mixing backward", 12 * pieces.activation, launches=6)
        total = pieces.add("mixing gradient", pieces.activation)
        return Backward((mixing, softmax, *linear.input, total), linear.weight)


def _beside(spec: WorkloadSpec, pieces: Pieces) -> list[Ffn]:
    """List the networks that every token passes beside its experts."""
    model, gated, found = spec.model, spec.model.ffn.kind == "swiglu", []
    if model.shared_experts:
        found.append(
            Ffn(
                pieces, model.shared_experts * model.width_of_expert, gated, bias=False, name="shared experts"
            )
        )
    if model.residual_expert:
        found.append(Ffn(pieces, model.width_of_expert, gated, model.bias, name="residual expert"))
    return found
