"""Each metric by a small story, and the fast union of intervals against an obvious one."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from janus_sim.record import LinkRecord, MemoryRecord, Record, SpanLog, StepRecord
from janus_sim.results import metrics

INTERVALS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30), st.integers(0, 10)), max_size=40)


@given(INTERVALS)
def test_covered_counts_each_unit_of_time_once(intervals: list[tuple[int, int, int]]) -> None:
    open_units = [{t for g, b, n in intervals if g == group for t in range(b, b + n)} for group in range(4)]
    group, begin, length = (np.array([row[i] for row in intervals], dtype=np.int64) for i in range(3))
    got = metrics.covered(group, begin.astype(float), (begin + length).astype(float), 4)
    assert got.tolist() == [len(units) for units in open_units]


def story(*rows: tuple[int, str, float, float, float], world: int = 1, end: float = 10.0) -> Record:
    """Rows of (rank, kind, joined, begin, end) in one step, on one machine."""
    log = SpanLog()
    for rank, kind, joined, begin, until in rows:
        log.add(
            0, 0, 0, "forward", rank, 0, "x", kind, "x", "F0", joined, begin, until, bytes=30, far_bytes=24
        )
    facts = {"world": world, "machine_of": [0] * world}
    return Record(log.columns(), (StepRecord(0, 0.0, end, 0),), facts=facts)  # type: ignore[arg-type]


def test_an_all_to_all_is_exposed_from_its_join_where_no_kernel_runs() -> None:
    record = story((0, "compute", 0, 0, 3), (0, "all_to_all", 2, 4, 6), (0, "compute", 5, 5, 8))
    occupancy = metrics.Occupancy(record)
    assert occupancy.busy.tolist() == [[6]]
    assert occupancy.exposed_all_to_all.tolist() == [[2]]  # 3 to 5
    assert occupancy.exposed_moving.tolist() == [[1]]  # 4 to 5: the last partner joined at 4


def test_an_all_reduce_is_communication_but_no_all_to_all() -> None:
    occupancy = metrics.Occupancy(story((0, "all_reduce", 1, 1, 4)))
    assert occupancy.exposed_comm.tolist() == [[3]]
    assert occupancy.exposed_all_to_all.tolist() == [[0]]


def test_a_transfer_of_the_machine_is_open_on_each_of_its_ranks() -> None:
    record = story((0, "compute", 0, 0, 4), (-1, "transfer", 2, 2, 6), world=2)
    assert metrics.Occupancy(record).exposed_comm.tolist() == [[2, 4]]


def test_thinking_and_waiting_are_neither() -> None:
    occupancy = metrics.Occupancy(story((0, "think", 0, 0, 4), (0, "wait", 0, 0, 4)))
    assert occupancy.busy.tolist() == occupancy.exposed_comm.tolist() == [[0]]


def test_steps_are_kept_apart() -> None:
    log = SpanLog()
    log.add(3, 0, 0, "", 0, 0, "compute", "compute", "x", "", 0.0, 0.0, 1.0)
    log.add(4, 0, 0, "", 0, 0, "compute", "compute", "x", "", 1.0, 1.0, 4.0)
    record = Record(log.columns(), (StepRecord(3, 0.0, 1.0, 0), StepRecord(4, 1.0, 4.0, 1)))
    assert metrics.Occupancy(record).busy.tolist() == [[1], [3]]


def test_no_exposure_is_negative_or_longer_than_the_step(made: Callable[..., Record]) -> None:
    for policy in ("expert_centric", "data_centric"):
        record = made(policy, steps=2)
        occupancy, seconds = metrics.Occupancy(record), metrics.step_seconds(record)[:, None]
        assert (occupancy.exposed_all_to_all <= occupancy.exposed_comm).all()
        assert (occupancy.exposed_moving <= occupancy.exposed_comm + 1e-15).all()
        assert (occupancy.busy + occupancy.exposed_comm <= seconds * (1 + 1e-12)).all()


def test_utilization_is_bytes_over_capacity_and_time() -> None:
    nic = LinkRecord("a", "nic", 0, 10.0, True, 30, 20, 5.0, np.array([10.0, 5.0]), 1.0)
    idle = LinkRecord("b", "nic", 0, 10.0, False, 0, 0, 0.0, np.array([0.0]), 1.0)
    assert metrics.utilization(nic, 10.0) == (0.5, 1.0)
    assert metrics.utilization_of_kind([nic, idle], "nic", 10.0) == (0.25, 1.0)
    assert all(math.isnan(x) for x in metrics.utilization_of_kind([nic], "nvlink", 10.0))


def test_only_links_that_leave_a_machine_count_as_cross_machine() -> None:
    out = LinkRecord("out", "nic", 0, 1.0, True, 7, 5, 0.0)
    into = LinkRecord("in", "nic", 1, 1.0, False, 7, 5, 0.0)
    assert metrics.carried([out, into], crosses=True) == (7, 5)
    assert metrics.carried([out, into], kind="nic") == (14, 10)


def test_a_run_fits_when_every_gpu_and_host_does() -> None:
    memory = (
        MemoryRecord(rank=0, machine=0, component="weights", bytes=6),
        MemoryRecord(rank=0, machine=0, component="activations", bytes=4),
        MemoryRecord(rank=-1, machine=0, component="cache", bytes=9),
    )
    record = Record(SpanLog().columns(), (), memory=memory, facts={"hbm_size": [10], "host_memory": [9]})
    assert metrics.fits(Record(record.spans, ())) is None
    assert metrics.peak_memory(record) == ({0: 10}, {0: 9})
    assert metrics.fits(record)
    assert not metrics.fits(
        Record(record.spans, (), memory=memory, facts={"hbm_size": [9], "host_memory": [9]})
    )
    assert not metrics.fits(
        Record(record.spans, (), memory=memory, facts={"hbm_size": [10], "host_memory": [8]})
    )


def test_goodput_is_bytes_that_leave_over_the_time_the_all_to_all_is_open() -> None:
    assert metrics.goodput(story((0, "all_to_all", 1, 2, 4))) == (10, 8)
    assert all(math.isnan(x) for x in metrics.goodput(story((0, "compute", 0, 0, 1))))


def test_dropped_share() -> None:
    assert metrics.dropped_share([{"rows": 90, "dropped_rows": 10}, {"rows": 110}]) == 0.05
    assert metrics.dropped_share([]) == 0.0
