"""The path leads from the end of a step back to its begin, and its parts are the whole step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from janus_sim.errors import JanusSimError
from janus_sim.record import LinkRecord, Record, SpanLog, StepRecord
from janus_sim.results.critical_path import PARTS, attribute, critical_path


def adds_up(record: Record, step: StepRecord) -> None:
    """Check contiguity and, in exact fractions, the sum."""
    begin, end = record.spans["begin"], record.spans["end"]
    path = critical_path(record.spans, step)
    assert begin[path[0]] == step.begin
    assert end[path[-1]] == step.end
    assert np.array_equal(begin[path[1:]], end[path[:-1]])
    exact = sum((Fraction(float(end[i])) - Fraction(float(begin[i])) for i in path), Fraction(0))
    assert exact == Fraction(step.end) - Fraction(step.begin)


@st.composite
def causal_spans(draw: st.DrawFn) -> Record:
    """Spans of which each begins where an earlier one ended, or with the step."""
    start = draw(st.floats(0, 10))
    log = SpanLog()
    kinds = st.sampled_from(["compute", "all_to_all", "all_reduce", "transfer", "think", "wait"])
    for row in range(draw(st.integers(1, 40))):
        why = draw(st.integers(-1, row - 1))
        begin = start if why < 0 else log.end(why)
        end = begin + draw(st.floats(0, 1e-2))
        log.add(
            0, 0, draw(st.integers(-1, 2)), draw(st.sampled_from(["forward", "backward"])),
            draw(st.integers(0, 3)), 0, "compute", draw(kinds), "x", "F0", begin, begin, end, why,
            draw(st.sampled_from(["a", "gpu", "host", ""])),
            launch=draw(st.floats(0, 1e-2)), ideal=draw(st.floats(0, 1e-2)),
        )  # fmt: skip
    last = max(range(len(log)), key=log.end)
    links = (LinkRecord("a", "nic", 0, 1.0, True, 0, 0, 0.0),)
    return Record(log.columns(), (StepRecord(0, start, log.end(last), last),), links)


@given(causal_spans())
def test_the_path_adds_up_exactly(record: Record) -> None:
    adds_up(record, record.steps[0])


@given(causal_spans())
def test_the_parts_of_each_span_are_its_duration_and_none_is_negative(record: Record) -> None:
    told = attribute(record, record.steps[0])
    seconds = record.spans["end"][told.path] - record.spans["begin"][told.path]
    assert list(told.seconds) == list(PARTS)
    assert all((told.seconds[part] >= 0).all() for part in PARTS)
    assert np.allclose(sum(told.seconds[part] for part in PARTS), seconds, rtol=1e-12, atol=0)
    assert math.isclose(sum(told.totals().values()), record.steps[0].seconds, rel_tol=1e-9, abs_tol=1e-12)


@pytest.mark.parametrize("policy", ["expert_centric", "data_centric"])
def test_made_records_add_up_in_every_step(made: Callable[..., Record], policy: str) -> None:
    record = made(policy, steps=2)
    for step in record.steps:
        adds_up(record, step)


def story(*rows: tuple[int, str, float, float, int, str, float, float]) -> Record:
    """Rows of (rank, kind, begin, end, why, resource, launch, ideal) in one layer of one step."""
    log = SpanLog()
    for rank, kind, begin, end, why, resource, launch, ideal in rows:
        log.add(0, 0, 1, "forward", rank, 0, "compute", kind, "x", "F0", begin, begin, end, why, resource,
                launch=launch, ideal=ideal)  # fmt: skip
    last = len(log) - 1
    links = (LinkRecord("m0.nic0.out", "nic", 0, 1.0, True, 0, 0, 0.0),
             LinkRecord("m0.switch0.uplink.up", "uplink", 0, 1.0, False, 0, 0, 0.0))  # fmt: skip
    return Record(log.columns(), (StepRecord(0, 0.0, log.end(last), last),), links, facts={"world": 2})


def test_a_kernel_is_launch_useful_work_and_the_loss_of_small_kernels() -> None:
    told = attribute(story((0, "compute", 0, 10, -1, "gpu", 1, 6)), StepRecord(0, 0.0, 10.0, 0)).totals()
    assert (told["launch"], told["compute"], told["small_kernels"]) == (1, 6, 3)


def test_bytes_are_told_by_the_kind_of_the_link_that_bound_them() -> None:
    record = story(
        (0, "transfer", 0, 2, -1, "m0.nic0.out", 0, 0),
        (0, "transfer", 2, 5, 0, "m0.switch0.uplink.up", 0, 0),
        (0, "transfer", 5, 9, 1, "", 0, 0),
        (0, "think", 9, 14, 2, "host", 0, 0),
    )
    told = attribute(record, record.steps[0]).totals()
    assert (told["nic"], told["pcie"], told["transfer_start"], told["host"]) == (2, 3, 4, 5)


def test_the_straggler_is_what_the_busiest_rank_takes_beyond_the_mean() -> None:
    """Rank 0 computes 2 s, rank 1 6 s: the mean is 4, so 2 s are lost, and the path is rank 1's."""
    record = story(
        (0, "compute", 0, 2, -1, "gpu", 0, 2),
        (1, "compute", 0, 6, -1, "gpu", 0, 6),
        (0, "all_to_all", 6, 7, 1, "m0.nic0.out", 0, 0),
        (1, "all_to_all", 6, 7, 1, "m0.nic0.out", 0, 0),
    )
    told = attribute(record, record.steps[0]).totals()
    assert (told["straggler"], told["compute"], told["nic"]) == (2, 4, 1)


def test_ranks_alike_lose_nothing() -> None:
    record = story(
        (0, "compute", 0, 4, -1, "gpu", 0, 2),
        (1, "compute", 0, 4, -1, "gpu", 0, 2),
    )
    assert attribute(record, record.steps[0]).totals()["straggler"] == 0


def test_a_broken_chain_is_told() -> None:
    record = story((0, "compute", 0, 4, -1, "gpu", 0, 2), (0, "compute", 5, 6, 0, "gpu", 0, 2))
    with pytest.raises(JanusSimError, match=r"does not add up.*ends at 4\.0, not at 5\.0"):
        critical_path(record.spans, record.steps[0])
    with pytest.raises(JanusSimError, match="without a cause"):
        critical_path(record.spans, replace(record.steps[0], begin=-1.0, end=4.0, last_span=0))
