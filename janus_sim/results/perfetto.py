"""Timelines as PyTorch's profiler writes them: one Chrome trace a rank, to be opened in Perfetto.

The format is that of Kineto (pytorch/kineto, `libkineto/src/output_json.cpp`): an object with
`traceEvents`, microseconds with three decimals, a process a device, a thread a stream. Counters of links and
arrows for causes are ours.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from janus_sim.errors import InputError, Mistake
from janus_sim.record import LinkRecord
from janus_sim.results.metrics import ranks_of, world_of
from janus_sim.results.perfetto_slices import THREADS, Event, ns, slices, us
from janus_sim.results.result import Result


def write(result: Result, folder: Path | str, ranks: Sequence[int] = (0,), steps: int = 1) -> list[Path]:
    """Write `rank{r}.pt.trace.json` of each rank into a folder; return the paths.

    Parameters
    ----------
    result : Result
    folder : Path or str
    ranks : sequence of int
    steps : int
        How many steps, from the first.

    Raises
    ------
    InputError
        For a rank that is not there.
    """
    folder = Path(folder)
    world = ranks_of(result.record)
    if wrong := [rank for rank in ranks if not 0 <= rank < world]:
        raise InputError(Mistake("ranks", f"there is no rank {wrong[0]}; write ranks from 0 to {world - 1}"))
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for rank in ranks:
        path = folder / f"rank{rank}.pt.trace.json"
        text = json.dumps(trace(result, rank, steps), separators=(",", ":"), allow_nan=False)
        path.write_text(text + "\n", encoding="utf-8", newline="\n")
        paths.append(path)
    return paths


def trace(result: Result, rank: int, steps: int = 1) -> dict[str, Any]:
    """Return the Chrome trace of one rank, with its machine's host beside it.

    Examples
    --------
    >>> from janus_sim.record import Record, SpanLog, StepRecord
    >>> log = SpanLog()
    >>> last = log.add(0, 0, -1, "", 0, 0, "compute", "compute", "gemm", "F0", 0.0, 0.0, 1e-3)
    >>> told = trace(Result(Record(log.columns(), (StepRecord(0, 0.0, 1e-3, last),))), 0)
    >>> [(event["name"], event["dur"]) for event in told["traceEvents"] if event["ph"] == "X"]
    [('ProfilerStep#0', 1000.0), ('gemm', 1000.0)]
    """
    record = result.record
    shown = record.steps[:steps]
    machine = _machine_of(result, rank)
    found, where = slices(result, rank, machine, shown)
    end = max((step.end for step in shown), default=0.0)
    links = [link for link in record.links if _concerns(link, rank, machine, result)]
    events = [
        *_names(rank, machine, {(event["pid"], event["tid"]) for event in found}),
        *found,
        *_arrows(result, where),
        *(event for link in links for event in _counter(link, rank, end)),
        {"name": "Record Window End", "ph": "i", "s": "g", "pid": "", "tid": "", "ts": us(ns(end))},
    ]
    sizes = record.facts.get("hbm_size", ())
    device = {"id": rank, "name": "simulated GPU"} | ({"totalGlobalMem": int(sizes[rank])} if sizes else {})
    return {
        "schemaVersion": 1,
        "deviceProperties": [device],
        "distributedInfo": {"backend": "nccl", "rank": rank, "world_size": world_of(record)},
        "displayTimeUnit": "ms",
        "baseTimeNanoseconds": 0,
        "traceEvents": events,
        "traceName": f"rank{rank}.pt.trace.json",
    }


def _names(rank: int, machine: int, places: Iterable[tuple[int, int]]) -> Iterator[Event]:
    """Name processes and threads."""
    named = sorted(places)
    for pid in sorted({pid for pid, _ in named}):
        label = f"GPU {rank}" if pid == rank else f"host of machine {machine}"
        for name, value in (("process_name", {"name": "janus-sim"}), ("process_labels", {"labels": label}),
                            ("process_sort_index", {"sort_index": pid})):  # fmt: skip
            yield {"name": name, "ph": "M", "ts": 0.0, "pid": pid, "tid": 0, "args": value}
    for pid, tid in named:
        kind = max((first, word) for word, first in THREADS.items() if first <= tid)[1]
        for name, value in (("thread_name", {"name": f"stream {tid} {kind}"}),
                            ("thread_sort_index", {"sort_index": tid})):  # fmt: skip
            yield {"name": name, "ph": "M", "ts": 0.0, "pid": pid, "tid": tid, "args": value}


def _arrows(result: Result, where: Mapping[int, Event]) -> Iterator[Event]:
    """Draw an arrow from the cause of each slice to where it could begin, between threads of this trace."""
    spans = result.record.spans
    for row, event in where.items():
        cause = where.get(int(spans["why"][row]))
        if cause is None or (cause["pid"], cause["tid"]) == (event["pid"], event["tid"]):
            continue
        if cause["dur"] <= 0 or event["dur"] <= 0:
            continue
        last = us(round((cause["ts"] + cause["dur"]) * 1000) - 1)  # an arrow starts inside its slice
        first = max(us(ns(float(spans["begin"][row]))), last)
        both = {"id": row + 1, "cat": "why", "name": "why"}
        yield {"ph": "s", "pid": cause["pid"], "tid": cause["tid"], "ts": last, **both}
        yield {"ph": "f", "pid": event["pid"], "tid": event["tid"], "ts": first, **both, "bp": "e"}


def _counter(link: LinkRecord, rank: int, end: float) -> Iterator[Event]:
    """Tell the utilization of a link, where it changes."""
    before = -1.0
    for index, moved in enumerate(link.series.tolist()):
        share = round(moved / (link.capacity * link.bin_width), 4)
        begin = index * link.bin_width
        if begin >= end:
            return
        if share != before:
            yield {"ph": "C", "name": f"{link.name} utilization", "pid": rank, "tid": 0,
                   "ts": us(ns(begin)), "args": {"share": share}}  # fmt: skip
        before = share


def _concerns(link: LinkRecord, rank: int, machine: int, result: Result) -> bool:
    """Say whether a link is shown beside a rank: its own ports, and the NICs and uplinks of its machine."""
    if link.machine != machine or not link.series.any():
        return False
    local = rank - min(other for other in range(rank + 1) if _machine_of(result, other) == machine)
    return link.kind in ("nic", "uplink") or f".gpu{local}." in link.name


def _machine_of(result: Result, rank: int) -> int:
    machines = result.record.facts.get("machine_of", ())
    return int(machines[rank]) if len(machines) else 0
