"""Slices, threads, counters and arrows of records made by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from janus_sim.record import LinkRecord, Record, SpanLog, StepRecord
from janus_sim.results import perfetto
from janus_sim.results.result import Result
from tests.results import chrome


def test_a_made_world_parses(made: Callable[..., Record], tmp_path: Path) -> None:
    for policy in ("expert_centric", "data_centric"):
        paths = perfetto.write(Result(made(policy, steps=2)), tmp_path / policy, (0, 5), steps=2)
        assert [path.name for path in paths] == ["rank0.pt.trace.json", "rank5.pt.trace.json"]
        for path in paths:
            phases = chrome.read(path)
            assert phases["C"]
            assert phases["s"]


def test_copies_that_overlap_lie_on_threads_of_their_own_and_causes_are_arrows() -> None:
    log = SpanLog()
    first = log.add(0, 0, 1, "forward", 0, 0, "copy", "transfer", "pull 1", "beside", 0.0, 0.0, 2e-6)
    log.add(0, 0, 1, "forward", 0, 0, "copy", "transfer", "pull 2", "beside", 0.0, 1e-6, 4e-6)
    log.add(0, 0, 1, "forward", 0, 0, "copy", "transfer", "pull 3", "beside", 0.0, 2e-6, 3e-6, first)
    last = log.add(0, 0, 1, "forward", 0, 0, "compute", "compute", "expert 1", "F0", 2e-6, 2e-6, 5e-6, first)
    record = Record(log.columns(), (StepRecord(0, 0.0, 5e-6, last),))
    events = perfetto.trace(Result(record), 0)["traceEvents"]
    slices = {event["name"].rpartition(": ")[2]: event for event in events if event["ph"] == "X"}
    assert slices["pull 1"]["tid"] == slices["pull 3"]["tid"] != slices["pull 2"]["tid"]
    assert (slices["expert 1"]["ts"], slices["expert 1"]["dur"], slices["expert 1"]["tid"]) == (2.0, 3.0, 7)
    arrows = [(event["ph"], event["tid"], event["ts"]) for event in events if event["ph"] in "sf"]
    assert arrows == [("s", slices["pull 1"]["tid"], 1.999), ("f", 7, 2.0)]


def test_a_collective_is_open_from_its_join_and_a_link_counts_where_it_changes() -> None:
    import numpy as np

    log = SpanLog()
    last = log.add(0, 0, 1, "forward", 0, 0, "communication", "all_to_all", "dispatch", "F0", 0.0, 2e-6, 4e-6,
                   -1, "m0.nic0.out", 800)  # fmt: skip
    link = LinkRecord("m0.nic0.out", "nic", 0, 1e9, True, 800, 0, 1.0, np.array([0.0, 1e3, 1e3, 500.0]), 1e-6)
    record = Record(log.columns(), (StepRecord(0, 0.0, 4e-6, last),), (link,))
    events = perfetto.trace(Result(record, {"precision": "tf32"}), 0)["traceEvents"]
    (sent,) = (event for event in events if event["name"] == "ncclDevKernel_SendRecv")
    assert (sent["ts"], sent["dur"], sent["args"]["In msg nelems"]) == (0.0, 4.0, 200)
    assert [(event["ts"], event["args"]["share"]) for event in events if event["ph"] == "C"] == [
        (0.0, 0.0),
        (1.0, 1.0),
        (3.0, 0.5),
    ]
