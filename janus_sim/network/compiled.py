"""How the functions of this package are compiled: cached on disk, divisions as numpy does them, no reference counts.

Array arguments cost two atomic reference counts a call otherwise, a third of the time of the inner functions; the
price is that a compiled function may not make arrays or lists.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

Array = np.ndarray[Any, Any]
Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile at the first call, or take what an earlier process left in the cache."""
    return cast("Function", numba.njit(cache=True, error_model="numpy", _nrt=False)(function))

