"""Megatron-Core's router traces: a router_trace_rank{r}.jsonl a rank, a record a step, micro-batch and layer.

The records are those of `megatron/core/transformer/moe/router_trace.py` (NVIDIA/Megatron-LM): step, stage,
block, layer, rank, num_tokens, topk, top_indices, and mtp_idx for the layers of multi-token prediction. A
layer that comes again inside a step begins the next micro-batch. The number of experts is not among them:
it is the width of the logits where those were captured, else `--experts`, else the largest id that occurs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from janus_sim.traces.form import NO_CHOICE, Block, TraceInfo, counts_of
from janus_sim.traces.formats.base import Asked, Format, Read, gap, inside, known_experts, refuse
from janus_sim.traces.formats.megatron_lines import Key, Records, records

_NAME = re.compile(r"router_trace_rank(\d{1,6})\.jsonl")
MicroBatch = tuple[int, int, Records]  #: step, place in the step, one record a layer


def read(paths: Sequence[Path], asked: Asked) -> Read:
    """Read the files of all ranks, side by side."""
    files = _by_rank(inside(paths, ("router_trace_rank*.jsonl",)))
    first = next(records(files[0], 0), None)
    if first is None:
        refuse(files[0], "", "has no records")
    experts, notes = int(first.logits[0]) or asked.experts, list[str]()
    if not experts:
        parts = (part for rank, file in enumerate(files) for part in records(file, rank))
        experts = 1 + max(int(part.values.max(initial=0)) for part in parts)
        notes.append(f"{experts} experts: the largest id that occurs; --experts tells otherwise")
    known_experts(files[0], experts)
    top_k = int(first.top_k[0])
    info = TraceInfo(model="", top_k=top_k, origin="Megatron-Core router trace", notes=tuple(notes))
    return Read(info, _blocks(files, experts))


def _by_rank(files: Sequence[Path]) -> list[Path]:
    """Order the files by rank; none may be missing."""
    ranks: dict[int, Path] = {}
    for file in files:
        name = _NAME.fullmatch(file.name)
        if name is None:
            refuse(file, "", "is not called router_trace_rank{r}.jsonl")
        ranks[int(name[1])] = file
    if not ranks:
        refuse(files[0] if files else "import", "", "holds no router_trace_rank{r}.jsonl")
    gap(ranks, ranks[min(ranks)].parent, "router_trace_rank{r}.jsonl")
    return [ranks[rank] for rank in sorted(ranks)]


def _blocks(files: Sequence[Path], experts: int) -> Iterator[Block]:
    keys: list[Key] = []
    for parts in zip_longest(*(_micro_batches(file, rank) for rank, file in enumerate(files))):
        _agree(parts, files)
        step, micro_batch, first = parts[0]
        keys = keys or first.keys
        for _, _, part in parts:
            _same_layers(part, keys)
        choices = _stacked([part for _, _, part in parts], experts)
        layers, ranks, tokens, _ = choices.shape
        counts = counts_of(choices.reshape(layers * ranks, tokens, -1), experts).reshape(layers, ranks, -1)
        for layer in range(layers):
            yield Block(step, micro_batch, layer, counts[layer], choices[layer], counted=True)


def _agree(parts: Sequence[Any], files: Sequence[Path]) -> None:
    """Refuse ranks that are not at the same step and micro-batch."""
    places = [None if part is None else part[:2] for part in parts]
    known = next(place for place in places if place is not None)
    for place, file in zip(places, files, strict=True):
        if place is None:
            refuse(file, "the end", f"comes before step {known[0]}, micro-batch {known[1]} of another rank")
        if place != known:
            at = f"step {place[0]}, micro-batch {place[1]}"
            refuse(file, at, f"another rank is at step {known[0]}, micro-batch {known[1]}")


def _same_layers(part: Records, keys: Sequence[Key]) -> None:
    """Refuse a micro-batch that has not the layers of the first one, in their order."""
    if part.keys == keys:
        return
    pairs = list(zip_longest(part.keys, keys))
    place = next(place for place, (found, due) in enumerate(pairs) if found != due)
    found, due = (_called(key) if key else "none" for key in pairs[place])
    line = part.line[min(place, len(part.line) - 1)]
    refuse(part.path, f"line {line}, layer", f"is of {found}; {due} is due, as on all ranks")


def _stacked(parts: Sequence[Records], experts: int) -> npt.NDArray[Any]:
    """Return the choices (layers, ranks, tokens, top_k); ranks with fewer tokens are padded."""
    top_k = int(parts[0].top_k[0])
    for part in parts:
        for place in np.flatnonzero(part.top_k != top_k):
            refuse(part.path, f"line {part.line[place]}, topk", f"is {part.top_k[place]}; it was {top_k}")
        if len(part.values) and not 0 <= part.values.min() <= part.values.max() < experts:
            _wild(part, experts)
    layers, tokens = len(parts[0].line), max(int(part.tokens.max()) for part in parts)
    out = np.full((layers, len(parts), tokens, top_k), NO_CHOICE, dtype=np.int16)
    for rank, part in enumerate(parts):
        if (part.tokens == tokens).all():
            out[:, rank] = part.values.reshape(layers, tokens, top_k)
        else:
            for layer in range(layers):
                out[layer, rank, : part.tokens[layer]] = part.choices(layer)
    return out


def _wild(part: Records, experts: int) -> None:
    """Refuse the first record that names an expert that is not there."""
    place = int(np.argmax((part.values < 0) | (part.values >= experts)))
    line = part.line[np.searchsorted(part.ends, place, side="right")]
    found = f"expert {part.values[place]}; the layer has experts 0 to {experts - 1}"
    refuse(part.path, f"line {line}, top_indices", found)


def _micro_batches(file: Path, rank: int) -> Iterator[MicroBatch]:
    """Cut the records of a file into micro-batches: a layer that comes again begins the next one."""
    rest: Records | None = None
    micro_batch, before = 0, -1
    for more in records(file, rank):
        rest = more if rest is None else rest.then(more)
        edges = _edges(rest)
        for first, last in pairwise(edges):
            step = int(rest.step[first])
            micro_batch = micro_batch + 1 if step == before else 0
            yield step, micro_batch, rest.part(first, last)
            before = step
        rest = rest.part(edges[-1], len(rest.line))
    if rest is not None:
        step = int(rest.step[0])
        yield step, micro_batch + 1 if step == before else 0, rest


def _edges(part: Records) -> list[int]:
    """Return where micro-batches begin."""
    edges, seen, step = [0], set[Key](), int(part.step[0])
    for place, (now, key) in enumerate(zip(part.step.tolist(), part.keys, strict=True)):
        if now != step or key in seen:
            edges.append(place)
            seen.clear()
            step = now
        seen.add(key)
    return edges


def _called(key: tuple[str, int, int]) -> str:
    block, index, layer = key
    return f"{block} {index} layer {layer}" if block == "mtp" else f"{block} layer {layer}"


def _knows(path: Path) -> bool:
    return any(path.glob("router_trace_rank*.jsonl")) if path.is_dir() else bool(_NAME.fullmatch(path.name))


MEGATRON = Format(_knows, read, "router_trace_rank{r}.jsonl")
