"""One row of figures a run, tidy tables, and the way to files and back."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from janus_sim.errors import InputError
from janus_sim.record import LinkRecord, Record, SpanLog, StepRecord
from janus_sim.results import store
from janus_sim.results.critical_path import PARTS
from janus_sim.results.result import Result
from janus_sim.results.store import open_results, save

#: The names that the issue gives; scripts of users hang on them.
PROMISED = (
    "scenario topology workload precision micro_batch_size policy step_time_s step_time_p50_s "
    "step_time_p99_s speedup exposed_comm_s exposed_all_to_all_s exposed_all_to_all_share "
    "expert_cross_machine_bytes dense_cross_machine_bytes gpu_busy_share straggler_s fits "
    "peak_gpu_memory_bytes peak_host_memory_bytes tokens_per_s tokens_per_s_per_gpu "
    "model_flops_per_s_per_gpu mfu useful_flops padded_flops r paradigms"
)


@pytest.fixture
def result(made: Callable[..., Record], scenario: dict[str, object]) -> Result:
    return Result(made(steps=2), scenario)


def test_the_summary_has_every_promised_column_in_one_row(result: Result) -> None:
    row = result.summary()
    assert len(row) == 1
    assert [name for name in PROMISED.split() if name not in row.columns] == []
    assert not isinstance(row.columns, pd.MultiIndex)


def test_the_parts_of_a_step_add_up_to_it(result: Result) -> None:
    row = result.summary().iloc[0]
    path = row["straggler_s"] + sum(row[f"path_{part}_s"] for part in PARTS if part != "straggler")
    assert math.isclose(path, row["step_time_s"], rel_tol=1e-12)
    assert math.isclose(
        row["gpu_busy_s"] + row["exposed_comm_s"] + row["idle_s"], row["step_time_s"], rel_tol=1e-12
    )
    assert 0 < row["exposed_all_to_all_share"] < 1


def test_figures_of_a_small_story() -> None:
    """One GPU computes 4 s, and sends for 6 s more; 2 tokens a step, 10 FLOPs of a peak of 5 a second."""
    log = SpanLog()
    a = log.add(
        0, 0, 0, "forward", 0, 0, "compute", "compute", "k", "F0", 0.0, 0.0, 4.0, flops=8.0, padded_flops=9.0
    )
    b = log.add(
        0, 0, 0, "forward", 0, 0, "communication", "all_to_all", "d", "F0", 4.0, 4.0, 10.0, a, "nic", 60
    )
    nic = LinkRecord("nic", "nic", 0, 20.0, True, 60, 40, 6.0, np.array([100.0, 0.0]), 5.0)
    facts = {"world": 1, "tokens_per_rank": 2, "model_flops": 10.0, "peak_flops": 5.0, "machine_of": [0]}
    record = Record(log.columns(), (StepRecord(0, 0.0, 10.0, b),), (nic,), facts=facts)  # type: ignore[arg-type]
    row = Result(record, {"name": "story"}).summary().iloc[0]
    assert (row["step_time_s"], row["step_time_p50_s"], row["step_time_p99_s"]) == (10, 10, 10)
    assert (row["exposed_all_to_all_s"], row["exposed_all_to_all_share"], row["gpu_busy_share"]) == (
        6,
        0.6,
        0.4,
    )
    assert (row["expert_cross_machine_bytes"], row["dense_cross_machine_bytes"], row["nic_bytes"]) == (
        60,
        40,
        100,
    )
    assert (row["nic_utilization_mean"], row["nic_utilization_peak"]) == (0.5, 1.0)
    assert (row["tokens_per_s"], row["model_flops_per_s_per_gpu"], row["mfu"]) == (0.2, 1.0, 0.2)
    assert (row["useful_flops"], row["padded_flops"]) == (8, 9)
    assert row["all_to_all_goodput_bytes_per_s"] == 10
    assert math.isnan(row["speedup"])


def test_paradigms_and_gains_go_from_shallow_to_deep(result: Result) -> None:
    row = result.summary().iloc[0]
    assert row["paradigms"] == "E E"
    assert row["r_per_layer"] == "6 8"
    assert row["r"] == 7
    assert row["dropped_rows_share"] == 0.01


def test_bytes_are_those_of_one_step(made: Callable[..., Record]) -> None:
    one, two = Result(made()).summary().iloc[0], Result(made(steps=2)).summary().iloc[0]
    assert two["expert_cross_machine_bytes"] == pytest.approx(one["expert_cross_machine_bytes"], rel=0.1)


def test_tables_are_tidy(result: Result) -> None:
    assert len(result.links) == len(result.record.links)
    assert len(result.spans) == len(result.record.spans["rank"])
    assert list(result.memory.columns) == ["rank", "machine", "component", "bytes"]
    assert (result.link_series["utilization"] <= 1 + 1e-9).all()
    assert result.link_series.groupby("link")["bytes"].sum().sum() == pytest.approx(
        sum(link.series.sum() for link in result.record.links)
    )


def test_an_empty_record_has_empty_tables() -> None:
    result = Result(Record(SpanLog().columns(), ()))
    assert [len(table) for table in (result.links, result.link_series, result.layers, result.memory)] == [
        0
    ] * 4
    assert len(result.summary()) == 1


def test_a_result_comes_back_from_its_files(result: Result, tmp_path: Path) -> None:
    result.save(tmp_path / "out")
    again = Result.load(tmp_path / "out")
    pd.testing.assert_frame_equal(again.summary(), result.summary())
    for name in ("spans", "links", "link_series", "layers", "memory", "steps"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(result, name))


def test_two_results_share_a_folder(
    made: Callable[..., Record], scenario: dict[str, object], tmp_path: Path
) -> None:
    results = [Result(made(policy), scenario | {"name": policy, "policy": policy})
               for policy in ("expert_centric", "data_centric")]  # fmt: skip
    save(results, tmp_path / "out")
    again = open_results(tmp_path / "out")
    assert [one.scenario["name"] for one in again] == ["expert_centric", "data_centric"]
    for one, other in zip(results, again, strict=True):
        pd.testing.assert_frame_equal(one.summary(), other.summary())
    assert len(pd.read_csv(tmp_path / "out" / "summary.csv")) == 2
    with pytest.raises(InputError, match="holds 2 results"):
        Result.load(tmp_path / "out")


def test_files_are_alike_run_to_run(
    made: Callable[..., Record], scenario: dict[str, object], tmp_path: Path
) -> None:
    for folder in ("a", "b"):
        Result(made(), scenario).save(tmp_path / folder)
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert " ".join(names) == (
        "layers.csv link_series.parquet links.csv memory.csv runs scenarios.json "
        "spans.parquet steps.csv summary.csv"
    )
    for name in names:
        if name == "runs":
            continue
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_csv_keeps_every_digit_and_whole_bytes(tmp_path: Path) -> None:
    store.write_csv(pd.DataFrame({"x_s": [0.1 + 0.2], "y_bytes": [2.0**40]}), tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_bytes() == b"x_s,y_bytes\n0.30000000000000004,1099511627776\n"


def test_a_folder_without_results_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no results"):
        open_results(tmp_path)
