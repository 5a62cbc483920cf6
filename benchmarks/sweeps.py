"""Sweeps measured: killed and gone on with, one process against two, and ten thousand scenarios.

python benchmarks/sweeps.py kills [N]    200 scenarios, `kill -9` N times (20) at random instants
python benchmarks/sweeps.py dask         the same on Dask, a worker killed three times
python benchmarks/sweeps.py rate         200 scenarios: CPU a scenario, in one process and in two
python benchmarks/sweeps.py many [N]     N stored scenarios (10,000): size of the folder, time to open it
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from janus_sim import Experiment, open_results, simulate
from janus_sim.results.pack import pack
from janus_sim.results.store import Store
from janus_sim.sweep import model_version, sweeping
from janus_sim.sweep.sweeping import Settings

COMMAND = Path(sys.executable).parent / "janus-sim"
MODEL = {"layers": 2, "moe_layers": "every 2", "experts_per_rank": 2, "top_k": 1, "hidden": 64, "heads": 4}
WORKLOAD = {
    "model": {**MODEL, "ffn": {"width": 256}, "vocabulary": 100},
    "precision": "fp16",
    "micro_batch_size": 2,
    "seq_length": 16,
}
TWO = {"expert_centric": {}, "data_centric": {}}


def experiment(points: int, topology: object = "two_gpus") -> dict[str, object]:
    """Return an experiment of twice as many small scenarios."""
    vary = {"seed": list(range(points))}
    named = {"name": "small", "topology": topology, "workload": WORKLOAD, "baseline": "expert_centric"}
    return {**named, "policies": TWO, "vary": vary}


def files(folder: Path) -> dict[str, bytes]:
    """Return the content of every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def kills(work: Path, many: int = 20) -> None:
    """Kill a sweep again and again, let it end, and hold it against an undisturbed one."""
    path = work / "small.yaml"
    path.write_text(json.dumps(experiment(100)))
    sweeping.run(Experiment.load(path), Settings(figures=False), work / "calm")
    calm, chance = files(work / "calm"), np.random.default_rng(0)
    command = [str(COMMAND), "run", str(path), "--out", "wild", "--no-figures", "--jobs", "2", "--quiet"]
    wild, told = work / "wild" / "runs", []
    for left in range(many, 0, -1):
        begun = len(list(wild.glob("*.run")))
        wanted = begun + int(chance.integers(0, 2 * (200 - begun) // left + 2))
        process = subprocess.Popen(command, cwd=work, start_new_session=True)
        while process.poll() is None and len(list(wild.glob("*.run"))) < min(wanted, 200):
            time.sleep(0.005)
        time.sleep(chance.uniform(0.0, 0.3))
        alive = process.poll() is None
        process.kill()
        process.wait()
        told.append(f"{len(list(wild.glob('*.run')))}{'' if alive else ' (had ended)'}")
    print(f"killed {many} times, with so many of 200 runs stored: {', '.join(told)}")
    subprocess.run(command, cwd=work, check=True)
    same(calm, files(work / "wild"), "processes killed")


def on_dask(work: Path) -> None:
    """Run the same on Dask while its workers are killed."""
    import distributed

    path = work / "small.yaml"
    path.write_text(json.dumps(experiment(100)))
    sweeping.run(Experiment.load(path), Settings(figures=False), work / "calm")
    calm = files(work / "calm")
    at, died = {30, 80, 130}, []
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0"
    ) as local:

        def kill(done: int, _: object) -> None:
            if done in at:
                process = next(iter(local.workers.values())).process
                if process is not None and process.process is not None:
                    process.process.kill()
                    died.append(done)

        settings = Settings(figures=False, dask=local.scheduler_address)
        sweeping.run(Experiment.load(path), settings, work / "dask", kill)
    print(f"Dask: a worker killed after {died} of 200 runs")
    same(calm, files(work / "dask"), "Dask")


def same(calm: dict[str, bytes], other: dict[str, bytes], what: str) -> None:
    """Tell whether two folders are equal byte for byte, and end if not."""
    odd = [name for name in sorted({*calm, *other}) if calm.get(name) != other.get(name)]
    print(f"{what}: {len(calm)} files, {len(odd)} differ from the undisturbed sweep", *odd[:3], flush=True)
    if odd:
        sys.exit(1)


def cpu(work: Path, points: int, jobs: int) -> tuple[float, float, float]:
    """Return CPU seconds of this process and of its children, and wall seconds, of a sweep."""
    loaded = Experiment.model_validate(experiment(points, {"base": "a100", "machines": 1}))
    before, begin = os.times(), time.monotonic()
    sweeping.run(loaded, Settings(jobs=jobs, figures=False), work / f"{points}-{jobs}")
    after, end = os.times(), time.monotonic()
    own = after.user + after.system - before.user - before.system
    children = after.children_user + after.children_system - before.children_user - before.children_system
    return own, children, end - begin


def rate(work: Path) -> None:
    """Compare one process with two: CPU a scenario beyond what starting processes takes, and wall time."""
    cpu(work, 1, 1)
    ends = {}
    for jobs in (1, 2):
        few, all_ = cpu(work / "few", 10, jobs), cpu(work / "all", 100, jobs)
        own, children, wall = (((b - a) / 180 * 1e3) for a, b in zip(few, all_, strict=True))
        ends[jobs] = own + children
        print(f"{jobs} in parallel: CPU a scenario {own:.1f} ms here, {children:.1f} ms in workers;", end=" ")
        print(f"wall {wall:.1f} ms a scenario, {all_[2]:.1f} s in all")
    print(f"two free cores give at most {2 * ends[1] / ends[2]:.2f} times the rate of one")


def many(work: Path, count: int = 10_000) -> None:
    """Go on with a large grid whose runs are stored already; tell its size and how quickly its table opens.

    The runs differ in their seed alone, which balanced routing does not hear: one a policy is simulated.
    """
    loaded = Experiment.model_validate(experiment(count // 2))
    scenarios, store, ran = loaded.scenarios(), Store(work / "many"), {}
    (work / "many").mkdir()
    (work / "many" / "sweep.json").write_text("{}")
    for place, scenario in enumerate(scenarios):
        which = scenario.label, place < sweeping.DETAILS
        if which not in ran:
            ran[which] = pack(simulate(scenario), model_version(), detailed=which[1])
        store.put(scenario.key(), ran[which])
    begin = time.process_time()
    swept = sweeping.run(loaded, Settings(figures=False), work / "many", scenarios=scenarios)
    spent = time.process_time() - begin
    sizes = [path.stat() for path in (work / "many").rglob("*") if path.is_file()]
    begin = time.monotonic()
    table = open_results(work / "many").table()
    opened = time.monotonic() - begin
    size, taken = sum(one.st_size for one in sizes) / 1e6, sum(one.st_blocks for one in sizes) * 512 / 1e6
    print(
        f"{len(table)} scenarios, {swept.known} known, {swept.computed} computed; {spent:.0f} s of CPU",
        end=" ",
    )
    print(f"without the check; {len(sizes)} files of {size:.0f} MB,", end=" ")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"{taken:.0f} MB on the disk, {peak:.0f} MB of memory; the table opens in {opened:.2f} s")


def main(arguments: list[str]) -> None:
    """Run what is asked for in a temporary folder."""
    known: dict[str, Callable[..., None]] = {"kills": kills, "dask": on_dask, "rate": rate, "many": many}
    if not arguments or arguments[0] not in known:
        sys.exit(__doc__)
    work = Path(tempfile.mkdtemp(prefix="sweeps-"))
    try:
        known[arguments[0]](work, *map(int, arguments[1:]))
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1:])
