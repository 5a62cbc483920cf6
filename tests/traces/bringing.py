"""Bring small files into the neutral form, or see them refused with nothing left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from janus_sim.errors import InputError
from janus_sim.traces import Trace, open_trace, write_trace
from janus_sim.traces.formats import Asked, opened


def brought(path: Path, *more: Path, which: str | None = None, **asked: Any) -> tuple[str, Trace]:
    """Import, and give the name of the format that was detected, and the trace."""
    out = path.parent / "out.parquet"
    found = opened([path, *more], which, Asked(**asked))
    write_trace(out, found.info, found.read.blocks)
    return found.name, open_trace(out)


def refused(path: Path, *more: Path, **asked: Any) -> str:
    """Give the words of the refusal."""
    before = sorted(path.parent.rglob("*"))
    with pytest.raises(InputError) as error:
        brought(path, *more, **asked)
    assert sorted(path.parent.rglob("*")) == before, "something was left behind"
    return str(error.value)
