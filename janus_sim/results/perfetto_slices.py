"""Spans as slices of a Chrome trace: names as NCCL and CUDA have them, a thread a stream."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from janus_sim.record import StepRecord
from janus_sim.results.metrics import Ints
from janus_sim.results.result import Result

Event = dict[str, Any]

HOST_PID = 100_000  #: added to the number of a machine: the process of its host
#: The first thread of each kind of stream; what overlaps goes into the next ones. 7 is CUDA's default stream.
THREADS = {"compute": 7, "communication": 20, "dense": 40, "copy": 60, "host": 1}
NCCL = {
    "all_to_all": "ncclDevKernel_SendRecv",
    "all_reduce": "ncclDevKernel_AllReduce_Sum_{}_RING_LL",
    "all_gather": "ncclDevKernel_AllGather_RING_LL",
    "reduce_scatter": "ncclDevKernel_ReduceScatter_Sum_{}_RING_LL",
    "broadcast": "ncclDevKernel_Broadcast_RING_LL",
}
COLLECTIVE = {
    "all_to_all": "all_to_allv",
    "all_reduce": "allreduce",
    "all_gather": "_allgather_base",
    "reduce_scatter": "_reduce_scatter_base",
    "broadcast": "broadcast",
}
TYPES = {"fp16": ("f16", "Half", 2), "bf16": ("bf16", "BFloat16", 2)}
SINGLE = ("f32", "Float", 4)
COPIES = {
    "nvlink": "Memcpy PtoP (Device -> Device)",
    "nic": "RDMA read",
    "fabric": "RDMA read",
}
DOWN = "Memcpy HtoD (Pinned -> Device)"


def slices(
    result: Result, rank: int, machine: int, steps: Sequence[StepRecord]
) -> tuple[list[Event], dict[int, Event]]:
    """Return the slices of a rank and its host, and of each span its slice."""
    spans = result.record.spans
    chosen = np.isin(spans["step"], [step.step for step in steps])
    mine = (spans["rank"] == rank) | ((spans["rank"] == -1) & (spans["machine"] == machine))
    rows: Ints = np.flatnonzero(chosen & mine)
    kinds = {link.name: link.kind for link in result.record.links}
    found = [_step(step, rank) for step in steps]
    where: dict[int, Event] = {}
    threads = _threads(result, rows)
    for row in rows.tolist():
        event = _slice(result, row, rank, machine, kinds)
        event["tid"] = threads[row]
        if "stream" in event["args"]:
            event["args"]["stream"] = threads[row]
        found.append(event)
        where[row] = event
    found.sort(key=lambda event: (event["pid"], event["tid"], event["ts"], -event["dur"]))
    return found, where


def _step(step: StepRecord, rank: int) -> Event:
    begin, end = ns(step.begin), ns(step.end)
    place = {"pid": rank, "tid": THREADS["compute"], "ts": us(begin), "dur": us(end - begin)}
    return {"ph": "X", "cat": "gpu_user_annotation", "name": f"ProfilerStep#{step.step}", **place}


def _slice(result: Result, row: int, rank: int, machine: int, kinds: Mapping[str, str]) -> Event:
    """Return one span as a slice; a collective is open from its join, as NCCL's kernels are."""
    span = {name: column[row] for name, column in result.record.spans.items()}
    kind, resource = str(span["kind"]), str(span["resource"])
    begin, end = ns(opened(kind, span)), ns(float(span["end"]))
    args: dict[str, Any] = {
        "layer": int(span["layer"]), "phase": str(span["phase"]), "micro batch": int(span["micro_batch"]),
        "label": str(span["label"]), "bound by": resource,
    }  # fmt: skip
    host = int(span["rank"]) < 0
    if not host:
        args |= {"device": rank, "stream": 0}
    if span["bytes"]:
        args["bytes"] = int(span["bytes"])
    category, name = "kernel", str(span["label"])
    if kind in NCCL:
        short, dtype, size = TYPES.get(str(result.scenario.get("precision", "")), SINGLE)
        name = NCCL[kind].format(short)
        args |= {
            "Collective name": COLLECTIVE[kind],
            "dtype": dtype,
            "In msg nelems": int(span["bytes"]) // size,
        }
    elif kind == "transfer":
        category, name = "gpu_memcpy", COPIES.get(kinds.get(resource, "nic" if host else ""), DOWN)
        name = f"{name}: {span['label']}"
    elif kind != "compute":
        category, name = "user_annotation", str(span["label"]) or kind
    place = {"pid": HOST_PID + machine if host else rank, "tid": 0, "ts": us(begin), "dur": us(end - begin)}
    return {"ph": "X", "cat": category, "name": name, **place, "args": args}


def opened(kind: str, span: Mapping[str, Any]) -> float:
    """Return when a span's slice begins, in seconds."""
    return float(span["joined"] if kind in NCCL else span["begin"])


def _threads(result: Result, rows: Ints) -> dict[int, int]:
    """Return the thread of each span: of spans that overlap in one stream each has its own."""
    spans = result.record.spans
    groups: dict[tuple[bool, str], list[tuple[int, int, int]]] = {}
    for row in rows.tolist():
        kind, stream = str(spans["kind"][row]), str(spans["stream"][row])
        stream = "dense" if stream == "communication" and spans["lane"][row] == "dense" else stream
        span = {name: spans[name][row] for name in ("joined", "begin")}
        times = (ns(opened(kind, span)), ns(float(spans["end"][row])), row)
        groups.setdefault((spans["rank"][row] < 0, stream), []).append(times)
    found: dict[int, int] = {}
    for (_, stream), members in groups.items():
        free: list[int] = []
        busy: list[tuple[int, int]] = []
        used = 0
        for begin, end, row in sorted(members):
            while busy and busy[0][0] <= begin:
                heapq.heappush(free, heapq.heappop(busy)[1])
            thread = heapq.heappop(free) if free else used
            used = max(used, thread + 1)
            heapq.heappush(busy, (end, thread))
            found[row] = THREADS.get(stream, THREADS["host"]) + thread
    return found


def ns(seconds: float) -> int:
    """Return whole nanoseconds."""
    return round(seconds * 1e9)


def us(nanoseconds: int) -> float:
    """Return microseconds with three decimals."""
    return nanoseconds / 1000
