"""`janus-sim timeline`: what the GPUs did when, for Perfetto; `janus-sim run --timeline` does the same."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from janus_sim.results.result import Result

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Results of `janus-sim run`.")]
Names = Annotated[
    list[str] | None, typer.Argument(metavar="SCENARIO", help="Policies or scenarios; default: all.")
]
Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Default: DIR/timeline.")]
Ranks = Annotated[str, typer.Option("--ranks", help="Ranks, as 0,8.")]
Count = Annotated[int, typer.Option("--steps", min=1, help="How many steps, from the first.")]


def timeline(
    folder: Folder, names: Names = None, out: Out = None, ranks: Ranks = "0", steps: Count = 1
) -> None:
    """Write Chrome traces as PyTorch's profiler does; open them at ui.perfetto.dev."""
    from janus_sim.results.choosing import choose
    from janus_sim.results.explain import called
    from janus_sim.results.metrics import ranks_of as ranks_in
    from janus_sim.results.store import open_results

    wanted, target = ranks_of(ranks), out or folder / "timeline"
    check_target(target)
    results = open_results(folder)
    chosen = [choose(results, name, str(folder)) for name in names] if names else results
    fitting(wanted, steps, ((called(one), ranks_in(one.record), len(one.record.steps)) for one in chosen))
    for path in write(chosen, target, wanted, steps):
        print(path)
    for scenario, _ in () if names else results.failures:
        print(f"{scenario.get('name')} failed: it has no timeline", file=sys.stderr)


def check_target(folder: Path, option: str = "--out") -> None:
    """Refuse a folder of timelines that is a file, or cannot be made."""
    from janus_sim.errors import InputError, Mistake
    from janus_sim.files import check_place

    if folder.exists() and not folder.is_dir():
        raise InputError(Mistake(f"{folder}:", f"is a file; write a folder after {option}"))
    check_place(folder, option)


def ranks_of(text: str) -> list[int]:
    """Read a list of ranks."""
    from janus_sim.errors import InputError, Mistake

    if not re.fullmatch(r"\d{1,7}(,\d{1,7})*", text):
        raise InputError(Mistake("--ranks", f'"{text}" is no list of ranks; write 0,8'))
    return [int(rank) for rank in text.split(",")]


def fitting(ranks: list[int], steps: int, runs: Iterable[tuple[str, int, int]]) -> None:
    """Refuse ranks and steps that a run does not have, before anything is written.

    Parameters
    ----------
    runs : iterable of (str, int, int)
        The name of a run, its ranks and its steps.

    Raises
    ------
    InputError
        With the first run that lacks them.
    """
    from janus_sim.errors import InputError, Mistake

    for name, world, many in runs:
        wrong = []
        if max(ranks) >= world:
            found = f"there is no rank {max(ranks)}; write ranks from 0 to {world - 1}"
            wrong.append(Mistake("--ranks", found))
        if steps > many:
            have = "1 step" if many == 1 else f"{many} steps"
            wrong.append(
                Mistake("--steps", f"{steps} are more than {name} has: {have}; write {many} at most")
            )
        if wrong:
            raise InputError(wrong)


def write(results: Iterable[Result], target: Path, ranks: list[int], steps: int) -> Iterator[Path]:
    """Write the traces of each result into a folder of its own, and yield their paths."""
    from janus_sim.results import perfetto
    from janus_sim.results.explain import called

    for result in results:
        place = target / (re.sub(r"[^\w.=]+", "-", called(result)).strip("-.") or "run")
        yield from perfetto.write(result, place, ranks, steps)
