"""The arrays of the state, opened inside compiled code from the one record that is passed around.

Passing twenty arrays costs a hundred words at each inner call, and two microseconds at each call from Python; the
record holds their addresses instead. `Memory` keeps the arrays alive and the addresses right.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array
from numba.np.numpy_support import from_dtype
from numpy.typing import DTypeLike

from janus_sim.network import layout as at
from janus_sim.network.compiled import Array, Record


def _view(name: str, dtype: DTypeLike) -> Callable[[Record], Array]:
    """An intrinsic from the record of the state to one of its arrays."""
    dimensions, kind = at.ARRAYS[name], np.dtype(dtype)
    first = at.NET.fields[name][1] // 8  # type: ignore[index]
    opened = types.Array(from_dtype(kind), dimensions, "C")
    word = ir.IntType(64)

    def view(typingctx: Any, net: Any) -> Any:  # noqa: ANN401
        def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:  # noqa: ANN401
            base = builder.bitcast(values[0], word.as_pointer())
            address, *shape = (
                builder.load(builder.gep(base, [ir.Constant(word, first + i)])) for i in range(1 + dimensions)
            )
            array, item = context.make_array(opened)(context, builder), ir.Constant(word, kind.itemsize)
            strides = [item] if dimensions == 1 else [builder.mul(shape[1], item), item]
            data = builder.inttoptr(address, array.data.type)
            parts = {"data": data, "shape": shape, "strides": strides, "itemsize": item, "meminfo": None}
            populate_array(array, **parts)  # type: ignore[no-untyped-call]
            return array._getvalue()

        return opened(net), build

    view.__name__ = view.__qualname__ = name
    return cast("Callable[[Record], Array]", intrinsic(view))


flows = _view("flow", at.FLOW)
links = _view("links", np.int32)
bundles = _view("bundle", at.BUNDLE)
paths = _view("path", np.int32)
table = _view("table", np.int32)
lanes = _view("lane", at.LANE)
link_records = _view("link", at.LINK)
series = _view("series", np.float64)
who = _view("who", np.int32)
entries = _view("entry", at.ENTRY)
crossings = _view("crossing", at.ENTRY)
tags = _view("tag", np.float64)
blocks = _view("blocks", np.int64)
heads = _view("heads", np.int32)
words = _view("words", np.int64)
later = _view("later", np.int32)
turns = _view("turns", at.TURN)
due = _view("due", np.float64)
when = _view("when", np.float64)
touched = _view("touched", np.int32)
closed = _view("closed", np.int32)
visited = _view("visited", np.int32)
groups = _view("group", at.GROUP)
emptied = _view("emptied", np.int64)
ends = _view("ends", np.float64)
