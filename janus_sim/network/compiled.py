"""How the functions of this package are compiled: kept on disk, divisions as numpy does them, no reference counts.

Without reference counts a compiled function may not make arrays or lists; with them every view of an array would cost
two atomic counts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar, cast

import numba
import numpy as np
from numba.core import types

Array: TypeAlias = np.ndarray[Any, Any]
Record: TypeAlias = Any  # one row of an array of records; the state of a network is a single one
Function = TypeVar("Function", bound=Callable[..., Any])


def digest(package: Path, begin: str = "") -> str:
    """Return a name of the text of a whole package, and of what its functions call besides, which `begin` names."""
    text = hashlib.sha256(begin.encode())
    for file in sorted(package.glob("*.py")):
        text.update(file.read_bytes())
    return text.hexdigest()


def keep(function: Callable[..., Any], stamp: str) -> Callable[..., Any]:
    """Compile at the first call, or take what an earlier process kept of the text that `stamp` names."""
    options: dict[str, Any] = {"_nrt": False}
    kernel = numba.njit(cache=True, error_model="numpy", **options)(function)
    file = getattr(getattr(kernel, "_cache", None), "_cache_file", None)
    if file is not None:
        file._source_stamp = stamp
    return cast("Callable[..., Any]", kernel)


#: numba keeps a compiled function for as long as its own file stays the same, and would call old text of others.
DIGEST: Final = digest(Path(__file__).parent)


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile as `keep` does; for calls from Python with the whole state."""
    return keep(function, DIGEST)


def _wide(kind: Any) -> Any:  # noqa: ANN401
    """int64 for every integer type, and no literals: a function is then compiled once, and not for each mixture."""
    kind = types.unliteral(kind)  # type: ignore[no-untyped-call]
    return types.int64 if isinstance(kind, types.Integer) else kind


def inner(function: Function) -> Function:
    """Compile for calls from other compiled functions alone."""
    options: dict[str, Any] = {"_nrt": False, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    kernel: Any = numba.njit(error_model="numpy", **options)(function)
    resolve = kernel.get_call_template
    kernel.get_call_template = lambda given, named: resolve(tuple(map(_wide, given)), named)
    return cast("Function", kernel)
