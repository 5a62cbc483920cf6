"""One scenario to the bytes of its result, here or in another process; a failure is an outcome too."""

from __future__ import annotations

import json
import os
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path

from janus_sim.errors import DEBUG, InputError, JanusSimError, Mistake
from janus_sim.scenario import Scenario

#: A scenario written out for another process, its folders, its file, its key, the model's version, detailed.
Told = tuple[str, tuple[str, ...], str, str, str, bool]


@dataclass(frozen=True)
class Task:
    """A scenario that is to be run, and under which key its result is kept."""

    scenario: Scenario
    key: str
    version: str
    detailed: bool

    def told(self) -> Told:
        """Write it out for another process."""
        scenario = self.scenario
        folders = tuple(str(path) for path in scenario.folders)
        return scenario.model_dump_json(), folders, scenario.file, self.key, self.version, self.detailed


@dataclass(frozen=True)
class Outcome:
    """What became of a task: a packed result, or an error and its exit status."""

    data: bytes = b""
    error: str = ""
    status: int = 0


def compute(task: Task) -> Outcome:
    """Run a task; whatever goes wrong is told in the outcome."""
    from janus_sim.results.pack import pack
    from janus_sim.simulate import simulate

    try:
        result = simulate(task.scenario)
        if task.scenario.key() != task.key:
            raise InputError(Mistake(task.scenario.name, "an input changed while it ran; run it again"))
        return Outcome(pack(result, task.version, detailed=task.detailed))
    except JanusSimError as error:
        _debug()
        return Outcome(error=str(error), status=error.exit_code)
    except Exception as error:  # a mistake of ours ends one scenario and not the sweep
        _debug()
        frames = traceback.extract_tb(error.__traceback__)
        place = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
        return Outcome(error=f"{type(error).__name__}: {error}{place}", status=1)


def _debug() -> None:
    """Show the traceback of what is being handled, where the user asked for it."""
    if os.environ.get(DEBUG):
        traceback.print_exc(file=sys.stderr)


def compute_told(told: Told) -> tuple[bytes, str, int]:
    """Run a task that another process has written out."""
    text, folders, file, key, version, detailed = told
    own = {"folders": tuple(map(Path, folders)), "file": file}
    scenario = Scenario.model_validate(json.loads(text) | own)
    outcome = compute(Task(scenario, key, version, detailed))
    return outcome.data, outcome.error, outcome.status
