"""How the functions of the belt are compiled: as those of the network, whose text they contain."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

import numba

from janus_sim.network.compiled import DIGEST, Array, Record, inner

__all__ = ["Array", "Record", "compiled", "inner"]


def _digest() -> str:
    """Return a name of the text of the network and of the belt."""
    text = hashlib.sha256(DIGEST.encode())
    for file in sorted(Path(__file__).parent.glob("*.py")):
        text.update(file.read_bytes())
    return text.hexdigest()


BELT: Final = _digest()


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile at the first call, or take what an earlier process kept; for calls from Python."""
    options: dict[str, Any] = {"_nrt": False}
    kernel = numba.njit(cache=True, error_model="numpy", **options)(function)
    file = getattr(getattr(kernel, "_cache", None), "_cache_file", None)
    if file is not None:
        file._source_stamp = BELT
    return cast("Callable[..., Any]", kernel)
