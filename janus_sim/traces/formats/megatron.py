"""Megatron-Core's router traces: a router_trace_rank{r}.jsonl a rank, a record a step, micro-batch and layer.

The records are those of `megatron/core/transformer/moe/router_trace.py` (NVIDIA/Megatron-LM): step, stage,
block, layer, rank, num_tokens, topk, top_indices, and mtp_idx for the layers of multi-token prediction. A
layer that comes again inside a step begins the next micro-batch. The number of experts is not among them:
it is the width of the logits where those were captured, else `--experts`, else the largest id that occurs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from janus_sim.traces.form import NO_CHOICE, Block, TraceInfo, counts_of
from janus_sim.traces.formats.base import Asked, Format, Read, gap, inside, parsed, refuse

_NAME = re.compile(r"router_trace_rank(\d{1,6})\.jsonl")
_FIELDS = ("step", "layer", "rank", "num_tokens", "topk")


class Record(NamedTuple):
    """One line of one rank's file."""

    path: Path
    line: int
    step: int
    key: tuple[str, int, int]
    choices: npt.NDArray[np.int64]
    logits: int


def read(paths: Sequence[Path], asked: Asked) -> Read:
    """Read the files of all ranks, side by side."""
    files = _by_rank(inside(paths, ("router_trace_rank*.jsonl",)))
    first = next(_records(files[0]), None)
    if first is None:
        refuse(files[0], "", "has no records")
    experts, notes = first.logits or asked.experts, list[str]()
    if not experts:
        experts = 1 + max(int(one.choices.max(initial=0)) for file in files for one in _records(file))
        notes.append(f"{experts} experts: the largest id that occurs; --experts tells otherwise")
    top_k = int(first.choices.shape[1])
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
    keys: list[tuple[str, int, int]] = []
    for parts in zip_longest(*(_micro_batches(file) for file in files)):
        _agree(parts, files)
        step, micro_batch, first = parts[0]
        keys = keys or [record.key for record in first]
        for layer, key in enumerate(keys):
            records = [part[2][layer] if layer < len(part[2]) else part[2][-1] for part in parts]
            for record, part in zip(records, parts, strict=True):
                if record.key != key or len(part[2]) != len(keys):
                    told = f"is of {_called(record.key)}; {_called(key)} is due"
                    refuse(record.path, f"line {record.line}, layer", f"{told}, as on all ranks")
            choices = _stacked(records, experts)
            yield Block(step, micro_batch, layer, counts_of(choices, experts), choices)


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


def _stacked(records: Sequence[Record], experts: int) -> npt.NDArray[np.int16]:
    """Return the choices (ranks, tokens, top_k); ranks with fewer tokens are padded."""
    tokens = max(len(record.choices) for record in records)
    top_k = records[0].choices.shape[1]
    out = np.full((len(records), tokens, top_k), NO_CHOICE, dtype=np.int16)
    for row, record in zip(out, records, strict=True):
        if record.choices.shape[1] != top_k:
            refuse(record.path, f"line {record.line}, topk", f"is {record.choices.shape[1]}; it was {top_k}")
        if record.choices.size and not 0 <= record.choices.min() <= record.choices.max() < experts:
            wild = record.choices[(record.choices < 0) | (record.choices >= experts)][0]
            found = f"expert {wild}; the layer has experts 0 to {experts - 1}"
            refuse(record.path, f"line {record.line}, top_indices", found)
        row[: len(record.choices)] = record.choices
    return out


def _micro_batches(file: Path) -> Iterator[tuple[int, int, list[Record]]]:
    """Gather the records of a file: (step, micro-batch, one record a layer)."""
    group: list[Record] = []
    micro_batch = 0
    for record in _records(file):
        if group and (record.step != group[0].step or record.key in {one.key for one in group}):
            yield group[0].step, micro_batch, group
            micro_batch = micro_batch + 1 if record.step == group[0].step else 0
            group = []
        group.append(record)
    if group:
        yield group[0].step, micro_batch, group


def _records(file: Path) -> Iterator[Record]:
    wanted = int(_NAME.fullmatch(file.name)[1])  # type: ignore[index]
    with file.open(encoding="utf-8", errors="replace") as stream:
        for line, text in enumerate(stream, 1):
            record = _record(file, line, text)
            if record is not None:
                if record[0] != wanted:
                    refuse(file, f"line {line}, rank", f"is {record[0]}; the file is rank {wanted}'s")
                yield record[1]


def _record(file: Path, line: int, text: str) -> tuple[int, Record] | None:
    """Read one line."""
    if not text.strip():
        return None
    value = parsed(file, f"line {line}", text)
    if not isinstance(value, dict):
        refuse(file, f"line {line}", "is not a mapping")
    for name in _FIELDS:
        if type(value.get(name)) is not int or value[name] < 0:
            refuse(
                file, f"line {line}, {name}", f"is {value.get(name, 'missing')!r}; write a number from 0 on"
            )
    choices = _table(file, line, value)
    shape = value.get("logit_shape") or (0, 0)
    key = (str(value.get("block", "decoder")), int(value.get("mtp_idx") or 0), value["layer"])
    return value["rank"], Record(file, line, value["step"], key, choices, int(shape[-1]))


def _table(file: Path, line: int, value: dict[str, Any]) -> npt.NDArray[np.int64]:
    """Return top_indices (num_tokens, topk)."""
    shape = (value["num_tokens"], value["topk"])
    try:
        table = np.array(value.get("top_indices"), dtype=object if value.get("top_indices") is None else None)
    except ValueError:
        table = np.empty(0)
    if table.size == 0 and shape[0] == 0:
        return np.empty(shape, dtype=np.int64)
    if table.shape != shape or table.dtype.kind != "i":
        found = f"is {table.dtype} of shape {table.shape}"
        refuse(file, f"line {line}, top_indices", f"{found}; num_tokens x topk is {shape}")
    return table


def _called(key: tuple[str, int, int]) -> str:
    block, index, layer = key
    return f"{block} {index} layer {layer}" if block == "mtp" else f"{block} layer {layer}"


def _knows(path: Path) -> bool:
    return any(path.glob("router_trace_rank*.jsonl")) if path.is_dir() else bool(_NAME.fullmatch(path.name))


MEGATRON = Format(_knows, read, "router_trace_rank{r}.jsonl")
