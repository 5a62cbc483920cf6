"""A table shows itself in words: in a notebook and in LaTeX."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from janus_sim import open_results
from janus_sim.results import store, tables
from janus_sim.results.result import Result
from janus_sim.results.table import Table


@pytest.fixture
def table(results: list[Result]) -> Table:
    return Table(tables.add_speedup(tables.summary(results), "expert_centric"))


def test_latex_is_the_words_of_the_terminal(table: Table, tmp_path: Path) -> None:
    text = table.to_latex(caption="50 % faster", label="tab:one")
    lines = text.splitlines()
    assert lines[:4] == [
        r"\begin{table}", r"\centering", r"\caption{50 \% faster}", r"\label{tab:one}"
    ]  # fmt: skip
    heads = tables.text(table).columns
    assert f"{heads[0]} & {heads[1]} & {heads[2]}" in text
    assert (
        rf"data\_centric & {table['step_time_s'].iloc[1] * 1e3:.2f} & {table['speedup'].iloc[1]:.2f}x" in text
    )
    assert len({line.count(" & ") for line in lines if line.endswith(r"\\")}) == 1
    table.to_latex(tmp_path / "table.tex")
    assert (tmp_path / "table.tex").read_text() == table.to_latex()


def test_a_notebook_shows_words_and_what_was_found(table: Table) -> None:
    shown = table._repr_html_()
    assert "data_centric is" in shown
    assert shown.count("<tr>") == 3
    assert f"the DataFrame has {len(table.columns)} columns" in shown
    long = Table(pd.concat([table] * 50, ignore_index=True))
    assert "The first 60 of 100 rows" in long._repr_html_()


def test_a_notebook_shows_failed_rows_and_no_markup_of_theirs(table: Table) -> None:
    failed = Table(table.assign(error=[None, "<script>alert(1)</script>"]))
    failed.loc[1, ["step_time_s", "speedup"]] = float("nan")
    assert "&lt;script&gt;" in failed._repr_html_()
    assert "Where the time of a step goes" in failed._repr_html_()


def test_what_is_cut_out_of_a_table_is_plain(table: Table) -> None:
    assert type(table[table["speedup"] > 0]) is pd.DataFrame
    assert type(table.copy()) is pd.DataFrame


def test_a_result_shows_where_its_step_went(results: list[Result]) -> None:
    shown = results[0]._repr_html_()
    seconds = results[0].summary()["step_time_s"].iloc[0]
    assert f"expert_centric, moe_gpt, two_machines, tf32: {seconds * 1e3:.2f} ms a step" in shown
    shares = [float(cell.split("%")[0]) for cell in shown.split("<td>") if "%</td>" in cell]
    assert sum(shares) == pytest.approx(100, abs=0.1 * len(shares))


def test_a_folder_shows_its_table(results: list[Result], table: Table, tmp_path: Path) -> None:
    store.save(results, tmp_path / "out", table)
    assert (
        open_results(tmp_path / "out")._repr_html_() == open_results(tmp_path / "out").table()._repr_html_()
    )


def test_results_open_without_the_simulator(results: list[Result], table: Table, tmp_path: Path) -> None:
    """In one line, shown in a notebook, and nothing of engine, network or policies was imported."""
    store.save(results, tmp_path / "out", table)
    code = (
        "import sys, janus_sim;"
        f"shown = janus_sim.open_results({str(tmp_path / 'out')!r}).table()._repr_html_();"
        "print(len(shown) > 500, sorted(m for m in sys.modules if m.startswith('janus_sim.') "
        "and m.split('.')[1] not in {'results', 'record', 'errors', 'files', 'units'}),"
        "[m for m in ('simpy', 'numba', 'matplotlib', 'plotly') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "True [] []\n"
