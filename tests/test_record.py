"""A span's id is its row, and its columns come out as they went in."""

from __future__ import annotations

import numpy as np
import pytest

from janus_sim.record import SPAN_COLUMNS, LinkRecord, Record, SpanLog, StepRecord


def test_ids_are_row_numbers() -> None:
    log = SpanLog()
    ids = [
        log.add(0, 0, -1, "", 0, 0, "compute", "compute", "k", "F0", float(i), float(i), i + 1.0, why=i - 1)
        for i in range(4)
    ]
    assert ids == [0, 1, 2, 3]
    assert len(log) == 4
    assert log.end(2) == 3.0


def test_columns_have_the_stated_types_and_are_read_only() -> None:
    log = SpanLog()
    log.add(
        1,
        2,
        3,
        "forward",
        4,
        0,
        "copy",
        "transfer",
        "pull",
        "beside",
        0.0,
        1.0,
        2.0,
        0,
        "m0.nic0.in",
        7,
        far_bytes=7,
    )
    columns = log.columns()
    assert list(columns) == list(SPAN_COLUMNS)
    assert columns["bytes"].dtype == np.int64
    assert columns["begin"].dtype == np.float64
    assert columns["resource"].tolist() == ["m0.nic0.in"]
    assert columns["far_bytes"].tolist() == [7]
    with pytest.raises(ValueError, match="read-only"):
        columns["begin"][0] = 5.0


def test_an_empty_log_has_empty_columns() -> None:
    columns = SpanLog().columns()
    assert list(columns) == list(SPAN_COLUMNS)
    assert all(len(column) == 0 for column in columns.values())


def test_a_step_knows_its_seconds() -> None:
    assert StepRecord(0, 1.0, 3.5, 0).seconds == 2.5


def test_a_record_needs_only_spans_and_steps() -> None:
    record = Record(SpanLog().columns(), ())
    assert record.links == ()
    assert record.facts == {}


def test_a_link_without_a_series_has_an_empty_one() -> None:
    link = LinkRecord("m0.nic0.out", "nic", 0, 25e9, True, 10, 5, 0.5)
    assert link.series.shape == (0,)
