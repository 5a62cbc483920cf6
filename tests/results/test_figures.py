"""Figures say what they found, and are the same bytes for the same numbers."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from janus_sim.errors import InputError
from janus_sim.record import LinkRecord, StepRecord
from janus_sim.results import (
    explain,
    figures,
    figures_links,
    figures_steps,
    figures_timeline,
    tables,
    wording,
)
from janus_sim.results.figures_style import Width
from janus_sim.results.result import Result


@pytest.fixture
def summary(results: list[Result]) -> pd.DataFrame:
    return tables.add_speedup(tables.summary(results), "expert_centric")


def test_all_figures_are_drawn_alike_twice(
    results: list[Result], summary: pd.DataFrame, tmp_path: Path
) -> None:
    first = figures.draw(results, summary, tmp_path / "a")
    second = figures.draw(results, summary, tmp_path / "b")
    assert [path.name for path in first] == [
        f"{name}.{kind}"
        for name in ("step_time", "links", "timeline")
        for kind in ("png", "pdf", "svg", "figure.csv")
    ]
    assert pd.read_csv(first[3]).equals(figures_steps.numbers(summary))
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()


SVG_OF_AN_AGE = """
from janus_sim.results import figures
import pandas as pd, sys
row = {"policy": "a", "workload": "w", "step_time_s": 5.0, "speedup": 2.0, "gpu_busy_s": 3.0, "idle_s": 0.5}
row |= {"exposed_comm_s": 1.5, "exposed_comm_waiting_s": 0.25}
figure = figures.step_time(pd.DataFrame([row]), width="page")
for path in figures.write(figure, __import__("pathlib").Path(sys.argv[1]) / "one"):
    sys.stdout.buffer.write(path.read_bytes())
"""


def test_files_are_the_same_in_another_process_and_hold_their_fonts(tmp_path: Path) -> None:
    told = []
    for seed in ("1", "2"):
        folder = tmp_path / seed
        done = subprocess.run(
            [sys.executable, "-c", SVG_OF_AN_AGE, str(folder)], check=True, capture_output=True,
            env=os.environ | {"PYTHONHASHSEED": seed, "SOURCE_DATE_EPOCH": ""},
        )  # fmt: skip
        told.append(done.stdout)
    assert told[0] == told[1]
    pdf = (folder / "one.pdf").read_bytes()
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf
    assert "<text" not in (folder / "one.svg").read_text()


@pytest.mark.parametrize(("width", "pixels"), [("column", 532), ("page", 1120)])
def test_figures_for_a_paper_are_so_wide_and_have_no_title(
    width: Width, pixels: int, results: list[Result], summary: pd.DataFrame, tmp_path: Path
) -> None:
    way = explain.explain(*results)
    shown = {"one": results[0]}
    for figure in (
        figures.step_time(summary, width=width),
        figures.links(shown, width),
        figures.timeline(shown, width=width),
        figures.waterfall(way, width),
    ):
        assert int(figure.get_size_inches()[0] * 160) == pixels
        assert figure.get_suptitle() == ""
    drawn = figures.write(figures.step_time(summary, width=width), tmp_path / "one")
    assert int.from_bytes(drawn[0].read_bytes()[16:20]) == pixels
    assert figures.step_time(summary).get_suptitle() != ""


def test_there_is_no_other_width(summary: pd.DataFrame) -> None:
    with pytest.raises(InputError, match='"wide" is none; write column or page'):
        figures.step_time(summary, width="wide")  # type: ignore[arg-type]


def test_the_numbers_beside_a_figure_are_those_of_the_record(
    results: list[Result], summary: pd.DataFrame
) -> None:
    shown = dict(zip(("expert_centric", "data_centric"), results, strict=True))
    bars = figures_steps.numbers(summary)
    parts = bars[["compute_s", "exposed_communication_s", "waiting_s"]].sum(axis=1)
    assert parts.to_numpy() == pytest.approx(summary["step_time_s"].to_numpy())
    assert bars["speedup"].to_numpy() == pytest.approx(summary["speedup"].to_numpy())
    heat = figures_links.numbers(shown).set_index(["policy", "link"])
    link = next(link for link in results[0].record.links if link.series.any())
    step = results[0].record.steps[0]
    shares = heat.loc[("expert_centric", link.name)]
    assert shares.filter(like="slice_").iloc[1:].to_numpy() == pytest.approx(
        figures_links.row(link, step), abs=1e-4
    )
    spans = figures_timeline.numbers(shown)
    ends = spans.groupby("policy")[["begin_s", "seconds"]].apply(lambda row: row.sum(axis=1).max())
    for policy, result in zip(("expert_centric", "data_centric"), results, strict=True):
        assert 0.9 < ends[policy] / result.record.steps[0].seconds <= 1.0 + 1e-9


def test_the_title_is_the_finding(summary: pd.DataFrame) -> None:
    gain = summary["speedup"].iloc[1]
    assert wording.finding(summary) == f"data_centric is {gain:.2f}x faster than expert_centric on moe_gpt"


def test_the_finding_of_a_grid_names_the_best_and_the_worst_point() -> None:
    table = pd.DataFrame(
        {
            "workload": ["bert", "bert", "gpt", "gpt"],
            "micro_batch_size": [8, 8, 64, 64],
            "policy": ["slow", "fast"] * 2,
            "speedup": [1.0, 0.9, 1.0, 2.0],
        }
    )
    assert wording.finding(table) == (
        "fast is up to 2.00x faster than slow on gpt, micro batch size 64; at worst 0.90x"
    )
    assert wording.finding(table.head(2), "slow").startswith("No policy is faster than slow")
    assert wording.finding(table[table["policy"] == "slow"]) == "Where the time of a step goes"


def test_links_and_timeline_compare_the_policies_at_the_first_point(results: list[Result]) -> None:
    other = [Result(one.record, dict(one.scenario) | {"workload": "moe_bert"}) for one in results]
    table = tables.summary([*results, *other])
    assert figures.first_point([*results, *other], table) == dict(
        zip(["expert_centric", "data_centric"], results, strict=True)
    )


def test_a_table_longer_than_a_page_is_cut(summary: pd.DataFrame) -> None:
    long = pd.concat([summary] * 30, ignore_index=True)
    figure = figures.step_time(long)
    assert "the first 40 of 60 rows" in figure.axes[0].get_xlabel()


def test_a_slice_of_the_heat_map_is_bytes_over_capacity_and_time() -> None:
    """Full in the first half of the step, idle in the second."""
    link = LinkRecord("a", "nic", 0, 2.0, True, 8, 0, 4.0, np.array([4.0, 4.0, 0.0, 0.0]), 2.0)
    heat = figures_links.row(link, StepRecord(0, 0.0, 8.0, 0))
    half = figures_links.COLUMNS // 2
    assert heat[: half - 1] == pytest.approx(1)
    assert heat[half + 1 :] == pytest.approx(0)
    assert figures_links.row(link, StepRecord(1, 4.0, 8.0, 0)) == pytest.approx(0)


def test_groups_of_many_links_are_thinned_out() -> None:
    nic = LinkRecord("m0.nic0.out", "nic", 0, 1.0, True, 0, 0, 0.0, np.ones(1), 1.0)
    many = [replace(nic, name=f"m{m}.nic{n}.out", machine=m) for m in range(32) for n in range(4)]
    ((words, shown),) = figures_links.groups_of(many)
    assert words == "NICs out\n32 machines, 16 of 128"
    assert len(shown) == 16


def test_bars_of_the_timeline_are_a_union() -> None:
    assert figures_timeline.merge(np.array([0.0, 1.0, 5.0]), np.array([3.0, 2.0, 6.0]), 0.1) == [
        (0.0, 3.0),
        (5.0, 1.0),
    ]
    assert figures_timeline.merge(np.zeros(0), np.zeros(0), 0.1) == []


def test_a_record_without_series_has_no_figure_of_links(results: list[Result], tmp_path: Path) -> None:
    bare = [Result(replace(one.record, links=()), one.scenario) for one in results]
    names = {path.name.partition(".")[0] for path in figures.draw(bare, tables.summary(bare), tmp_path)}
    assert names == {"step_time", "timeline"}


def test_long_names_of_policies_do_not_run_into_the_next_panel(results: list[Result]) -> None:
    name = "data_centric_without_prefetch_and_with_a_long_name"
    figure = figures_links.draw({name: results[0], "short": results[1]})
    lines = figure.axes[0].get_title(loc="left").splitlines()
    assert "".join(lines).startswith(name)
    assert max(map(len, lines)) <= figures_links.TITLE_WIDTH


def test_of_several_steps_the_first_is_shown_and_called_so(results: list[Result]) -> None:
    first = results[0].record.steps[0]
    second = replace(first, step=1, begin=first.end, end=first.end + 1.0)
    longer = Result(replace(results[0].record, steps=[first, second]), results[0].scenario)
    for figure in (figures_links.draw({"a": longer}), figures_timeline.draw({"a": longer}, 0)):
        assert figure.get_suptitle().startswith("The first of 2 training steps of moe_gpt")
