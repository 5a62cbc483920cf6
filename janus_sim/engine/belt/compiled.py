"""How the functions of the belt are compiled: as those of the network, whose text they contain."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from janus_sim.network.compiled import DIGEST, Array, Record, digest, inner, keep

__all__ = ["Array", "Record", "compiled", "inner"]

BELT: Final = digest(Path(__file__).parent, DIGEST)


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile as `janus_sim.network.compiled.keep` does; for calls from Python."""
    return keep(function, BELT)
