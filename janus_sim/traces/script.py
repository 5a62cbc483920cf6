"""Runs a script of somebody's under the recorder, without a change in it."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from janus_sim.errors import InputError, Mistake
from janus_sim.traces.form import TraceInfo
from janus_sim.traces.record import Recorder
from janus_sim.traces.routers import find_routers

if TYPE_CHECKING:
    from torch import nn


def record_script(
    script: Path,
    arguments: Sequence[str],
    path: Path,
    info: TraceInfo | None = None,
    **options: Any,  # noqa: ANN401
) -> None:
    """Run a script as if by `python SCRIPT ARGUMENTS`, and record the first model with routers that it calls.

    Parameters
    ----------
    script : Path
    arguments : sequence of str
    path : Path
        Of the trace, written when the script ends, also by an error.
    info : TraceInfo, optional
        By default named after the model's class.
    **options
        Of `Recorder`: routers, ranks, micro_batches, tokens, choices.

    Raises
    ------
    InputError
        If PyTorch or the script is missing, or it calls no such model.
    """
    if not script.is_file():
        raise InputError(Mistake(f"{script}:", "is not there; write the path of a Python script"))
    try:
        from torch.nn.modules.module import register_module_forward_pre_hook
    except ModuleNotFoundError:
        raise InputError(
            Mistake("record", "needs PyTorch; install it: pip install janus-sim[torch]")
        ) from None
    with ExitStack() as stack:
        found: list[Recorder] = []

        def first(module: nn.Module, _given: object) -> None:
            """Begin to record at the first model called that has routers."""
            if not found and find_routers(module, options.get("routers")):
                found.append(stack.enter_context(Recorder(module, path, info, **options)))

        handle = register_module_forward_pre_hook(first)
        stack.callback(handle.remove)
        with _as_main(script, arguments):
            runpy.run_path(str(script), run_name="__main__")
        if not found:
            raise InputError(
                Mistake(f"{script}:", "called no model with routers; write --routers: their path in it")
            )


@contextmanager
def _as_main(script: Path, arguments: Sequence[str]) -> Iterator[None]:
    """Show the script its own arguments and its folder; an exit with 0 is no error."""
    before = sys.argv, sys.path[:]
    sys.argv, sys.path[:0] = [str(script), *arguments], [str(script.resolve().parent)]
    try:
        yield
    except SystemExit as leaving:
        if leaving.code not in (None, 0):
            raise
    finally:
        sys.argv, sys.path[:] = before[0], before[1]
