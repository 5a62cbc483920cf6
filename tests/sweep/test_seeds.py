"""`seeds: 3` in an experiment: paired runs, a table of means, intervals in the terminal."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from janus_sim import Experiment
from janus_sim.errors import InputError
from janus_sim.sweep.sweeping import Settings, run

ROUTING = "  routing: {kind: zipf, exponent: 1.0}\nbaseline:"


def test_each_policy_runs_under_the_same_seeds(tiny: Path, tmp_path: Path) -> None:
    tiny.write_text(tiny.read_text().replace("baseline:", ROUTING) + "seed: 5\nseeds: 3\n")
    swept = run(Experiment.load(tiny), Settings(), tmp_path / "out")
    assert swept.table["seed"].tolist() == [5, 5, 5, 6, 6, 6, 7, 7, 7]
    assert swept.means is not None
    written = pd.read_csv(tmp_path / "out" / "seeds.csv")
    assert written["scenario"].tolist() == ["expert_centric", "data_centric", "janus"]
    assert written["seeds"].tolist() == [3, 3, 3]
    own = swept.table.set_index(["policy", "seed"])["step_time_s"]
    paired = own["data_centric"] - own["expert_centric"]
    assert written["difference_s"].iloc[1] == pytest.approx(paired.mean())
    assert written["difference_low_s"].iloc[1] < paired.mean() < written["difference_high_s"].iloc[1]


def test_seeds_are_not_given_twice(tiny: Path) -> None:
    tiny.write_text(tiny.read_text() + "seeds: 3\nvary: {seed: [1, 2]}\n")
    with pytest.raises(InputError, match="beside an axis of seeds"):
        Experiment.load(tiny).scenarios()


def test_they_count_into_the_size_of_the_grid(tiny: Path) -> None:
    with pytest.raises(InputError, match="30,000 runs"):
        Experiment.load(tiny, ["seeds=10000"]).scenarios()
