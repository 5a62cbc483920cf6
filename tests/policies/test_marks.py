"""A policy that is not accuracy-neutral is marked wherever it is named, and tables say what marks mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from janus_sim import Experiment, open_results
from janus_sim.cli.show import Format, summary
from janus_sim.policies import ExpertCentric, Janus, NodeLimited, Pipelined, Replicate
from janus_sim.results import report
from janus_sim.results.choosing import choose
from janus_sim.sweep import sweep

TWO_H100 = {"base": "two_gpus", "machine": {"gpus": {"kind": "h100-sxm5-80gb"}}}
LOSSY = "(lossy): not accuracy-neutral"


def test_what_is_lossy_inside_is_lossy_outside() -> None:
    assert NodeLimited().lossy
    assert Pipelined(inner=Janus(tokens=NodeLimited())).lossy
    assert not NodeLimited(fp8=False).lossy
    assert not Replicate(inner=ExpertCentric(), oracle=True).lossy


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep whose baseline is lossy; the bound around it has both marks."""
    found = tmp_path_factory.mktemp("marks") / "results"
    policies = {
        "deepep": {"type": "node_limited"},
        "plain": {"type": "node_limited", "fp8": False},
        "ideal": {"type": "replicate", "oracle": True, "inner": {"node_limited": {}}},
    }
    about = {"base": "moe_gpt", "model": {"layers": 2, "top_k": 2}}
    told = {"name": "marks", "topology": TWO_H100, "workload": about, "policies": policies, "seeds": 2}
    sweep(Experiment.model_validate({**told, "baseline": "deepep"}), out=found)
    return found


def test_names_have_their_marks_and_are_found_without(folder: Path) -> None:
    results = open_results(folder)
    table = results.table()
    names = ["deepep (lossy)", "plain", "ideal (bound) (lossy)"]
    assert table["policy"].drop_duplicates().tolist() == names
    assert (table[table["policy"] == names[0]]["speedup"] == 1.0).all()
    assert table["speedup"].notna().all()
    assert choose([results[0]], "deepep", "explain").scenario["policy"] == "deepep (lossy)"


def test_every_table_says_what_marks_mean(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = open_results(folder).table()
    both = f"(bound): may see the future; {LOSSY}"
    summary(table, Format.table, quiet=False)
    assert f"\n{both}\n" in capsys.readouterr().out
    assert f"<p>{both}</p>" in table._repr_html_()
    assert both in table.to_latex()
    assert f"<p>{both}</p>" in report.write(folder).read_text()
    unmarked = table[table["policy"] == "plain"]
    summary(unmarked, Format.table, quiet=False)
    assert "accuracy" not in capsys.readouterr().out
