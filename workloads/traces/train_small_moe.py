"""Train a small MoE language model on the documentation that is on the machine, and record its routing.

    pip install "janus-sim[torch]"
    python train_small_moe.py --balance 0.01 small_moe_balanced.parquet
    python train_small_moe.py --balance 0    small_moe_unbalanced.parquet

The model is small (6 MoE layers, 16 experts, top-2, 128 wide), and so is the training; the routing is real:
16 data-parallel ranks each read their own documents, one gate a layer chooses, and what it chose is recorded
per token, from the first step on. The text is the documentation of Python and of what is installed beside it:
the topics of pydoc, and the docstrings of the standard library and of four packages that come with PyTorch.
With the same versions of these, on the same kind of processor, the same trace comes out.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import platform
import re
import sysconfig
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from janus_sim.traces import TraceInfo
from janus_sim.traces.record import record

LAYERS, EXPERTS, TOP_K = 6, 16, 2
WIDTH, INNER, HEADS, VOCABULARY = 128, 256, 4, 2048
RANKS, TOKENS = 16, 128  # of a step; a rank reads one sequence
LEARNING_RATE, WARM_UP = 1e-3, 20
PACKAGES = ("networkx", "numpy", "sympy", "torch")  # those that PyTorch brings along
PIECES = re.compile(r"[A-Za-z]+|\d|\s+|[^\w\s]|_")


def documents() -> list[str]:
    """Return the texts: pydoc's topics, then the docstrings of the library's and the packages' files."""
    topics = importlib.import_module("pydoc_data.topics").topics
    texts = [topics[name] for name in sorted(topics)]
    folders = [Path(importlib.util.find_spec(name).origin).parent for name in PACKAGES]
    for folder in [Path(sysconfig.get_path("stdlib")), *folders]:
        for path in sorted(folder.rglob("*.py")):
            if not {"site-packages", "test", "tests", "idlelib"} & set(path.relative_to(folder).parts):
                texts.extend(docstrings(path))
    return texts


def docstrings(path: Path) -> list[str]:
    """Return all docstrings of one file as one text; none where it does not parse or says little."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError):
        return []
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    found = [ast.get_docstring(node) for node in ast.walk(tree) if isinstance(node, kinds)]
    text = "\n\n".join(one for one in found if one)
    return [text] if len(text) > 500 else []


def streams(texts: list[str], seed: int) -> np.ndarray:
    """Return the tokens (ranks, tokens): documents in chance order, one part a rank; 0 is a rare piece."""
    order = np.random.default_rng(seed).permutation(len(texts))
    pieces = [piece for one in order for piece in PIECES.findall(texts[one])]
    common = Counter(pieces).most_common(VOCABULARY - 1)
    number = {piece: place + 1 for place, (piece, _) in enumerate(common)}
    tokens = np.array([number.get(piece, 0) for piece in pieces])
    return tokens[: len(tokens) // RANKS * RANKS].reshape(RANKS, -1)


class Gate(nn.Module):
    """Scores the experts and takes the best: experts (tokens, top_k), their weights, all probabilities."""

    def __init__(self) -> None:
        super().__init__()
        self.scores = nn.Linear(WIDTH, EXPERTS, bias=False)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the experts (tokens, top_k), their weights, and all probabilities (tokens, experts)."""
        shares = functional.softmax(self.scores(tokens), dim=-1)
        weights, experts = shares.topk(TOP_K, dim=-1)
        return experts, weights / weights.sum(dim=-1, keepdim=True), shares


class Experts(nn.Module):
    """A gate and its experts, each of two matrices."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = Gate()
        self.up = nn.Parameter(torch.randn(EXPERTS, WIDTH, INNER) * WIDTH**-0.5)
        self.down = nn.Parameter(torch.randn(EXPERTS, INNER, WIDTH) * (INNER * 2 * LAYERS) ** -0.5)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the experts make of the tokens, and how unevenly these are spread."""
        experts, weights, shares = self.gate(tokens)
        result = torch.zeros_like(tokens)
        for expert in range(EXPERTS):
            which, slot = (experts == expert).nonzero(as_tuple=True)
            inner = functional.gelu(tokens[which] @ self.up[expert])
            result = result.index_add(0, which, weights[which, slot, None] * (inner @ self.down[expert]))
        load = functional.one_hot(experts, EXPERTS).sum(dim=1).float().mean(dim=0) / TOP_K
        # the balancing loss of Fedus et al., Switch Transformer (2021), equation 4
        return result, EXPERTS * (load * shares.mean(dim=0)).sum()


class Layer(nn.Module):
    """Attention, then experts, each after a norm and beside a way around."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.between = nn.RMSNorm(WIDTH), nn.RMSNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH, bias=False), nn.Linear(WIDTH, WIDTH, bias=False)
        self.experts = Experts()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sequences after this layer, and how unevenly their tokens are spread."""
        heads = self.qkv(self.before(x)).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(*heads, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).flatten(-2))
        added, unevenness = self.experts(self.between(x).flatten(0, 1))
        return x + added.view_as(x), unevenness


class SmallMoe(nn.Module):
    """The language model."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(TOKENS, WIDTH)
        nn.init.normal_(self.tokens.weight, std=0.02)
        nn.init.normal_(self.places.weight, std=0.02)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.last = nn.RMSNorm(WIDTH)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return the scores of the next token, and the unevenness meaned over layers."""
        x = self.tokens(tokens) + self.places.weight
        uneven = []
        for layer in self.layers:
            x, unevenness = layer(x)
            uneven.append(unevenness)
        return self.last(x) @ self.tokens.weight.T, torch.stack(uneven).mean()


def train(balance: float, steps: int, every: int, seed: int, out: Path) -> None:
    """Train for `steps` steps and record each `every`-th, from the first on."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    text = torch.from_numpy(streams(documents(), seed))
    model = SmallMoe()
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
    parameters = sum(one.numel() for one in model.parameters())
    print(f"{text.numel()} tokens of text, {parameters} parameters, torch {torch.__version__}")
    start = time.process_time()
    told = info(balance, text, seed)
    with record(model, out, told, ranks=RANKS, routers="layers.*.experts.gate") as recorder:
        for step in range(steps):
            begin = step * TOKENS % (text.shape[1] - TOKENS - 1)
            batch = text[:, begin : begin + TOKENS + 1]
            recorder.step = step
            with recorder.off(step % every > 0):
                scores, unevenness = model(batch[:, :-1])
            loss = functional.cross_entropy(scores.flatten(0, 1), batch[:, 1:].flatten())
            for group in optimizer.param_groups:
                group["lr"] = LEARNING_RATE * min(1, (step + 1) / WARM_UP)
            optimizer.zero_grad()
            (loss + balance * unevenness).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            if step % 50 == 0 or step == steps - 1:
                spent = time.process_time() - start
                words = f"step {step}: loss {loss:.3f}, unevenness {unevenness:.3f}, {spent:.0f} s of CPU"
                print(words, flush=True)


def info(balance: float, text: Tensor, seed: int) -> TraceInfo:
    """Return what is told of the trace."""
    kind = f"balancing loss {balance:g}" if balance else "no balancing loss"
    trained = f"Python {platform.python_version()} and PyTorch {torch.__version__} on the CPU"
    return TraceInfo(
        model=f"small_moe: {LAYERS} layers x {EXPERTS} experts, {WIDTH} wide, {kind}",
        top_k=TOP_K,
        tokens=TOKENS,
        origin=f"train_small_moe.py, seed {seed}, {trained}, on {text.numel()} tokens of documentation",
        licence="Apache-2.0",
    )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--balance", type=float, required=True, help="weight of the balancing loss; 0: none")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--every", type=int, default=4, help="record each of so many steps")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    train(given.balance, given.steps, given.every, given.seed, given.out)


if __name__ == "__main__":
    main()
