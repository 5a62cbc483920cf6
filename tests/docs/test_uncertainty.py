"""The committed table of uncertainty: its figure is drawn from it, and it is that of this model."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.cli.conftest import COMMAND

ROOT = Path(__file__).parent.parent.parent
TABLE = pd.read_csv(ROOT / "docs" / "uncertainty.csv")


def test_the_figure_is_drawn_from_the_table(tmp_path: Path) -> None:
    command = [sys.executable, ROOT / "docs" / "images" / "uncertainty.py", tmp_path]
    subprocess.run(command, check=True, cwd=ROOT)
    assert (tmp_path / "uncertainty.png").read_bytes().startswith(b"\x89PNG")


def test_the_text_says_what_the_table_says() -> None:
    text = (ROOT / "docs" / "uncertainty.md").read_text()
    for row in TABLE.to_dict("records"):
        cells = [f"{row[name]:.3f}" for name in ("nominal", "p5", "median", "p95", "width")]
        assert f"| {row['workload']} | {row['precision']} | {' | '.join(cells)} | 100 % |" in text
    best = TABLE[TABLE["workload"] == "best of 4"]
    readme = " ".join((ROOT / "README.md").read_text().split())
    for row in best.to_dict("records"):
        assert f"{row['p5']:.2f} and {row['p95']:.2f} in {row['precision']}" in readme


def test_eight_draws_of_one_row_agree_with_the_hundred(tmp_path: Path) -> None:
    chosen = (
        "workload={name: moe_bert, base: moe_bert, routing: {kind: dirichlet}}",
        "workload.precision=tf32",
    )
    command = [COMMAND, "uncertainty", "janus_uncertainty", *chosen, "--draws", "8", "--out", "eight"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (found,) = pd.read_csv(tmp_path / "eight" / "intervals.csv").to_dict("records")
    hundred = TABLE[(TABLE["workload"] == "moe_bert") & (TABLE["precision"] == "tf32")].iloc[0]
    assert found["nominal"] == pytest.approx(hundred["nominal"], rel=1e-6)  # the table is of this model
    assert hundred["p5"] < found["median"] < hundred["p95"]
    assert found["beats_baseline"] == 1.0
