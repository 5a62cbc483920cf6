"""What is finished is kept: killed at any instant and gone on with, a sweep equals an undisturbed one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from janus_sim import Experiment, open_results, sweep
from janus_sim.errors import InputError
from janus_sim.results.pack import pack
from janus_sim.results.store import Store
from janus_sim.sweep import sweeping
from janus_sim.sweep.sweeping import Settings, Swept

COMMAND = Path(sys.executable).parent / "janus-sim"
#: How often a sweep is killed here; set JANUS_SIM_KILLS=20 for the whole story.
KILLS = int(os.environ.get("JANUS_SIM_KILLS", "3"))

Files = Callable[[Path], dict[str, bytes]]


def swept(path: Path, out: Path, *changes: str, **settings: object) -> Swept:
    return sweeping.run(Experiment.load(path, changes), Settings(figures=False, **settings), out)  # type: ignore[arg-type]


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_killed_at_random_instants_it_ends_as_if_it_had_not_been(
    tiny: Path, tmp_path: Path, files: Files
) -> None:
    seeds = "seed=" + ",".join(map(str, range(20)))
    swept(tiny, tmp_path / "calm", seeds)
    command = [
        str(COMMAND),
        "run",
        str(tiny),
        seeds,
        "--out",
        "wild",
        "--no-figures",
        "--jobs",
        "2",
        "--quiet",
    ]
    chance = np.random.default_rng(0)
    for _ in range(KILLS):
        process = subprocess.Popen(command, cwd=tmp_path, start_new_session=True)
        time.sleep(chance.uniform(1.0, 6.0))
        process.kill()
        process.wait()
    subprocess.run(command, cwd=tmp_path, check=True)
    wild, calm = files(tmp_path / "wild"), files(tmp_path / "calm")
    assert sorted(wild) == sorted(calm)
    assert [name for name in calm if wild[name] != calm[name]] == []


def test_only_what_is_missing_is_computed(tiny: Path, tmp_path: Path, files: Files) -> None:
    out = tmp_path / "out"
    assert swept(tiny, out, "seed=1").computed == 3
    more = swept(tiny, out, "seed=1,2")
    assert (more.known, more.computed) == (3, 3)
    again = swept(tiny, out, "seed=1,2")
    assert (again.known, again.computed) == (6, 0)
    assert swept(tiny, out, "seed=1,2", fresh=True).computed == 6
    swept(tiny, tmp_path / "calm", "seed=1,2")
    assert files(out) == files(tmp_path / "calm")


def test_runs_that_are_not_wanted_any_more_go(tiny: Path, tmp_path: Path) -> None:
    swept(tiny, tmp_path / "out")
    swept(tiny, tmp_path / "out", "policies=janus", "baseline=janus")
    assert len(list((tmp_path / "out" / "runs").iterdir())) == 1


def test_a_torn_run_is_computed_again(tiny: Path, tmp_path: Path, files: Files) -> None:
    out = tmp_path / "out"
    swept(tiny, out)
    calm = files(out)
    one = next((out / "runs").iterdir())
    one.write_bytes(one.read_bytes()[:-1])
    assert swept(tiny, out).computed == 1
    assert files(out) == calm


def test_runs_of_another_version_of_the_model_are_told_and_computed_again(tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    swept(tiny, out)
    results = open_results(out)
    _, entry = results._done[1]
    Store(out).put(entry["key"], pack(results[1], "0.0.1+older"))
    again = swept(tiny, out)
    assert (again.known, again.computed, again.outdated) == (2, 1, 1)


POLICY = """
from dataclasses import dataclass
from janus_sim import POLICIES

@dataclass(frozen=True)
class {name}(POLICIES["expert_centric"]):
    def forward(self, gpu, layer):
        yield gpu.think({seconds})
        yield from super().forward(gpu, layer)
"""


def test_an_edited_policy_is_computed_again_and_the_others_are_not(tiny: Path, tmp_path: Path) -> None:
    lines = [f"  {name}: {{type: '{name.lower()}s:{name}'}}" for name in ("Lazy", "Idle")]
    tiny.write_text("\n".join([tiny.read_text(), *lines, ""]))
    (tmp_path / "lazys.py").write_text(POLICY.format(name="Lazy", seconds="1e-3"))
    (tmp_path / "idles.py").write_text(POLICY.format(name="Idle", seconds="2e-3"))
    first = swept(tiny, tmp_path / "out").table.set_index("policy")["step_time_s"]
    (tmp_path / "lazys.py").write_text(POLICY.format(name="Lazy", seconds="3e-3"))
    again = swept(tiny, tmp_path / "out")
    assert (again.known, again.computed) == (4, 1)
    second = again.table.set_index("policy")["step_time_s"]
    assert second["Lazy"] == pytest.approx(first["Lazy"] + 2e-3)
    assert second.drop("Lazy").tolist() == first.drop("Lazy").tolist()


def test_an_input_that_changes_while_it_runs_never_makes_a_row(tiny: Path, tmp_path: Path) -> None:
    tiny.write_text(tiny.read_text().replace("topology: two_gpus", "topology: ./mine.yaml"))
    (tmp_path / "mine.yaml").write_text("base: two_gpus\n")

    def edit(done: int, _: object) -> None:
        (tmp_path / "mine.yaml").write_text(f"base: two_gpus\nsource: edited {done}\n")

    experiment = Experiment.load(tiny)
    done = sweeping.run(experiment, Settings(figures=False), tmp_path / "out", edit)
    assert [text.split("; ")[-1] for text, _ in done.failures.values()] == ["run it again"] * 2


def test_an_unfinished_sweep_is_told_from_a_result(tiny: Path, tmp_path: Path) -> None:
    def stop(done: int, _: object) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(tiny, out=tmp_path / "out", progress=stop)
    with pytest.raises(InputError, match=r"not finished \(2 runs are done\)"):
        open_results(tmp_path / "out")


def test_an_earlier_result_stays_whole_until_the_new_one_is(tiny: Path, tmp_path: Path, files: Files) -> None:
    out = tmp_path / "out"
    swept(tiny, out)
    before = files(out)

    def stop(done: int, _: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(tiny, ["seed=7"], out=out, progress=stop)
    after = files(out)
    assert {name: after[name] for name in before} == before
    assert len(after) == len(before) + 1
    assert open_results(out).table()["seed"].tolist() == [0, 0, 0]
