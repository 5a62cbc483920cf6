"""Every kernel of a step: counted by name, consistent in FLOPs, and never more when fused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from janus_sim.workload.kernel import Kernel, total_flops
from janus_sim.workload.model import ModelKernels
from janus_sim.workload.spec import WorkloadSpec

NAMES = (
    "moe_bert", "moe_gpt", "moe_transformer_xl", "pr_moe_transformer_xl", "mixtral_8x7b", "deepseek_v3_like",
    "smartmoe_gpt",
)  # fmt: skip


def build(name: str = "moe_gpt", world: int = 32, **changes: Any) -> ModelKernels:
    return ModelKernels(WorkloadSpec.load({"base": name, **changes}), world)


def names(kernels: tuple[Kernel, ...]) -> list[str]:
    return [kernel.name for kernel in kernels]


def forward(model: ModelKernels) -> tuple[Kernel, ...]:
    """All kernels forward on one rank, as if each of its experts' rows were run in one product."""
    kernels = model.embedding() + model.head()
    for layer in range(model.spec.model.layers):
        kernels += model.before(layer) + model.after(layer)
        if model.is_moe(layer):
            kernels += model.expert(layer, model.spec.tokens * model.spec.model.top_k)
    return kernels


def backward(model: ModelKernels) -> tuple[Kernel, ...]:
    kernels = sum(model.head_backward(), model.embedding_backward())
    for layer in range(model.spec.model.layers):
        kernels += sum(model.before_backward(layer), ()) + sum(model.after_backward(layer), ())
        if model.is_moe(layer):
            rows = model.spec.tokens * model.spec.model.top_k
            kernels += model.expert_input_gradient(layer, rows) + model.expert_weight_gradient(layer, rows)
    return kernels


def moved(kernels: tuple[Kernel, ...]) -> int:
    return sum(kernel.bytes for kernel in kernels)


def launches(kernels: tuple[Kernel, ...]) -> int:
    return sum(kernel.launches for kernel in kernels)


def test_an_eager_moe_layer_kernel_by_kernel() -> None:
    model = build()
    assert names(model.before(1)) == [
        "attention norm", "qkv", "split heads", "scores", "scale", "mask", "softmax", "scores dropout",
        "weighted values", "merge heads", "attention output", "dropout", "residual", "ffn norm",
        "gate", "gate softmax", "gate top-k", "gate one-hot", "gate running count", "gate places",
        "gate balance loss", "dispatch buffer", "encode",
    ]  # fmt: skip
    assert names(model.after(1)) == ["decode", "decode weights", "decode sum", "dropout", "residual"]
    assert names(model.expert(1, 5)) == ["expert fc1", "expert activation", "expert fc2"]


def test_a_fused_moe_layer_kernel_by_kernel() -> None:
    model = build(kernels="fused")
    assert names(model.before(1)) == [
        "attention norm", "qkv", "attention", "attention output", "dropout, residual and ffn norm",
        "gate", "gate softmax and top-k", "gate places", "encode",
    ]  # fmt: skip
    assert names(model.after(1)) == ["decode", "dropout and residual"]
    assert names(model.expert(1, 5)) == ["expert fc1", "expert fc2"]


def test_a_dense_layer_is_all_before() -> None:
    model = build()
    assert names(model.before(0))[-6:] == [
        "ffn norm",
        "ffn fc1",
        "ffn activation",
        "ffn fc2",
        "dropout",
        "residual",
    ]
    assert model.after(0) == ()
    assert model.after_backward(0) == ((), ())


def test_bytes_of_a_norm_and_of_the_scores_by_hand() -> None:
    kernels = {kernel.name: kernel for kernel in build().before(1)}
    tokens, hidden, heads, sequence = 256 * 64, 768, 12, 64
    assert kernels["attention norm"].bytes == 2 * 2 * tokens * hidden
    assert kernels["softmax"].bytes == 2 * 2 * 256 * heads * sequence**2
    assert kernels["scores dropout"].bytes == (2 * 2 + 1) * 256 * heads * sequence**2
    assert kernels["scores"].gemm == (64, 64, 64, 256 * 12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kernels", ["eager", "fused"])
def test_forward_flops_are_the_models(name: str, kernels: str) -> None:
    """Without a causal mask the kernels compute exactly what MFU counts."""
    model = build(name, kernels=kernels, model={"causal": False, "attention": "standard"})
    assert 3 * total_flops(forward(model)) == pytest.approx(model.model_flops_per_token() * model.spec.tokens)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kernels", ["eager", "fused"])
def test_backward_has_twice_the_flops(name: str, kernels: str) -> None:
    model = build(name, kernels=kernels, model={"attention": "standard"})
    assert total_flops(backward(model)) == 2 * total_flops(forward(model))


def test_flash_attention_computes_the_seen_half_and_again_in_backward() -> None:
    standard, flash = (build(model={"attention": kind}) for kind in ("standard", "flash"))
    both = sum(k.flops for k in standard.before(0) if k.name in ("scores", "weighted values"))
    (forwards,) = (k for k in flash.before(0) if k.name == "attention")
    (backwards,) = (k for k in flash.before_backward(0).input if k.name == "attention backward")
    assert forwards.flops == both // 2
    assert backwards.flops == 5 * forwards.flops // 2
    assert forwards.bytes < 0.3 * sum(k.bytes for k in standard.before(0) if k.name.startswith("s"))


@pytest.mark.parametrize("name", NAMES)
def test_fused_is_never_more(name: str) -> None:
    eager, fused = (build(name, kernels=kind) for kind in ("eager", "fused"))
    for part in (forward, backward):
        assert moved(part(fused)) < moved(part(eager))
        assert launches(part(fused)) < launches(part(eager))


@pytest.mark.parametrize("name", NAMES)
def test_the_same_question_gives_the_same_tuple(name: str) -> None:
    model = build(name)
    layer = model.spec.model.moe[0]
    assert model.expert(layer, 7) is model.expert(layer, 7)
    assert model.before(layer) is model.before(layer)


def test_an_expert_is_exactly_its_matrices() -> None:
    assert build().expert_parameters(1) == 8 * 768**2
    assert build().expert_parameters(0) == 0
    assert build("mixtral_8x7b").expert_parameters(0) == 3 * 4096 * 14336


@given(rows=st.integers(1, 5000), more=st.integers(1, 5000))
def test_an_expert_computes_its_rows(rows: int, more: int) -> None:
    model = build("mixtral_8x7b")
    for kernels in (model.expert, model.expert_input_gradient, model.expert_weight_gradient):
        assert total_flops(kernels(0, rows)) == 2 * rows * model.expert_parameters(0)
        assert total_flops(kernels(0, rows)) + total_flops(kernels(0, more)) == total_flops(
            kernels(0, rows + more)
        )


def test_no_rows_no_kernels() -> None:
    model = build()
    assert model.expert(1, 0) == model.expert_input_gradient(1, 0) == model.expert_weight_gradient(1, 0) == ()


def parameters(model: ModelKernels) -> int:
    layers = range(model.spec.model.layers)
    dense = sum(model.dense_parameters(layer) for layer in layers)
    experts = sum(number * model.expert_parameters(layer) for layer, number in model.experts.items())
    return dense + experts + model.embedding_parameters + model.head_parameters


def test_published_numbers_of_parameters() -> None:
    assert parameters(build("mixtral_8x7b")) == pytest.approx(46.7e9, rel=1e-3)  # arXiv 2401.04088: 47B
    whole = build("deepseek_v3_like", model={"layers": 61, "moe_layers": "all after 3"})
    assert parameters(whole) == pytest.approx(671e9, rel=2e-3)  # arXiv 2412.19437


def test_published_flops_of_a_token() -> None:
    """Mixtral activates 12.9B parameters a token, embedding included: 6 FLOP each, and attention on top."""
    model = build("mixtral_8x7b", seq_length=1)
    assert model.model_flops_per_token() / 6 == pytest.approx(12.9e9 - 32000 * 4096, rel=5e-3)


def test_the_loss_head_sees_its_share_of_tokens() -> None:
    kernels = {kernel.name: kernel for kernel in build("moe_bert").head()}
    assert kernels["logits"].gemm == (4916, 30522, 768, 1)  # 15 % of 32768 tokens, rounded up
    assert "loss rows" in kernels
    assert "loss rows" not in names(build().head())


def test_short_elements_are_cast_at_the_loss_and_the_optimizer() -> None:
    short, single = build(precision="fp16"), build(precision="tf32")
    assert "logits to single" in names(short.head())
    assert "logits to single" not in names(single.head())
    assert moved(single.optimizer(1000, 0)) == 72_000
    assert moved(short.optimizer(1000, 0)) == 84_000
    fused = build(kernels="fused", precision="tf32").optimizer(1000, 0)
    assert moved(fused) == moved(build(kernels="fused").optimizer(1000, 0)) == 28_000


def test_a_launch_of_the_optimizer_covers_21_million_parameters() -> None:
    model = build(kernels="fused")
    assert launches(model.optimizer(320 * 65536, 1)) == 2
    assert launches(model.optimizer(320 * 65536 + 1, 0)) == 2
    assert model.optimizer(0, 0) == ()


def test_a_capacity_widens_the_dispatch_buffer() -> None:
    buffers = [
        next(k.bytes for k in build(capacity_factor=factor).before(1) if k.name == "dispatch buffer")
        for factor in (1.0, 2.0)
    ]
    assert buffers == [2 * 4 * 256 * 64 * 768, 4 * 4 * 256 * 64 * 768]
    assert "dispatch order" in names(build(capacity_factor=None).before(1))


def test_residual_and_shared_experts_run_beside() -> None:
    residual = build("pr_moe_transformer_xl")
    assert "residual expert fc1" in names(residual.before(1))
    assert "mixing" in names(residual.after(1))
    assert "residual expert fc1 weight gradient" in names(residual.before_backward(1).weight)
    shared = build("deepseek_v3_like")
    assert "shared experts gate and up" in names(shared.before(1))
    assert "shared experts sum" in names(shared.after(1))


def test_two_gradients_are_read_and_one_written() -> None:
    (kernel,) = build().add(1000)
    assert kernel.bytes == 3000
