"""`janus-sim advise`: which paradigm for this model on this cluster."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from janus_sim.cli import show
from janus_sim.cli.show import Format

if TYPE_CHECKING:
    from janus_sim.advise import Advice, Crossover, Other
    from janus_sim.scenario import Scenario

Cluster = Annotated[str, typer.Option("--topology", "-t", help="A preset, or a .yaml file.")]
Model = Annotated[str, typer.Option("--workload", "-w", help="A preset, or a .yaml file.")]
Changes = Annotated[
    list[str] | None,
    typer.Argument(metavar="key=value", help="Change a value, as workload.micro_batch_size=64."),
]
Jobs = Annotated[int, typer.Option("--jobs", "-j", min=1, help="Processes.")]
Out = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Folder of the runs; default results/advice-T-W.")
]
Form = Annotated[Format, typer.Option("--format", help="Words and tables, or one JSON object.")]

NAMES = {"expert_centric": "tokens travel (expert_centric)", "data_centric": "experts travel (data_centric)"}


def advise(
    topology: Cluster,
    workload: Model,
    changes: Changes = None,
    jobs: Jobs = 2,
    out: Out = None,
    form: Form = Format.table,
) -> int:
    """Say which paradigm each layer should take, how much it gains, and where the answer flips.

    Finished runs are kept in the folder: after an interruption the same command goes on.
    """
    from janus_sim.advise import advise as ask
    from janus_sim.errors import InputError, Mistake
    from janus_sim.files import check_folder, validate
    from janus_sim.scenario import Experiment
    from janus_sim.scenario.changes import changed
    from janus_sim.sweep import folder_of

    asked = {"topology": topology, "workload": workload, "policies": {"expert_centric": {}}}
    experiment = validate(Experiment, changed(asked, changes or ())).change(folders=(Path.cwd(),))
    scenarios = experiment.scenarios()
    if len(scenarios) != 1:
        raise InputError(Mistake("key=a,b", "is an axis; advise is asked of one model on one cluster"))
    target = out or folder_of(experiment.change(name=f"advice-{_called(scenarios[0])}"))
    check_folder(target)
    try:
        advice = ask(scenarios[0], jobs, target)
    except KeyboardInterrupt:
        return show.interrupted(target)
    if form is Format.json:
        print(json.dumps(dataclasses.asdict(advice), indent=1))
    else:
        _print(advice)
    print(f"the runs are in {target}", file=sys.stderr)
    return 0


def _called(scenario: Scenario) -> str:
    return f"{scenario.topology_name}-{scenario.workload_name}"


def _print(advice: Advice) -> None:
    batch = f"{advice.precision}, {advice.micro_batch_size} sequences a GPU"
    print(f"{advice.workload} ({batch}) on {advice.topology}, {advice.gpus} GPUs\n\n{sentence(advice)}\n")
    pulls = [layer for layer in advice.layers if layer.paradigm == "data_centric"]
    print(f"layer by layer ({len(pulls)} of {len(advice.layers)} pull experts; gain: this layer alone)")
    show.grid(
        ["layer", "experts", "R", "advised", "gain ms", ""],
        [
            [str(one.layer), str(one.experts), f"{one.r:.3g}", one.paradigm, f"{one.gain * 1e3:.2f}",
             "too close to call" if one.close else ""]
            for one in advice.layers
        ],
    )  # fmt: skip
    print("\nwhat bounds the advised step (critical path)")
    total = sum(advice.bound.values())
    parts = sorted(advice.bound.items(), key=lambda part: -part[1])
    for name, seconds in parts:
        if seconds > 0.005 * total:
            print(f"  {seconds / total:4.0%}  {name}")
    print("\nmemory of the fullest GPU")
    for fit in advice.memory:
        verdict = "fits" if fit.fits else "DOES NOT FIT"
        print(f"  {fit.policy}: {fit.peak / 2**30:.1f} of {fit.hbm / 2**30:.1f} GiB, {verdict}")
    print("\nother policies, for comparison")
    for one in advice.others:
        print(f"  {one.policy}: {_other(one)}")
    print("\nwhere the answer flips (by step time, memory aside)")
    for crossing in advice.crossovers:
        print(f"  {flips(crossing)}")
    print("\nwhat it rests on")
    for constant in advice.constants:
        print(f"  {constant.origin:<20} {constant.name}: {constant.words}")


def _other(one: Other) -> str:
    from janus_sim.units import format_time

    if one.seconds is None:
        return f"does not run here: {one.error}"
    return f"{format_time(one.seconds)}, {one.speedup:.2f}x"


def sentence(advice: Advice) -> str:
    """Say the verdict in words, and how it was judged."""
    from janus_sim.units import format_time

    sure = f"{advice.low:.2f} to {advice.high:.2f} over {advice.draws} draws of the uncertain constants"
    gain = f"{advice.speedup:.2f}x ({sure})"
    slow, fast = (format_time(advice.seconds[name]) for name in ("expert_centric", "advised"))
    what = NAMES.get(advice.best, "some layers pull experts, the others send tokens (janus, mixed)")
    if advice.verdict == "too close to call":
        return (f"Too close to call. As written, {what} is fastest; pulling experts gives {gain},\n"
                "and an interval that holds 1 decides nothing.")  # fmt: skip
    if advice.best == "expert_centric":
        return f"Let {what}: a step takes {slow}. Pulling experts would give {gain}."
    return f"Let {what}: a step takes {fast} instead of {slow}, {gain}."


def flips(crossing: Crossover) -> str:
    """Say where an axis flips the answer."""
    from janus_sim.units import format_bandwidth

    def word(value: float) -> str:
        return format_bandwidth(value) if crossing.unit == "B/s" else f"{value:.4g}"

    low, now, high = crossing.ratios
    ends = [f"{now:.2f} at {word(crossing.nominal)} (now)"]
    if crossing.low < crossing.nominal:
        ends.insert(0, f"{low:.2f} at {word(crossing.low)}")
    if crossing.high > crossing.nominal:
        ends.append(f"{high:.2f} at {word(crossing.high)}")
    where = " and ".join(f"at {word(value)}" for value in crossing.at)
    return f"{crossing.name}: {where or 'nowhere that was looked'} (speedup {', '.join(ends)})"
