"""A small sound file, or folder, of each format that is read without PyTorch."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from janus_sim.traces import Block, TraceInfo, counts_of, write_trace

CHOICES = np.array([[[0, 1], [2, 3], [0, 2]], [[1, 3], [0, 1], [2, 3]]])  # rank, token, slot


def npy(table: Any) -> bytes:
    """Return the bytes of an .npy."""
    stream = io.BytesIO()
    np.save(stream, np.asarray(table))
    return stream.getvalue()


def megatron(folder: Path) -> Path:
    for rank in (0, 1):
        lines = [
            json.dumps(
                {"step": step, "block": "decoder", "layer": layer, "rank": rank, "num_tokens": 3, "topk": 2,
                 "top_indices": CHOICES[rank].tolist()}
            )
            for step in (0, 1) for layer in (1, 2)
        ]  # fmt: skip
        (folder / f"router_trace_rank{rank}.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def vllm(folder: Path) -> Path:
    choice = {"routed_experts": CHOICES.tolist()}
    (folder / "r.jsonl").write_text(json.dumps({"choices": [choice]}) + "\n")
    return folder / "r.jsonl"


def vllm_array(folder: Path) -> Path:
    (folder / "r.npy").write_bytes(npy(CHOICES))
    return folder / "r.npy"


def vllm_loads(folder: Path) -> Path:
    slots = np.array([[0, 1, 0], [0, 1, 1]])
    np.savez(folder / "w.npz", expert_load_window=np.ones((2, 2, 3), int), physical_to_logical_map=slots)
    return folder / "w.npz"


def flame(folder: Path) -> Path:
    capture = folder / "actives" / "iter_0540"
    capture.mkdir(parents=True)
    for layer, tokens in enumerate(CHOICES):
        kept = pa.array(tokens.tolist(), pa.list_(pa.int16(), 2))
        pq.write_table(pa.table({"indices": kept}), capture / f"layer_{layer:02}.parquet")
    return folder


def smartmoe(folder: Path) -> Path:
    text = "0:[[1.0, 3.0], [2.0, 2.0]]\n1:[[0.0, 4.0], [1.0, 3.0]]\n"
    for rank in (0, 1):
        (folder / f"table_iter1_rank{rank}.log").write_text(text)
    return folder


def smartmoe_packed(folder: Path) -> Path:
    path = smartmoe(folder) / "table_iter1_rank0.log"
    packed = path.with_suffix(".log.gz")
    packed.write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    return packed


def laer(folder: Path) -> Path:
    rows = [f"{rank},FSDP,e8k2,{layer},{i},{rank + 1}" for rank in (0, 1) for layer in (0, 1) for i in (0, 1)]
    path = folder / "token_analysis.csv"
    path.write_text("rank,method,model_name,layer,iter,token_num\n" + "\n".join(rows) + "\n")
    return path


def olmoe(folder: Path) -> Path:
    rows = [
        f"olmoe,{d},0,{slot},{slot},{e},{e + 1}" for d in ("arxiv", "book") for slot in (0, 1) for e in (0, 1)
    ]
    path = folder / "expert_counts.csv"
    path.write_text("model,domain,top1_only,layer_slot,layer,expert,count\n" + "\n".join(rows) + "\n")
    return path


def deepspeed(folder: Path) -> Path:
    np.savez(folder / "d.npz", exp_counts=np.arange(16).reshape(2, 2, 2, 2))
    return folder / "d.npz"


def neutral(folder: Path) -> Path:
    blocks = [Block(step, 0, layer, counts_of(CHOICES, 4), CHOICES) for step in (3, 5) for layer in (0, 1)]
    write_trace(folder / "t.parquet", TraceInfo(model="tiny", top_k=2), blocks)
    return folder / "t.parquet"


def npz(folder: Path) -> Path:
    np.savez_compressed(folder / "t.npz", counts=np.arange(16).reshape(2, 1, 2, 2, 2), iteration=[1, 11])
    return folder / "t.npz"


def csv(folder: Path) -> Path:
    rows = [f"{s},0,{la},{r},{e},{s + e}" for s in (1, 2) for la in (0, 1) for r in (0, 1) for e in (0, 1)]
    (folder / "t.csv").write_text("step,micro_batch,layer,rank,expert,count\n" + "\n".join(rows) + "\n")
    return folder / "t.csv"


#: Writes a sound sample into an empty folder, and returns what is imported.
SAMPLES: dict[str, Callable[[Path], Path]] = {
    one.__name__: one
    for one in (megatron, vllm, vllm_array, vllm_loads, flame, smartmoe, smartmoe_packed, laer, olmoe,
                deepspeed, neutral, npz, csv)
}  # fmt: skip
