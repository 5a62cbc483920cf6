"""`janus-sim trace`: what a user does with a file of routing, by the command line itself."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from janus_sim.cli import main
from janus_sim.traces import open_trace


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as end:
        main(["trace", *map(str, arguments)])
    return int(end.value.code or 0)


@pytest.fixture
def npz(tmp_path: Path) -> Path:
    """Two steps of 4 experts on 2 ranks: balanced at step 5, expert 0 gets 3 of 8 rows at step 6."""
    counts = np.array([[[[[1, 1, 1, 1], [1, 1, 1, 1]]]], [[[[2, 1, 1, 0], [1, 1, 1, 1]]]]])
    np.savez(tmp_path / "t.npz", counts=counts, iteration=np.array([5, 6]))
    return tmp_path / "t.npz"


def test_import_then_info_then_plot(npz: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = npz.with_name("t.parquet")
    assert run("import", npz, "-o", out, "--top-k", "2", "--model", "tiny", "--licence", "MIT") == 0
    said = capsys.readouterr()
    assert said.out == f"{out}: 2 steps x 1 micro-batches x 1 layers x 2 ranks\n"
    assert said.err.startswith("format npz\n4 records in ")
    info = open_trace(out).info
    assert (info.model, info.licence, info.top_k, info.tokens, info.steps) == ("tiny", "MIT", 2, 2, (5, 6))
    assert run("info", out) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "model tiny phase training" in text
    assert "0 4 1.25 1.50 0.09" in text  # max/mean 1 and 3/2; Gini 0 and 3/16
    assert "contiguous blocks 1.12 1.25" in text  # 4 + 4, then 5 + 3 rows
    assert run("plot", out) == 0
    written = [str(npz.with_name(f"t{form}")) for form in (".png", ".pdf", ".svg", ".figure.csv")]
    assert capsys.readouterr().out.splitlines() == written
    assert npz.with_name("t.figure.csv").read_text().splitlines()[0].startswith("step,mean_over_layers")
    assert npz.with_name("t.png").read_bytes().startswith(b"\x89PNG")


def test_info_as_json(npz: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("info", npz, "--format", "json", "--gpus", "4") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["info"]["rows"] == [4, 4]
    assert found["time"] == {"steps": [5, 6], "max_over_mean": [1.0, 1.5], "gini": [0.0, 0.1875]}
    assert found["static_placement"]["contiguous"] == {"mean": 1.25, "worst": 1.5}


def test_mistakes_have_exit_status_2_and_leave_nothing(npz: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = npz.with_name("t.parquet")
    assert run("import", npz.with_name("x.npz"), "-o", out) == 2
    assert "x.npz:\n  no such file or folder" in capsys.readouterr().err
    assert run("import", npz, "-o", out, "--format", "smart") == 2
    assert '"smart" is not known' in capsys.readouterr().err
    np.savez(npz, counts=np.full((1, 1, 1, 1, 1), -1))
    assert run("import", npz, "-o", out) == 2
    assert "below 0" in capsys.readouterr().err
    (npz.with_name("t.txt")).write_text("hello")
    assert run("import", npz.with_name("t.txt"), "-o", out) == 2
    assert "is of no known format; write one with --format" in capsys.readouterr().err
    assert run("info", out) == 2
    assert "no such file" in capsys.readouterr().err
    assert run("plot", npz, "--layer", "3") == 2
    assert not out.exists()
