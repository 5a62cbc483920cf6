"""Which all-reduce: by the name of its algorithm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from janus_sim.engine.hierarchical import hierarchical_all_reduce
from janus_sim.engine.rings import Pairs, ring_all_reduce
from janus_sim.engine.trees import tree_all_reduce

Algorithm: TypeAlias = Literal["hierarchical", "ring", "tree", "in_switch"]


def all_reduce_pairs(algorithm: Algorithm, machines: Sequence[int], size: int) -> Pairs:
    """Return the flows of an all-reduce of `size` bytes among members in these machines.

    Examples
    --------
    >>> {name: all_reduce_pairs(name, [0] * 8, 64)[2][0].item() for name in ("ring", "in_switch")}
    {'ring': 112, 'in_switch': 72}
    """
    if algorithm == "ring":
        return ring_all_reduce(machines, size)
    if algorithm == "tree":
        return tree_all_reduce(machines, size)
    return hierarchical_all_reduce(machines, size, in_switch=algorithm == "in_switch")
