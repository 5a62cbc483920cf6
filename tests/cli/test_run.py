"""From one file to one table and one folder of results, by the installed command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from janus_sim import open_results
from tests.cli.conftest import COMMAND, Run

FILES = ["layers.csv", "links.csv", "provenance.json", "spans.parquet", "summary.csv"]


def test_help_imports_nothing_heavy() -> None:
    heavy = ["pandas", "scipy", "matplotlib", "numba", "numpy", "networkx", "simpy"]
    code = (
        "import sys\n"
        "from janus_sim.cli import main\n"
        "try:\n    main(['--help'])\n"
        f"except SystemExit as end:\n    print(end.code, [name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"


def test_a_run_prints_a_table_and_bars_and_writes_everything(janus_sim: Run, tiny: Path) -> None:
    done = janus_sim("run", tiny)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert {"policy", "ms", "speedup", "MFU", "fits"} <= set(lines[0].split())
    assert [line.split()[0] for line in lines[1:4]] == ["expert_centric", "data_centric", "janus"]
    assert "exposed communication" in done.stdout
    assert "1/3 expert_centric" in done.stderr
    folder = tiny.parent / "results" / "tiny"
    names = {path.name for path in folder.iterdir()}
    assert set(FILES) <= names
    figures = [path for path in folder.rglob("*") if path.suffix in {".png", ".pdf"}]
    assert len(figures) == 6


def test_json_is_one_array_of_the_rows_of_the_summary(janus_sim: Run, tiny: Path) -> None:
    done = janus_sim(
        "run", tiny, "workload.micro_batch_size=2,4", "--format", "json", "--out", "there", "--no-figures"
    )
    rows = json.loads(done.stdout)
    header = (tiny.parent / "there" / "summary.csv").read_text().splitlines()[0].split(",")
    assert [list(row) for row in rows] == [header] * 6
    assert rows[0]["scenario"] == "expert_centric micro_batch_size=2"
    assert [row["micro_batch_size"] for row in rows] == [2, 2, 2, 4, 4, 4]
    assert [row["speedup"] for row in rows if row["policy"] == "expert_centric"] == [1.0, 1.0]
    needed = (
        "scenario topology workload precision micro_batch_size policy step_time_s speedup exposed_comm_s "
        "exposed_all_to_all_share expert_cross_machine_bytes dense_cross_machine_bytes fits "
        "peak_gpu_memory_bytes tokens_per_s mfu r step_time_p50_s step_time_p99_s"
    )
    assert set(needed.split()) <= set(header)


def test_a_short_form_and_its_parts_are_changed_together(janus_sim: Run, tiny: Path) -> None:
    parts = ("workload.routing.hot=1", "workload.routing=W3,W2", "policies=expert_centric")
    done = janus_sim("run", tiny, *parts, "--format", "json", "--out", "short", "--no-figures")
    assert done.returncode == 0, done.stderr
    assert [row["scenario"] for row in json.loads(done.stdout)] == [
        "expert_centric routing=W3 hot=1", "expert_centric routing=W2 hot=1",
    ]  # fmt: skip
    done = janus_sim("run", tiny, "workload.precision.of=weights")
    assert done.returncode == 2
    assert "workload.precision.of" in done.stderr
    assert "no part" in done.stderr


def test_quiet_prints_nothing(janus_sim: Run, tiny: Path) -> None:
    done = janus_sim("sweep", tiny, "policies=expert_centric", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tiny.parent / "results" / "tiny" / "summary.csv").exists()


def test_a_dry_run_checks_and_counts_and_writes_nothing(janus_sim: Run, tiny: Path) -> None:
    done = janus_sim("run", tiny, "seed=1,2", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "6 scenarios; roughly" in done.stdout
    assert not (tiny.parent / "results").exists()
    rows = json.loads(janus_sim("run", tiny, "--dry-run", "--format", "json").stdout)
    assert [row["policy"] for row in rows] == ["expert_centric", "data_centric", "janus"]


def test_the_same_file_gives_the_same_bytes_under_another_hash_seed(janus_sim: Run, tiny: Path) -> None:
    for seed in ("1", "2"):
        done = janus_sim("run", tiny, "--out", f"out{seed}", PYTHONHASHSEED=seed)
        assert done.returncode == 0, done.stderr
    first, second = tiny.parent / "out1", tiny.parent / "out2"
    names = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(second) for path in second.rglob("*") if path.is_file())
    differ = [str(name) for name in names if (first / name).read_bytes() != (second / name).read_bytes()]
    assert differ == []
    text = (first / "provenance.json").read_text()
    assert str(tiny.parent) not in text
    assert set(json.loads(text)["inputs"]) >= {"experiments/tiny.yaml", "topologies/two_gpus.yaml"}


def test_a_gpu_of_my_own_is_found_kept_and_known_again(janus_sim: Run, tiny: Path) -> None:
    """Its file lies beside the topology that names it, and so do the files it is laid over."""
    (tiny.parent / "gpus").mkdir()
    mine, base = tiny.parent / "gpus" / "mine.yaml", tiny.parent / "gpus" / "under.yaml"
    mine.write_text("base: under.yaml\nsms: 54\n")
    base.write_text("base: a100-sxm4-80gb\n")
    ground = "base: two_gpus\nmachine: {gpus: {kind: gpus/mine.yaml}}\n"
    (tiny.parent / "ground.yaml").write_text(ground)
    tiny.write_text(tiny.read_text().replace("topology: two_gpus", "topology: ground.yaml"))

    def step() -> float:
        done = janus_sim("run", tiny, "policies=expert_centric", "--format", "json", "--no-figures")
        assert done.returncode == 0, done.stderr
        return float(json.loads(done.stdout)[0]["step_time_s"])

    first, folder = step(), tiny.parent / "results" / "tiny"
    kept = {str(path.relative_to(folder / "inputs")) for path in (folder / "inputs").rglob("*.yaml")}
    gpus = {f"topologies/gpus/{name}.yaml" for name in ("mine", "under", "a100-sxm4-80gb")}
    assert kept == gpus | {
        "experiment.yaml", "experiments/tiny.yaml", "topologies/ground.yaml", "topologies/two_gpus.yaml",
    }  # fmt: skip
    assert set(json.loads((folder / "provenance.json").read_text())["inputs"]) >= gpus
    base.write_text("base: a100-sxm4-80gb\nhbm_efficiency: 0.4\n")
    assert step() > first  # not the run of before


def test_an_earlier_result_is_replaced_and_another_folder_refused(janus_sim: Run, tiny: Path) -> None:
    assert janus_sim("run", tiny, "policies=expert_centric", "--no-figures").returncode == 0
    folder = tiny.parent / "results" / "tiny"
    (folder / "leftover.txt").write_text("old")
    assert janus_sim("run", tiny, "policies=expert_centric", "--no-figures").returncode == 0
    assert not (folder / "leftover.txt").exists()
    done = janus_sim("run", tiny, "--out", tiny.parent)
    assert done.returncode == 2
    assert "holds something else than a result" in done.stderr
    assert tiny.exists()


def test_the_lists(janus_sim: Run) -> None:
    for command, name in [
        ("policies", "data_centric"),
        ("schedules", "sequential"),
        ("topologies", "a100_4x8"),
        ("workloads", "moe_gpt"),
    ]:
        done = janus_sim(command)
        assert done.returncode == 0, done.stderr
        assert name in done.stdout
        assert name in {row["name"] for row in json.loads(janus_sim(command, "--format", "json").stdout)}


def test_each_policy_prints_its_paper(janus_sim: Run) -> None:
    papers = {
        row["name"]: row["paper"] for row in json.loads(janus_sim("policies", "--format", "json").stdout)
    }
    assert "SIGCOMM 2023" in papers["data_centric"]
    assert [name for name, paper in papers.items() if not paper] == []


def start(folder: Path, *arguments: object) -> subprocess.Popen[str]:
    command = [str(COMMAND), *map(str, arguments)]
    return subprocess.Popen(  # a test run in the background has interrupts ignored, and so would its children
        command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    )  # fmt: skip


def test_a_reader_who_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    with start(tmp_path, "policies") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(60) == 0


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_an_interrupt_ends_with_130_and_keeps_what_is_done(tiny: Path) -> None:
    with start(tiny.parent, "run", tiny, "seed=" + ",".join(map(str, range(1000)))) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("2/"):
                break
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        assert process.wait(60) == 130
    assert "Traceback" not in rest
    assert "interrupted" in rest
    folder = tiny.parent / "results" / "tiny"
    assert len(list((folder / "runs").iterdir())) >= 2
    assert sorted(path.name for path in folder.iterdir()) == ["runs", "sweep.json"]


MINE = '''
"""A policy of one's own: wait a little, then do as expert-centric does."""

from __future__ import annotations

from dataclasses import dataclass

from janus_sim import POLICIES, Gpu, RoutedLayer, Steps


@dataclass(frozen=True)
class LazyFetch(POLICIES["expert_centric"]):
    """Think before every dispatch.

    Parameters
    ----------
    patience : float
        Seconds.
    """

    patience: float = 0.0

    def forward(self, gpu: Gpu, layer: RoutedLayer) -> Steps:
        yield gpu.think(self.patience)
        yield from super().forward(gpu, layer)
'''


WRONG = """
from janus_sim import POLICIES

class Stuck(POLICIES["expert_centric"]):
    def forward(self, gpu, layer):
        if gpu.rank == 0:
            yield gpu.all_to_all(layer.dispatch, "dispatch")

class Rude(POLICIES["expert_centric"]):
    def forward(self, gpu, layer):
        yield 5

class Broken(POLICIES["expert_centric"]):
    def forward(self, gpu, layer):
        yield gpu.all_to_all(layer.dispatch, "dispatch")
        yield gpu.think([] + gpu.rank)
"""


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("Stuck", 3, ["deadlock", "waits for", "dispatch"]),
        ("Rude", 2, ["yielded 5", "yield from"]),
        ("Broken", 2, ["policy Broken: TypeError", "(wrong.py, line 16, in forward)", "--debug"]),
    ],
)
def test_a_policy_that_hangs_or_breaks_the_protocol_is_told(
    name: str, status: int, words: list[str], janus_sim: Run, tiny: Path
) -> None:
    (tiny.parent / "wrong.py").write_text(WRONG)
    tiny.write_text(f"{tiny.read_text()}  wrong: {{type: 'wrong:{name}'}}\n")
    done = janus_sim("run", tiny, "--no-figures")
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    assert not [word for word in words if word not in done.stderr], done.stderr
    rows = open_results(tiny.parent / "results" / "tiny").table()
    assert rows["error"].notna().tolist() == [False, False, False, True]
    assert words[0] in rows["error"].iloc[-1]
    assert rows["speedup"].notna().tolist() == [True, True, True, False]
    shown = janus_sim("--debug", "run", tiny, "--no-figures", "--jobs", "2" if name == "Broken" else "1")
    assert shown.returncode == status
    assert "Traceback" in shown.stderr


def test_a_policy_beside_the_file_runs_from_elsewhere_and_is_never_stale(
    janus_sim: Run, tiny: Path, tmp_path: Path
) -> None:
    lab = tmp_path / "lab"
    lab.mkdir()
    (lab / "x.yaml").write_text(tiny.read_text() + '  mine: {type: "lazy:LazyFetch", patience: 1 ms}\n')
    (lab / "lazy.py").write_text(MINE)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    def times() -> dict[str, float]:
        done = janus_sim("run", "../lab/x.yaml", "--format", "json", "--no-figures", cwd=elsewhere)
        assert done.returncode == 0, done.stderr
        return {row["policy"]: row["step_time_s"] for row in json.loads(done.stdout)}

    first = times()
    assert first["mine"] == pytest.approx(first["expert_centric"] + 1e-3, rel=1e-9)
    (lab / "lazy.py").write_text(MINE.replace("self.patience)", "2 * self.patience)"))
    assert times()["mine"] == pytest.approx(first["expert_centric"] + 2e-3, rel=1e-9)
    told = json.loads((elsewhere / "results" / "tiny" / "provenance.json").read_text())
    assert "modules/lazy" in told["inputs"]
