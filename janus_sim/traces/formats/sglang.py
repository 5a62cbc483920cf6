"""SGLang's expert distribution recorder: expert_distribution_recorder_{time}[_{rank}].pt.

By `python/sglang/srt/eplb/expert_distribution.py` (sgl-project/sglang). Modes `stat` and `stat_approx`
write one file with `logical_count` (forward passes, layers, experts), summed over the ranks. Modes
`per_pass` and `per_token` write one file a rank with `records`, each with forward_pass_id, rank,
global_physical_count (layers, slots) and, per token, topk_ids_of_layer (layers, tokens, top_k) of slots;
`last_physical_to_logical_map` (layers, slots) names their experts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from janus_sim.traces.form import NO_CHOICE, Block, TraceInfo, counts_of
from janus_sim.traces.formats.base import Asked, Format, Read, gap, inside, nothing_below_0, refuse
from janus_sim.traces.formats.torch_file import load, logical, slots_hold_experts, whole

ORIGIN = "SGLang's expert distribution recorder"
Ints = npt.NDArray[np.int64]


def read(paths: Sequence[Path], asked: Asked) -> Read:
    """Read one file of counts, or one file a rank of records."""
    files = inside(paths, ("expert_distribution_recorder_*.pt",))
    if not files:
        refuse(paths[0], "", "holds no expert_distribution_recorder_*.pt")
    held = {file: load(file) for file in files}
    for file, value in held.items():
        if not isinstance(value, Mapping) or not ({"logical_count", "records"} & set(value)):
            refuse(file, "", "holds neither logical_count nor records")
    if "logical_count" in held[files[0]]:
        if len(files) > 1:
            refuse(files[1], "", "one file holds the counts of all ranks; import the dumps one by one")
        return _counts(files[0], held[files[0]], asked)
    return _records(held, asked)


def _counts(file: Path, value: Mapping[str, Any], asked: Asked) -> Read:
    counts = whole(file, "logical_count", value["logical_count"], 3)
    nothing_below_0(file, "logical_count", counts)
    passes, layers = counts.sum(axis=(1, 2)) > 0, counts.sum(axis=(0, 2)) > 0
    if not passes.any():
        refuse(file, "logical_count", "is 0 everywhere; nothing was recorded")
    notes = ["one source rank: the recorder adds up the ranks in this mode", *_dropped(passes, layers)]
    info = TraceInfo(model="", top_k=asked.top_k, origin=ORIGIN, phase="inference", notes=tuple(notes))
    kept = np.flatnonzero(layers)
    blocks = (
        Block(int(step), 0, place, counts[step, layer][None])
        for step in np.flatnonzero(passes) for place, layer in enumerate(kept)
    )  # fmt: skip
    return Read(info, blocks)


def _dropped(passes: npt.NDArray[np.bool_], layers: npt.NDArray[np.bool_]) -> Iterator[str]:
    if not passes.all():
        yield f"{int((~passes).sum())} forward passes without a row left out (buffer not full)"
    if not layers.all():
        yield f"layers {np.flatnonzero(~layers).tolist()} left out: no rows at all, so they are dense"


def _records(held: Mapping[Path, Mapping[str, Any]], asked: Asked) -> Read:
    """Read the modes with one record a forward pass and rank."""
    found: dict[int, dict[int, tuple[Path, Mapping[str, Any]]]] = {}
    tables = {file: _map(file, value) for file, value in held.items()}
    for file, value in held.items():
        if not isinstance(value["records"], Sequence):
            refuse(file, "records", f"is {type(value['records']).__name__}; write a list")
        for place, record in enumerate(value["records"]):
            _check(file, place, record)
            found.setdefault(record["forward_pass_id"], {})[record["rank"]] = (file, record)
    if not found:
        refuse(next(iter(held)), "records", "are none; nothing was recorded")
    ranks = sorted(set().union(*found.values()))
    gap(ranks, next(iter(held)).parent, "rank")
    for step, there in found.items():
        missing = [rank for rank in ranks if rank not in there]
        if missing:
            refuse(
                next(iter(there.values()))[0],
                f"forward pass {step}",
                f"rank {missing[0]} has no record of it",
            )
    tokens = "topk_ids_of_layer" in next(iter(found[min(found)].values()))[1]
    steps = {step: [there[rank] for rank in ranks] for step, there in sorted(found.items())}
    counted = {step: _counted(records, tables) for step, records in steps.items()}
    layers = np.any([counts.any(axis=(0, 2)) for counts in counted.values()], axis=0)
    kept, notes = np.flatnonzero(layers), tuple(_dropped(np.ones(1, dtype=bool), layers))
    info = TraceInfo(model="", top_k=asked.top_k, origin=ORIGIN, phase="inference", notes=notes)
    if not tokens:
        blocks = (
            Block(step, 0, place, counts[:, layer])
            for step, counts in counted.items() for place, layer in enumerate(kept)
        )  # fmt: skip
        return Read(info, blocks)
    chosen = {step: _chosen(records, tables, kept) for step, records in steps.items()}
    blocks = (
        Block(step, 0, place, counts_of(table[place], counted[step].shape[2]), table[place])
        for step, table in chosen.items() for place in range(len(kept))
    )  # fmt: skip
    return Read(replace(info, top_k=max(table.shape[3] for table in chosen.values())), blocks)


def _check(file: Path, place: int, record: object) -> None:
    """Refuse a record that lacks a field, or is of no forward pass or rank."""
    for name in ("forward_pass_id", "rank", "global_physical_count"):
        if not isinstance(record, Mapping) or name not in record:
            refuse(file, f"record {place}, {name}", "is missing")
        if name != "global_physical_count" and (type(record[name]) is not int or record[name] < 0):
            refuse(file, f"record {place}, {name}", f"is {record[name]!r}; write a number from 0 on"[:200])


def _map(file: Path, value: Mapping[str, Any]) -> Ints:
    name = "last_physical_to_logical_map"
    if name not in value:
        refuse(file, name, "is missing")
    table = whole(file, name, value[name], 2)
    slots_hold_experts(file, name, table)
    return table


def _counted(records: Sequence[tuple[Path, Mapping[str, Any]]], tables: Mapping[Path, Ints]) -> Ints:
    """Return the counts (ranks, layers, experts) of one forward pass."""
    out = []
    for file, record in records:
        place = f"forward pass {record['forward_pass_id']}, global_physical_count"
        counts = whole(file, place, record["global_physical_count"], 2)
        nothing_below_0(file, place, counts)
        if counts.shape != tables[file].shape:
            refuse(file, place, f"has the shape {counts.shape}, the map of slots {tables[file].shape}")
        out.append(logical(counts[None], tables[file])[0])
    return np.stack(out)


def _chosen(
    records: Sequence[tuple[Path, Mapping[str, Any]]], tables: Mapping[Path, Ints], kept: npt.NDArray[np.intp]
) -> npt.NDArray[np.int16]:
    """Return the choices (layers, ranks, tokens, top_k) of one forward pass; slots become experts."""
    found = []
    for file, record in records:
        place = f"forward pass {record['forward_pass_id']}, topk_ids_of_layer"
        ids = whole(file, place, record["topk_ids_of_layer"], 3)[kept]
        table = tables[file][kept]
        if ids.min() < NO_CHOICE or ids.max() >= table.shape[1]:
            refuse(file, place, f"{ids.min()} to {ids.max()}; there are slots 0 to {table.shape[1] - 1}")
        experts = np.take_along_axis(table, np.maximum(ids, 0).reshape(len(kept), -1), axis=1).reshape(
            ids.shape
        )
        found.append(np.where(ids >= 0, experts, NO_CHOICE))
    wide = max(ids.shape[1] for ids in found)
    used = max(int((ids >= 0).any(axis=(0, 1)).sum()) for ids in found)
    out = np.full((len(kept), len(found), wide, used), NO_CHOICE, dtype=np.int16)
    for rank, ids in enumerate(found):
        out[:, rank, : ids.shape[1]] = ids[:, :, :used]
    return out


def _knows(path: Path) -> bool:
    if path.is_dir():
        return any(path.glob("expert_distribution_recorder_*.pt"))
    return path.name.startswith("expert_distribution_recorder_") and path.suffix == ".pt"


SGLANG = Format(_knows, read, "expert_distribution_recorder_*.pt")
