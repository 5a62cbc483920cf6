"""An exception inside a policy or a schedule of the user's, told in a few words: whose, what, and where."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from janus_sim.errors import JanusSimError, PolicyError

#: Packages whose lines say nothing to whoever wrote a policy.
OURS = ("janus_sim", "networkx", "numba", "numpy", "pandas", "pydantic", "pydantic_core", "scipy", "simpy")


@contextmanager
def told(policy: object, schedule: object) -> Iterator[None]:
    r"""Turn what a user's code raises into a `PolicyError`; the exception itself stays as its cause.

    An exception that no line of a user is part of is a mistake of ours, and is left as it is.

    Raises
    ------
    PolicyError
        Names the class, the exception, and the last line of the user's that led to it.

    Examples
    --------
    >>> class Idle:
    ...     pass
    >>> mine = {"__name__": "idle"}
    >>> exec(compile("def go():\n    1 / 0", "idle.py", "exec"), mine)
    >>> with told(Idle(), None):
    ...     mine["go"]()
    Traceback (most recent call last):
    janus_sim.errors.PolicyError: policy Idle: ZeroDivisionError: division by zero (idle.py, line 2, in go)
    """
    try:
        yield
    except JanusSimError:
        raise
    except Exception as error:
        place = _place(error.__traceback__)
        if place is None:
            raise
        file, line, function = place
        scheduled = _file_of(schedule) == file
        whose = f"schedule {type(schedule).__name__}" if scheduled else f"policy {type(policy).__name__}"
        where = f"{Path(file).name}, line {line}, in {function}"
        raise PolicyError(f"{whose}: {type(error).__name__}: {error} ({where})") from error


def _place(trace: TracebackType | None) -> tuple[str, int, str] | None:
    """Return file, line and function of the last frame of the user's."""
    found = None
    for frame, line in traceback.walk_tb(trace):
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package not in OURS and package not in sys.stdlib_module_names:
            found = (frame.f_code.co_filename, line, frame.f_code.co_name)
    return found


def _file_of(value: object) -> str:
    module = sys.modules.get(type(value).__module__)
    return str(getattr(module, "__file__", None))
