"""Speedups match points of the grid; words for people."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import pandas as pd
import pytest

from janus_sim.errors import InputError
from janus_sim.record import Record
from janus_sim.results import tables
from janus_sim.results.result import Result


def grid() -> pd.DataFrame:
    rows = [
        (workload, buffer, policy, seconds)
        for workload, buffer, slow, fast in (("a", 4, 8.0, 4.0), ("a", 8, 8.0, 2.0), ("b", 4, 9.0, 3.0))
        for policy, seconds in (("slow", slow), ("fast", fast))
    ]
    return pd.DataFrame(rows, columns=["workload", "policies.fast.buffer", "policy", "step_time_s"])


def test_speedup_is_over_the_baseline_at_the_same_point() -> None:
    assert tables.add_speedup(grid(), "slow")["speedup"].tolist() == [1, 2, 1, 4, 1, 3]


def test_the_baseline_need_not_run_again_for_a_knob_of_another_policy() -> None:
    table = grid()
    once = table[~((table["policy"] == "slow") & (table["policies.fast.buffer"] == 8))]
    assert tables.add_speedup(once, "slow")["speedup"].tolist() == [1, 2, 4, 1, 3]


def test_a_varied_bandwidth_is_part_of_the_point() -> None:
    table = pd.DataFrame(
        {
            "topology.nic": ["100 Gbit/s", "200 Gbit/s"] * 2,
            "policy": ["slow", "slow", "fast", "fast"],
            "step_time_s": [8.0, 4.0, 4.0, 4.0],
        }
    )
    assert tables.add_speedup(table, "slow")["speedup"].tolist() == [1, 1, 2, 1]


def test_the_table_given_stays_as_it_was() -> None:
    table = grid()
    tables.add_speedup(table, "slow")
    assert "speedup" not in table


def test_an_unknown_baseline_is_told() -> None:
    with pytest.raises(InputError, match='no policy "slwo" in this table; write one of slow, fast'):
        tables.add_speedup(grid(), "slwo")


@pytest.fixture
def summary(made: Callable[..., Record], scenario: dict[str, object]) -> pd.DataFrame:
    results = [Result(made(policy), scenario | {"name": policy, "policy": policy})
               for policy in ("expert_centric", "data_centric")]  # fmt: skip
    return tables.add_speedup(tables.summary(results), "expert_centric")


@pytest.mark.parametrize("of", [tables.breakdown, tables.path])
def test_the_parts_of_a_step_add_up(
    summary: pd.DataFrame, of: Callable[[pd.DataFrame], pd.DataFrame]
) -> None:
    rows = of(summary)
    total = rows.groupby("policy", sort=False)["seconds"].sum()
    assert total.tolist() == pytest.approx(summary["step_time_s"].tolist())
    assert rows.groupby("policy")["share"].sum().tolist() == pytest.approx([1, 1])
    assert (rows["seconds"] >= 0).all()
    assert list(rows["policy"].unique()) == ["expert_centric", "data_centric"]


def test_words_for_people(summary: pd.DataFrame) -> None:
    shown = tables.text(summary)
    assert shown["policy"].tolist() == ["expert_centric", "data_centric"]
    assert shown["ms"].iloc[0] == f"{summary['step_time_s'].iloc[0] * 1e3:.2f}"
    assert shown["speedup"].iloc[0] == "1.00x"
    assert shown["fits"].tolist() == ["yes", "yes"]
    assert "workload" not in shown


def test_json_rows_are_the_columns_of_the_summary(summary: pd.DataFrame) -> None:
    rows = json.loads(json.dumps(tables.json_rows(summary), allow_nan=False))
    assert list(rows[0]) == list(summary.columns)
    assert rows[0]["fits"] is True
    assert rows[1]["all_to_all_goodput_bytes_per_s"] is None
    assert math.isclose(rows[1]["speedup"], summary["speedup"].iloc[1])


def test_gathered_tables_name_their_scenario(made: Callable[..., Record]) -> None:
    table = tables.gather([Result(made(), {"name": "a"}), Result(made(), {"name": "b"})], "links")
    assert table.columns[0] == "scenario"
    assert table["scenario"].unique().tolist() == ["a", "b"]
