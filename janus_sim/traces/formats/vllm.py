"""vLLM's routed experts of a request, and the loads that its expert-parallel load balancer keeps.

Responses (.json, .jsonl) of a server with --enable-return-routed-experts: `prompt_routed_experts` and, in
each of `choices`, `routed_experts`, (tokens, layers, top_k) as nested lists or as base64 of an .npy; or
such an array alone (.npy). A request is a step. vLLM writes the balancer's loads to no file of its own:
what is read is an .npz or .pt with the fields of its `EplbModelState`, expert_load_window (passes, layers,
slots) and physical_to_logical_map.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from janus_sim.traces.arrays import read_array
from janus_sim.traces.columns import RefusedError
from janus_sim.traces.form import Block, TraceInfo, counts_of
from janus_sim.traces.formats.base import (
    Asked,
    Format,
    Read,
    arrays,
    has_array,
    in_range,
    inside,
    known_experts,
    nothing_below_0,
    only,
    parsed,
    refuse,
)
from janus_sim.traces.formats.torch_file import load, logical, slots_hold_experts, whole

FIELDS = ("expert_load_window", "physical_to_logical_map")
Ints = npt.NDArray[np.int64]


def read(paths: Sequence[Path], asked: Asked) -> Read:
    """Read responses, each a step, in the order of the files."""
    tables = list(_requests(inside(paths, ("*.json", "*.jsonl", "*.npy"))))
    if not tables:
        refuse(
            paths[0],
            "",
            "holds no routed experts; was the server started with --enable-return-routed-experts?",
        )
    first = tables[0][2]
    experts = asked.experts or 1 + max(int(table.max()) for _, _, table in tables)
    known_experts(tables[0][0], experts)
    notes = ["a step here is one request; one source rank"]
    if not asked.experts:
        notes.append(f"{experts} experts: the largest id that occurs; --experts tells otherwise")
    for path, place, table in tables:
        if table.shape[1:] != first.shape[1:]:
            refuse(path, place, f"has (layers, top_k) {table.shape[1:]}; it was {first.shape[1:]} before")
    kept_tables = [in_range(path, place, table, experts) for path, place, table in tables]
    dense = [
        layer for layer in range(first.shape[1]) if _is_dense([table[:, layer] for table in kept_tables])
    ]
    if dense:
        notes.append(f"layers {dense} left out: all tokens have one expert in all slots, so they are dense")
    kept = [layer for layer in range(first.shape[1]) if layer not in dense]
    info = TraceInfo(
        model="", top_k=first.shape[2], origin="vLLM, routed experts of requests", phase="inference",
        notes=tuple(notes),
    )  # fmt: skip
    return Read(info, _blocks(kept_tables, kept, experts))


def _blocks(tables: Sequence[npt.NDArray[np.int16]], kept: Sequence[int], experts: int) -> Iterator[Block]:
    for step, table in enumerate(tables):
        for place, layer in enumerate(kept):
            choices = table[None, :, layer]
            yield Block(step, 0, place, counts_of(choices, experts), choices, counted=True)


def _is_dense(tables: Sequence[npt.NDArray[np.int16]]) -> bool:
    """Whether a layer routes nothing: its rows stay 0 in vLLM, though a token picks distinct experts."""
    return all(table.shape[1] > 1 and not table.any() for table in tables)


def _requests(files: Sequence[Path]) -> Iterator[tuple[Path, str, Ints]]:
    for file in files:
        if file.suffix == ".npy":
            yield file, "", _array(file, "", file.read_bytes())
            continue
        for line, text in _documents(file):
            yield from _of(file, line, parsed(file, line, text))


def _documents(file: Path) -> Iterator[tuple[str, str]]:
    with file.open(encoding="utf-8", errors="replace") as stream:
        if file.suffix == ".jsonl":
            yield from ((f"line {n}", line) for n, line in enumerate(stream, 1) if line.strip())
        else:
            yield "", stream.read()


def _of(file: Path, line: str, response: object) -> Iterator[tuple[Path, str, Ints]]:
    """Yield the tables of one response: the prompt's tokens, then the generated ones, of each choice."""
    at = f"{line}, " if line else ""
    if not isinstance(response, Mapping) or not isinstance(response.get("choices"), list):
        refuse(file, f"{at}choices", "is missing; write responses of vLLM's server")
    prompt = response.get("prompt_routed_experts")
    for number, choice in enumerate(response["choices"]):
        place = f"{at}choice {number}, routed_experts"
        value = choice.get("routed_experts") if isinstance(choice, Mapping) else None
        parts = [(f"{at}prompt_routed_experts", prompt), (place, value)]
        tables = [_array(file, where, part) for where, part in parts if part is not None]
        if tables:
            if len({table.shape[1:] for table in tables}) > 1:
                refuse(file, place, f"differs from the prompt in (layers, top_k): {tables[1].shape[1:]}")
            yield file, place, np.concatenate(tables)


def _array(file: Path, place: str, value: Any) -> Ints:  # noqa: ANN401
    """Return (tokens, layers, top_k) of nested lists, of base64, or of the bytes of an .npy."""
    try:
        if isinstance(value, str):
            value = base64.b64decode(value, validate=True)
        packed = isinstance(value, bytes)
        array = read_array(io.BytesIO(value), "it", len(value)) if packed else np.array(value)
    except (ValueError, TypeError, OverflowError, RefusedError) as error:
        refuse(file, place, f"cannot be read: {str(error)[:80]}")
    return whole(file, place or "array", array, 3)


def read_loads(paths: Sequence[Path], asked: Asked) -> Read:
    """Read the loads of the balancer's window."""
    file = only(paths, "dumps of the window")
    held = load(file) if file.suffix == ".pt" else arrays(file, FIELDS)
    for name in FIELDS:
        if not isinstance(held, Mapping) or name not in held:
            refuse(file, name, "is missing")
    counts, table = whole(file, FIELDS[0], held[FIELDS[0]], 3), whole(file, FIELDS[1], held[FIELDS[1]], 2)
    slots_hold_experts(file, FIELDS[1], table)
    nothing_below_0(file, FIELDS[0], counts)
    if counts.shape[1:] != table.shape:
        found = f"{counts.shape} and {table.shape}"
        refuse(file, ", ".join(FIELDS), f"{found}; write (passes, layers, slots) and (layers, slots)")
    rows = logical(counts, table)
    kept = np.flatnonzero(rows.any(axis=(1, 2)))
    notes = (
        "one source rank: the loads are sums over ranks",
        f"{len(rows) - len(kept)} passes without a row left out",
    )
    info = TraceInfo(
        model="", top_k=asked.top_k, origin="vLLM, loads of the EPLB window", phase="inference", notes=notes
    )
    blocks = (
        Block(int(step), 0, layer, rows[step, layer][None]) for step in kept for layer in range(rows.shape[1])
    )
    return Read(info, blocks)


def _knows(path: Path) -> bool:
    if path.is_dir() or path.suffix not in {".json", ".jsonl", ".npy"}:
        return False
    if path.suffix == ".npy":
        return True
    with path.open(encoding="utf-8", errors="replace") as stream:
        return "routed_experts" in stream.read(2**20)


def _knows_loads(path: Path) -> bool:
    return has_array(path, FIELDS[0])


VLLM = Format(_knows, read, "responses with routed_experts, or (tokens, layers, top_k).npy")
VLLM_LOADS = Format(_knows_loads, read_loads, "expert_load_window and physical_to_logical_map")
