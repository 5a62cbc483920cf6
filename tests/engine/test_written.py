"""Spans that the belt wrote as numbers read like columns: whole, in part, and without being kept."""

from __future__ import annotations

import numpy as np
import pytest

from janus_sim.policies import DataCentric
from janus_sim.record import SPAN_COLUMNS, Record, rows_of, words_of
from janus_sim.record import spans as spans_module
from janus_sim.results.result import Result
from janus_sim.simulate import run
from janus_sim.topology import Topology
from janus_sim.workload.workload import Workload

WORDS = [name for name, kind in SPAN_COLUMNS.items() if kind is object]


@pytest.fixture(scope="module")
def record() -> Record:
    """Two machines of eight, whose dense gradients are spans of Python's amid those of the belt."""
    topology = Topology.load("a100_2x8")
    workload = Workload.load({"base": "moe_gpt", "micro_batch_size": 2}, world=topology.world)
    return run(topology, workload, DataCentric(), belt=True)


def test_some_spans_are_rows_of_all(record: Record) -> None:
    spans = record.spans
    by_python = np.flatnonzero(spans["stream"] == "communication")
    rows = np.concatenate([[5, 3], by_python[::-1], np.arange(100, 200)])
    assert len(by_python) >= 16
    some = rows_of(rows_of(spans, np.concatenate([rows, rows])), np.arange(len(rows)))
    for name in SPAN_COLUMNS:
        assert some[name].dtype == spans[name].dtype, name
        assert some[name].tolist() == spans[name][rows].tolist(), name


@pytest.mark.parametrize("name", WORDS)
def test_words_as_numbers_say_the_same(name: str, record: Record) -> None:
    words = words_of(record.spans, name)
    assert len(set(words.words)) == len(words.words)
    assert words.column().tolist() == record.spans[name].tolist()
    assert (
        words.among("compute", "dense").tolist() == np.isin(record.spans[name], ["compute", "dense"]).tolist()
    )


def test_columns_are_made_again_where_there_are_too_many_to_keep(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = np.arange(len(record.spans["rank"]))
    monkeypatch.setattr(spans_module, "KEPT", 1000)
    spans = rows_of(record.spans, rows)
    assert spans["begin"] is not spans["begin"]
    assert not spans["begin"].flags.writeable
    again = Record(spans, record.steps, record.links, record.layers, record.memory, record.facts)
    summary, whole = (Result(one).summary().to_dict("records") for one in (again, record))
    assert repr(summary) == repr(whole)


def test_a_column_that_is_none_is_no_key(record: Record) -> None:
    with pytest.raises(KeyError):
        record.spans["colour"]
