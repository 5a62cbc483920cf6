"""Which experiment is run instead of one whose trace is not there: told, never silent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from janus_sim.errors import InputError, Mistake
from janus_sim.files import take
from janus_sim.scenario.changes import changed

TRACE = "workload.routing.trace"  #: of an experiment: what `otherwise` stands in for


def instead(data: Mapping[str, Any], changes: Sequence[str], file: Path) -> tuple[str, str] | None:
    """Return the `otherwise` of an experiment file and what to tell, if a file of its trace is absent.

    A trace that the command line names is the user's: nothing stands in for it.

    Parameters
    ----------
    data : mapping
        Of the file.
    changes : sequence of str
        Of the command line.
    file : Path
        Traces are looked for beside it.

    Raises
    ------
    InputError
        If `otherwise` is no name, or there is no trace that it could stand in for.
    """
    if data.get("otherwise") is None:
        return None
    name, mine = data["otherwise"], _files(data)
    if not isinstance(name, str) or not mine:
        found = f"stands in for an absent {TRACE} of this file; write the name or the path of an experiment"
        raise InputError(Mistake(f"{file}: otherwise", found))
    asked = _files(changed(data, changes))
    absent = [path for path in asked if not _there(path, file.parent)]
    if asked != mine or not absent:
        return None
    told = f"{file.stem}: {', '.join(absent)} not found; runs {name} instead"
    return name, f"{told}. What is missing: {data['source']}" if data.get("source") else told


def _files(data: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the files of the trace, where an experiment names one for all its runs."""
    vary = data.get("vary")
    axes = vary if isinstance(vary, Mapping) else {}
    if any(f"{TRACE}.".startswith(f"{path}.") for path in axes):
        return ()
    written = take(data, TRACE)
    return written if isinstance(written, tuple) else (written,) if isinstance(written, str) else ()


def _there(path: str, beside: Path) -> bool:
    from janus_sim.traces.columns import RefusedError
    from janus_sim.traces.reading import find_trace

    try:
        find_trace(path, beside)
    except RefusedError:
        return False
    return True
