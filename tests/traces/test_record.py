"""Tiny models with random weights are recorded, where PyTorch and transformers are there."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from janus_sim.errors import InputError
from janus_sim.traces import TraceInfo, open_trace

torch = pytest.importorskip("torch", reason="PyTorch is not here: pip install janus-sim[torch]")
from janus_sim.traces.record import record  # noqa: E402

COMMON = {
    "vocab_size": 50, "hidden_size": 8, "num_hidden_layers": 3, "num_attention_heads": 2, "pad_token_id": 0,
    "num_key_value_heads": 2, "max_position_embeddings": 64, "num_experts_per_tok": 2,
}  # fmt: skip
DEEP = {
    "moe_intermediate_size": 8, "n_routed_experts": 4, "q_lora_rank": 4, "kv_lora_rank": 4,
    "qk_rope_head_dim": 4, "qk_nope_head_dim": 4, "v_head_dim": 4, "n_group": 2, "topk_group": 2,
    "first_k_dense_replace": 1,
}  # fmt: skip
FAMILIES: dict[str, dict[str, Any]] = {
    "Mixtral": {"intermediate_size": 8, "num_local_experts": 4},
    "Olmoe": {"intermediate_size": 8, "num_experts": 4},
    "Qwen2Moe": {"moe_intermediate_size": 8, "shared_expert_intermediate_size": 8, "num_experts": 4},
    "Qwen3Moe": {"moe_intermediate_size": 8, "head_dim": 4, "num_experts": 4},
    "DeepseekV2": DEEP | {"intermediate_size": 8, "topk_method": "greedy"},
    "DeepseekV3": DEEP | {"intermediate_size": 8},
}


def family(name: str, **changes: Any) -> Any:
    """Return a tiny model of one of the families, with random weights."""
    transformers = pytest.importorskip(
        "transformers", reason="transformers is not here: pip install transformers"
    )
    torch.manual_seed(1)
    config = getattr(transformers, f"{name}Config")(**COMMON | FAMILIES[name] | changes)
    model = getattr(transformers, f"{name}ForCausalLM")(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return model


def text(sequences: int = 4, length: int = 6) -> Any:
    return torch.arange(sequences * length).reshape(sequences, length) % 50


def layers_of(name: str) -> int:
    return 2 if name.startswith("Deepseek") else 3


@pytest.mark.parametrize("name", FAMILIES)
def test_training_a_model_of_each_family_is_recorded(name: str, tmp_path: Path) -> None:
    """Two steps of two micro-batches; each routed token is in the trace once a layer."""
    model = family(name).train()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with record(model, tmp_path / "t.parquet", ranks=2, micro_batches=2):
            for batch in range(4):
                model(text() + batch, labels=text()).loss.backward()
    trace = open_trace(tmp_path / "t.parquet")
    assert (trace.info.steps, trace.micro_batches, trace.ranks) == ((0, 1), 2, 2)
    assert (trace.info.top_k, trace.info.tokens, trace.experts) == (2, 12, (4,) * layers_of(name))
    assert trace.info.rows == (24, 24)


@pytest.mark.parametrize("name", FAMILIES)
def test_what_is_recorded_is_what_the_experts_got(name: str, tmp_path: Path) -> None:
    """The experts' module is called with the choices: the recorded ones are the same."""
    model = family(name).train()
    given: list[np.ndarray] = []
    hooks = [
        module.register_forward_pre_hook(lambda _, args: given.append(args[1].numpy().copy()))
        for path, module in model.named_modules()
        if path.endswith("mlp.experts")
    ]
    with record(model, tmp_path / "t.parquet", ranks=2):
        model(text())
    assert len(hooks) == len(given) == layers_of(name)
    trace = open_trace(tmp_path / "t.parquet")
    for layer, table in enumerate(given):
        recorded = trace.choices_at(0, 0, layer)
        assert recorded is not None
        assert recorded.reshape(-1, 2).tolist() == table.tolist()


def test_generation_is_gathered_into_micro_batches(tmp_path: Path) -> None:
    """Two ranks of a sequence each: 6 tokens, then 5 passes of one; two micro-batches of 4, and a rest."""
    model = family("Mixtral").eval()
    info = TraceInfo(model="tiny", top_k=2, phase="inference")
    with record(model, tmp_path / "t.parquet", info, ranks=2, tokens=4):
        model.generate(text(2, 6), max_new_tokens=6, min_new_tokens=6, do_sample=False)
    trace = open_trace(tmp_path / "t.parquet")
    assert (trace.info.phase, trace.info.steps, trace.info.rows) == ("inference", (0, 1), (8, 8))


def test_an_evaluation_between_steps_is_left_out(tmp_path: Path) -> None:
    model = family("Mixtral").train()
    with record(model, tmp_path / "t.parquet") as recorder:
        model(text())
        model.eval()(text())
        with recorder.off():
            model.train()(text())
        recorder.step = 7
        model(text())
    assert open_trace(tmp_path / "t.parquet").info.steps == (0, 7)


def pass_through(model: Any, *lengths: int) -> None:
    for length in lengths:
        for layer in model:
            layer(torch.eye(4)[:length])


def interrupted(model: Any) -> None:
    pass_through(model, 4, 4, 4)
    raise KeyboardInterrupt


class Scorer(torch.nn.Module):
    """A router of one's own that gives scores, in a place of its own."""

    top_k = 1

    def __init__(self, experts: int) -> None:
        super().__init__()
        self.scores = torch.nn.Linear(4, experts)

    def forward(self, tokens: Any) -> Any:
        return self.scores(tokens)


def own() -> Any:
    return torch.nn.Sequential(Scorer(4), Scorer(4))


def test_a_module_of_ones_own_is_named_by_its_path(tmp_path: Path) -> None:
    model = own()
    tokens = torch.eye(4)
    with record(model, tmp_path / "t.parquet", routers="?", choices=False):
        scores = [model[0](tokens), model[1](tokens)]
    trace = open_trace(tmp_path / "t.parquet")
    for layer, table in enumerate(scores):
        best = np.bincount(table.argmax(dim=-1).numpy(), minlength=4)
        assert trace.at(0, 0, layer).tolist() == [best.tolist()]
    assert trace.choices_at(0, 0, 0) is None


def test_an_error_leaves_the_steps_that_were_complete(tmp_path: Path) -> None:
    model, path = own(), tmp_path / "t.parquet"
    with pytest.raises(KeyboardInterrupt), record(model, path, routers="?", micro_batches=2):
        interrupted(model)
    info = open_trace(tmp_path / "t.parquet").info
    assert info.steps == (0,)
    assert info.notes == ("the last step had 1 of 2 micro-batches and is left out",)


def test_a_shorter_pass_is_filled_up_and_a_longer_one_refused(tmp_path: Path) -> None:
    model = own()
    with record(model, tmp_path / "t.parquet", routers="?"):
        pass_through(model, 4, 2)
    trace = open_trace(tmp_path / "t.parquet")
    assert trace.info.rows == (2, 4)
    assert trace.choices_at(1, 0, 0)[0, 2:].tolist() == [[-1], [-1]]  # type: ignore[index]
    told = "a pass has 4 tokens a rank, the first had 2"
    with pytest.raises(InputError, match=told), record(model, tmp_path / "u.parquet", routers="?"):
        pass_through(model, 2, 4)


@pytest.mark.parametrize("reentrant", [False, True])
def test_what_is_computed_anew_in_the_backward_is_not_counted_twice(reentrant: bool, tmp_path: Path) -> None:
    model = own()
    with record(model, tmp_path / "t.parquet", routers="?"):
        for _ in range(2):
            start = torch.eye(4, requires_grad=True)
            torch.utils.checkpoint.checkpoint(model, start, use_reentrant=reentrant).sum().backward()
    assert open_trace(tmp_path / "t.parquet").info.steps == (0, 1)


@pytest.mark.parametrize(
    ("made", "given", "told"),
    [
        (lambda: torch.nn.Sequential(torch.nn.Linear(4, 4)), {}, "has no module called gate or router"),
        (own, {"routers": "no.*"}, "has no module like 'no.*'"),
        (own, {"routers": "?", "ranks": 3}, "4 tokens of a pass cannot be cut into 3 equal ranks"),
        (lambda: torch.nn.Sequential(torch.nn.Flatten(0)), {"routers": "0"}, "a router returns experts"),
    ],
)
def test_what_cannot_be_recorded_is_told(made: Any, given: dict[str, Any], told: str, tmp_path: Path) -> None:
    model = made()
    with pytest.raises(InputError) as error, record(model, tmp_path / "t.parquet", **given):
        model(torch.eye(4))
    assert told in str(error.value)
    assert not list(tmp_path.iterdir())


def _process(rank: int, folder: str) -> None:
    torch.distributed.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=2)
    model = Scorer(4)
    torch.nn.init.eye_(model.scores.weight)
    torch.nn.init.zeros_(model.scores.bias)
    with record(torch.nn.Sequential(model), f"{folder}/t.parquet", routers="?"):
        model(torch.eye(4)[[2 * rank, 2 * rank + 1]])
    torch.distributed.destroy_process_group()


def test_processes_add_their_ranks(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(_process, (str(tmp_path),), nprocs=2)
    assert open_trace(tmp_path / "t.parquet").at(0, 0, 0).tolist() == [[1, 1, 0, 0], [0, 0, 1, 1]]


SCRIPT = """
import sys
import torch
from torch import nn

class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate, self.experts = nn.Linear(4, 8), nn.Identity()
        self.top_k = 2
    def forward(self, x):
        self.gate(x)
        return self.experts(x)

model = nn.Sequential(Layer(), Layer())
for step in range(int(sys.argv[1])):
    model(torch.eye(4))
"""


def command(*words: object) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "janus_sim", "trace", "record", *map(str, words)]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def test_a_script_is_recorded_from_the_command_line(tmp_path: Path) -> None:
    script, out = tmp_path / "mine.py", tmp_path / "t.parquet"
    script.write_text(SCRIPT)
    done = command(script, "-o", out, "--ranks", 2, "--", 3)
    assert done.stderr == ""
    assert done.stdout.endswith("3 steps, 2 MoE layers, 2 ranks, top-2\n")
    info = open_trace(out).info
    assert (info.model, info.steps, info.experts, info.tokens) == ("mine", (0, 1, 2), (8, 8), 2)


def test_a_script_without_routers_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    script = tmp_path / "mine.py"
    script.write_text("import torch\ntorch.nn.Linear(2, 2)(torch.eye(2))\n")
    done = command(script, "-o", tmp_path / "t.parquet")
    assert done.returncode == 2
    assert "called no model with routers" in done.stderr
    assert list(tmp_path.iterdir()) == [script]
