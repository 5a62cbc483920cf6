"""How the functions of this package are compiled: kept on disk, divisions as numpy does them, no reference counts.

Array arguments cost two atomic reference counts a call otherwise, a third of the time of the inner functions; the
price is that a compiled function may not make arrays or lists.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar, cast

import numba
import numpy as np

Array: TypeAlias = np.ndarray[Any, Any]
Function = TypeVar("Function", bound=Callable[..., Any])


def _digest() -> str:
    """Return a name of the text of the whole package."""
    text = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        text.update(file.read_bytes())
    return text.hexdigest()


#: numba keeps a compiled function for as long as its own file stays the same, and would call old text of others.
DIGEST: Final = _digest()


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile at the first call, or take what an earlier process kept; for calls from Python with the whole state."""
    options: dict[str, Any] = {"_nrt": False}
    kernel = numba.njit(cache=True, error_model="numpy", **options)(function)
    file = getattr(getattr(kernel, "_cache", None), "_cache_file", None)
    if file is not None:
        file._source_stamp = DIGEST
    return cast("Callable[..., Any]", kernel)


def inner(function: Function) -> Function:
    """Compile for calls from other compiled functions alone."""
    options: dict[str, Any] = {"_nrt": False, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return cast("Function", numba.njit(error_model="numpy", **options)(function))
