"""The ledger: bytes that training keeps on a GPU, component by component."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from janus_sim.workload.copies import Plan
from janus_sim.workload.layer import RoutedLayer
from janus_sim.workload.spec import WorkloadSpec
from janus_sim.workload.workload import Workload

SINGLE = 4  #: bytes of a number in single precision: master weights, moments, log-softmax, gate scores
CHOICE = 20  #: bytes kept of one choice of the gate: its weight, its expert and its place in the buffer


def optimizer_bytes(spec: WorkloadSpec) -> int:
    """Return the bytes of optimizer state a parameter.

    Adam has two moments in single precision, SGD none; elements of two bytes add a master weight of four.

    Examples
    --------
    >>> [optimizer_bytes(WorkloadSpec.load({"base": "moe_gpt", "precision": p})) for p in ("fp16", "tf32")]
    [12, 8]
    """
    return (2 * SINGLE if spec.optimizer == "adam" else 0) + (SINGLE if spec.element < SINGLE else 0)


def parameters(workload: Workload, rank: int, plan: Plan | None = None) -> tuple[int, int]:
    """Return the parameters on a rank: dense ones, which all ranks hold, and those of its experts."""
    kernels, position = workload.kernels, workload.layout.position_of(rank)
    layers = range(workload.spec.model.layers)
    dense = (
        kernels.embedding_parameters + kernels.head_parameters + sum(map(kernels.dense_parameters, layers))
    )
    homes = (plan or workload.plan).homes
    experts = sum(
        int((home == position).sum()) * kernels.expert_parameters(layer)
        for layer, home in zip(workload.moe_layers, homes, strict=True)
    )
    return dense, experts


def attention_bytes(workload: Workload) -> int:
    """Return what the attention of one layer keeps for its backward, without the norm before it [bytes].

    Projections of queries, keys and values (latents too); the output; the scores after softmax and, with
    dropout, after it and a mask of a byte an element, or, for flash attention, a number in single precision a
    row and head.
    """
    attention, element, tokens = workload.kernels.attention, workload.spec.element, workload.tokens
    repeated = workload.spec.kernels == "eager" and not attention.flash
    kept = attention.output + attention.queries
    kept += attention.queries + attention.output if repeated else attention.keys
    if workload.spec.model.latent is not None:
        kept += sum(tokens * n for name, n, _ in attention.projections if name.endswith("down"))
    if attention.flash:
        return element * kept + SINGLE * tokens * attention.heads
    dropout = workload.spec.model.dropout
    return element * (kept + (2 if dropout else 1) * attention.scores) + (attention.scores if dropout else 0)


def inner_elements(spec: WorkloadSpec, width: int, rows: int) -> int:
    """Return the elements that a feed-forward network keeps between its matrices for its backward.

    Two matrices: before and after the activation. SwiGLU: both products and the gated one; eager, SiLU's too.

    Examples
    --------
    >>> inner_elements(WorkloadSpec.load("moe_gpt"), width=3, rows=2)
    12
    """
    kinds = {"two_matrix": 2, "swiglu": 4 if spec.kernels == "eager" else 3}
    return kinds[spec.model.ffn.kind] * width * rows


def layer_bytes(workload: Workload, layer: int) -> int:
    """Return what one layer keeps for its backward on every rank, the rows at its experts apart [bytes].

    Input and output of two norms (the stream of residuals is one of them), attention, two masks of dropout,
    and the dense network, or gate, shared and residual experts. Eager, in half precision, a dense layer keeps
    s b h (34 + 5 a s / h) bytes, as Korthikanti et al. count (Reducing Activation Recomputation, 2022, 4.1).
    """
    spec, model, tokens = workload.spec, workload.spec.model, workload.tokens
    activation = tokens * model.hidden
    elements, raw = 4 * activation, 2 * activation if model.dropout else 0
    if layer not in workload.moe_layers:
        elements += inner_elements(spec, model.ffn.width, tokens)
    else:
        width = model.width_of_expert
        elements += inner_elements(spec, width * model.shared_experts, tokens)
        if model.residual_expert:
            elements += inner_elements(spec, width, tokens) + 2 * activation
        raw += tokens * (SINGLE * workload.experts[workload.moe_index(layer)] + CHOICE * model.top_k)
    return attention_bytes(workload) + spec.element * elements + raw


def expert_bytes(layer: RoutedLayer, rank: int, spec: WorkloadSpec, stays: bool) -> int:
    """Return what the experts that run on `rank` keep for their backward [bytes].

    Where tokens stay, of its own kept rows: input, inside and output. Where they travel, of the rows that
    arrive: the inside alone, for what arrived and what came back is in the dispatch buffers of the policy.
    """
    rows = _rows(layer, rank, stays)
    ends = 2 * rows * layer.hidden if stays else 0
    return spec.element * (inner_elements(spec, spec.model.width_of_expert, rows) + ends)


def _rows(layer: RoutedLayer, rank: int, stays: bool) -> int:
    return layer.own_rows(rank) if stays else sum(rows for _, rows in layer.mine(rank))


def logits_bytes(workload: Workload) -> int:
    """Return the peak of the loss head: fused, gradients overwrite the logits [bytes].

    Eager, the logits, and in single precision their log-softmax, its gradient and the loss's live at once.
    """
    spec, ends = workload.spec, workload.kernels.ends
    width = spec.element + (3 * SINGLE if spec.kernels == "eager" else 0)
    return ends.loss_tokens * ends.vocabulary * width


def transient_bytes(workload: Workload, rows: int) -> int:
    """Return the widest pair of gradients in a layer's backward, at most `rows` rows at its experts [bytes].

    Into and out of the activation of a feed-forward network, or, unless attention is flash, of the scores.
    """
    spec, attention = workload.spec, workload.kernels.attention
    pairs = [workload.tokens * spec.model.ffn.width, rows * spec.model.width_of_expert]
    pairs += [] if attention.flash else [attention.scores]
    return 2 * spec.element * max(pairs)


def ends_bytes(workload: Workload) -> int:
    """Return what the ends keep beside the logits: mask of dropout, last norm, rows with a loss [bytes]."""
    spec, ends = workload.spec, workload.kernels.ends
    activation = workload.tokens * spec.model.hidden
    taken = ends.loss_tokens * spec.model.hidden if ends.loss_tokens != workload.tokens else 0
    return spec.element * (2 * activation + taken) + (activation if spec.model.dropout else 0)


def ledger(
    workload: Workload,
    rank: int,
    layers: Sequence[RoutedLayer] = (),
    stays: Callable[[RoutedLayer], bool] = lambda _: False,
    *,
    in_flight: int = 1,
    plan: Plan | None = None,
) -> Mapping[str, int]:
    """Return the peak bytes on the GPU of a rank by component; what a policy needs beside is `Policy.memory`.

    Gradients of activations use the room of the logits, and count as far as they need more. Not in it:
    workspaces and fragments of the allocator.

    Parameters
    ----------
    layers : sequence of RoutedLayer
        The MoE layers of this rank's group, forward; of several micro-batches or steps the worst counts.
    stays : function of a layer
        Whether the tokens of a layer stay and its experts travel; by default they never do.
    in_flight : int
        Micro-batches whose activations are alive at once.
    plan : Plan, optional
        Where experts live; the workload's by default.

    Examples
    --------
    >>> workload = Workload.load("moe_gpt", world=32)
    >>> [name for name, size in ledger(workload, rank=0).items() if size]
    ['weights', 'gradients', 'optimizer', 'activations', 'logits']
    """
    spec = workload.spec
    dense, experts = parameters(workload, rank, plan)
    shards, expert_shards = (
        (workload.layout.world, len(workload.layout.replicas_of(rank)))
        if spec.distributed_optimizer
        else (1, 1)
    )
    state = optimizer_bytes(spec)
    every = [layer_bytes(workload, layer) for layer in range(spec.model.layers)]
    visits: dict[tuple[int, int], list[int]] = {}
    for layer in layers:
        size = expert_bytes(layer, rank, spec, stays(layer))
        visits.setdefault((layer.step, layer.micro_batch), []).append(size)
    most = max((_rows(layer, rank, stays(layer)) for layer in layers), default=0)
    logits = logits_bytes(workload)
    again = spec.recompute == "full"
    stream = len(every) * workload.tokens * spec.model.hidden * spec.element
    kept = stream * in_flight + max(every) if again else sum(every) * in_flight
    rows = max((max(sizes) if again else sum(sizes) for sizes in visits.values()), default=0)
    return {
        "weights": spec.element * (dense + experts),
        "gradients": spec.element * (dense + experts),
        "optimizer": state * -(-dense // shards) + state * -(-experts // expert_shards),
        "activations": kept + ends_bytes(workload) * in_flight,
        "expert activations": rows * (1 if again else in_flight),
        "logits": logits,
        "activation gradients": max(0, transient_bytes(workload, most) - logits),
    }
