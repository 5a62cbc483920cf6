"""Two machine instructions that numba does not offer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic


def _trailing_zeros(typingctx: Any, word: Any) -> Any:  # noqa: ANN401
    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:  # noqa: ANN401
        return builder.cttz(values[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), build


def _bits_of(typingctx: Any, number: Any) -> Any:  # noqa: ANN401
    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:  # noqa: ANN401
        return builder.bitcast(values[0], ir.IntType(64))

    return types.int64(types.float64), build


#: The number of zero bits below the lowest one of a word that is not 0.
trailing_zeros = cast("Callable[[int], int]", intrinsic(_trailing_zeros))
#: The bits of a float64 as an integer: of numbers that are not negative, in the same order.
bits_of = cast("Callable[[float], int]", intrinsic(_bits_of))
