"""A strict reader of Chrome traces as PyTorch's profiler writes them, for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TOP = {"schemaVersion", "deviceProperties", "distributedInfo", "displayTimeUnit", "baseTimeNanoseconds",
       "traceEvents", "traceName"}  # fmt: skip
NEEDED = {
    "X": {"cat", "name", "pid", "tid", "ts", "dur"},
    "M": {"name", "pid", "tid", "args"},
    "C": {"name", "pid", "ts", "args"},
    "s": {"id", "cat", "name", "pid", "tid", "ts"},
    "f": {"id", "cat", "name", "pid", "tid", "ts", "bp"},
    "i": {"name", "s", "pid", "tid", "ts"},
}
METADATA = {
    "process_name": "name", "process_labels": "labels", "process_sort_index": "sort_index",
    "thread_name": "name", "thread_sort_index": "sort_index",
}  # fmt: skip

Event = dict[str, Any]
Slices = dict[tuple[int, int], list[Event]]


def _refuse(word: str) -> None:
    raise AssertionError(f"{word} is no JSON")


def read(path: Path) -> dict[str, list[Event]]:
    """Read a trace, hold it against the format, and return its events by phase."""
    told = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    assert set(told) == TOP
    assert told["schemaVersion"] == 1
    assert told["traceName"] == path.name
    assert told["distributedInfo"]["rank"] < told["distributedInfo"]["world_size"]
    phases: dict[str, list[Event]] = {phase: [] for phase in NEEDED}
    for event in told["traceEvents"]:
        assert NEEDED[event["ph"]] <= set(event), event
        if "ts" in event:
            assert event["ts"] >= 0
            assert event["ts"] == round(event["ts"], 3)
        phases[event["ph"]].append(event)
    for event in phases["M"]:
        assert set(event["args"]) == {METADATA[event["name"]]}
    named = {(event["pid"], event["tid"]) for event in phases["M"] if event["name"] == "thread_name"}
    slices = threads(phases["X"])
    assert set(slices) == named
    for members in slices.values():
        _nest(members)
    for event in phases["C"]:
        assert all(isinstance(value, float | int) for value in event["args"].values())
    _arrows(phases, slices)
    return phases


def threads(slices: list[Event]) -> Slices:
    """Group slices by process and thread, in the order of time."""
    found: Slices = {}
    for event in slices:
        assert event["dur"] >= 0
        found.setdefault((event["pid"], event["tid"]), []).append(event)
    return found


def _end(event: Event) -> float:
    return round(event["ts"] + event["dur"], 3)


def _nest(members: list[Event]) -> None:
    """Slices of one thread lie inside one another or beside, else Perfetto drops them."""
    open_until: list[float] = []
    for event in members:
        while open_until and open_until[-1] <= event["ts"]:
            open_until.pop()
        assert not open_until or _end(event) <= open_until[-1], event
        open_until.append(_end(event))


def _arrows(phases: dict[str, list[Event]], slices: Slices) -> None:
    """Each arrow has a tail and a head, in this order of time, each inside a slice of its thread."""
    tails, heads = ({event["id"]: event for event in phases[phase]} for phase in "sf")
    assert set(tails) == set(heads)
    assert len(tails) == len(phases["s"]) == len(phases["f"])
    for identity, head in heads.items():
        assert head["bp"] == "e"
        assert tails[identity]["ts"] <= head["ts"]
        for end in (tails[identity], head):
            members = slices[end["pid"], end["tid"]]
            assert any(event["ts"] <= end["ts"] <= _end(event) for event in members), end
