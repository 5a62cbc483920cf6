"""The same table from one process, from several, from shards, and from a Dask cluster that loses a worker."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from janus_sim import Experiment, open_results, sweep
from janus_sim.errors import InputError
from janus_sim.sweep import cluster, sweeping
from janus_sim.sweep.sweeping import Settings

Files = Callable[[Path], dict[str, bytes]]
SEEDS = "seed=1,2,3,4"


@pytest.fixture
def calm(tiny: Path, tmp_path: Path) -> Path:
    sweeping.run(Experiment.load(tiny, [SEEDS]), Settings(figures=False), tmp_path / "calm")
    return tmp_path / "calm"


def test_two_processes_give_the_same_bytes(tiny: Path, tmp_path: Path, calm: Path, files: Files) -> None:
    sweeping.run(Experiment.load(tiny, [SEEDS]), Settings(figures=False, jobs=2), tmp_path / "out")
    assert files(tmp_path / "out") == files(calm)


def test_shards_opened_together_are_the_whole(tiny: Path, tmp_path: Path, calm: Path) -> None:
    for part in (1, 2, 3):
        sweep(tiny, [SEEDS], out=tmp_path / f"part{part}", shard=(part, 3))
    folders = [tmp_path / f"part{part}" for part in (2, 3, 1)]
    merged = open_results(*folders)
    pd.testing.assert_frame_equal(merged.table(), open_results(calm).table())
    assert [one["name"] for one in merged.scenarios] == [one["name"] for one in open_results(calm).scenarios]
    assert len(merged[0].spans) > 0
    assert merged._repr_html_() == open_results(calm)._repr_html_()
    assert "rows of the grid are in none of these folders" in open_results(*folders[:2])._repr_html_()


@pytest.mark.parametrize("part", [(0, 2), (3, 2), (13, 100)])
def test_a_part_that_is_not_there_is_refused(part: tuple[int, int], tiny: Path) -> None:
    with pytest.raises(InputError, match="--shard"):
        sweep(tiny, [SEEDS], shard=part)


DEADLY = """
import os
from janus_sim import POLICIES

class Deadly(POLICIES["expert_centric"]):
    def forward(self, gpu, layer):
        os._exit(9)
        yield
"""


def test_a_scenario_that_kills_its_process_is_a_row_and_the_others_are_done(
    tiny: Path, tmp_path: Path
) -> None:
    (tmp_path / "deadly.py").write_text(DEADLY)
    tiny.write_text(tiny.read_text() + "  deadly: {type: 'deadly:Deadly'}\n")
    table = sweep(tiny, ["seed=1,2"], jobs=2)
    assert table[table["policy"] != "deadly"]["step_time_s"].notna().all()
    assert ["died" in str(error) for error in table["error"]] == [False, False, False, True] * 2


def test_a_dask_cluster_that_loses_a_worker_gives_the_same_bytes(
    tiny: Path, tmp_path: Path, calm: Path, files: Files
) -> None:
    distributed = pytest.importorskip("distributed", reason="the extra dask is not installed")
    killed = threading.Event()
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0"
    ) as local:

        def kill(done: int, _: object) -> None:
            if done == 3 and not killed.is_set():
                killed.set()
                next(iter(local.workers.values())).process.process.kill()

        settings = Settings(figures=False, dask=local.scheduler_address)
        sweeping.run(Experiment.load(tiny, [SEEDS]), settings, tmp_path / "out", kill)
    assert killed.is_set()
    assert files(tmp_path / "out") == files(calm)


def test_nobody_at_the_address_is_told(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="the extra dask is not installed")
    monkeypatch.setattr(cluster, "PATIENCE", 1)
    with pytest.raises(InputError, match=r"no scheduler answers at tcp://127.0.0.1:9"):
        sweep(tiny, dask="tcp://127.0.0.1:9")
