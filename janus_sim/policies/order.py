"""Which expert first, and how many at a time: pure functions."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from janus_sim.engine.gpu import Gpu
    from janus_sim.workload.copies import Ints
    from janus_sim.workload.layer import MoELayer

Lookup = Callable[[int], int]
Rows = Callable[[int, int], int]  #: of a rank and an expert


def by_home(
    rank: int, homes: Sequence[int], machine: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Return the experts of `rank`, the others of its machine (internal), and the rest (external).

    Examples
    --------
    >>> by_home(2, [0, 1, 2, 3, 4, 5], [2, 3])
    ((2,), (3,), (0, 1, 4, 5))
    """
    inside = set(machine)
    own = tuple(expert for expert, home in enumerate(homes) if home == rank)
    internal = tuple(expert for expert, home in enumerate(homes) if home != rank and home in inside)
    external = tuple(expert for expert, home in enumerate(homes) if home not in inside)
    return own, internal, external


def staggered(
    rank: int, homes: Sequence[int], machine: Sequence[int], internal: Sequence[int]
) -> tuple[int, ...]:
    """Return internal experts starting with those of the neighbour `rank` + 1, so that no owner is mobbed.

    Source: Janus, section 5.2.

    Examples
    --------
    >>> staggered(1, [0, 1, 2, 3], [0, 1, 2, 3], [0, 2, 3])
    (2, 3, 0)
    """
    place = {member: index for index, member in enumerate(machine)}
    return tuple(
        sorted(internal, key=lambda expert: ((place[homes[expert]] - place[rank]) % len(machine), expert))
    )


def by_machine_and_nic(
    here: int,
    machines: int,
    homes: Sequence[int],
    external: Sequence[int],
    machine_of: Lookup,
    nic_of: Lookup,
) -> tuple[int, ...]:
    """Return external experts from those of the next machine on, the NICs they come through taking turns.

    The order is the same for all GPUs of the machine `here`, so that GPUs under one PCIe switch can hand
    experts on.

    Examples
    --------
    >>> by_machine_and_nic(0, 3, [0, 2, 3, 4, 5], [1, 2, 3, 4], lambda rank: rank // 2, lambda rank: rank % 2)
    (1, 2, 3, 4)
    """
    turns: dict[int, int] = {}
    keyed: list[tuple[int, int, int]] = []
    for expert in sorted(
        external, key=lambda expert: ((machine_of(homes[expert]) - here) % machines, expert)
    ):
        nic = nic_of(homes[expert])
        turns[nic] = turns.get(nic, -1) + 1
        keyed.append((turns[nic], nic, expert))
    return tuple(expert for *_, expert in sorted(keyed))


def of_use(gpu: Gpu, layer: MoELayer, *, plain: bool) -> tuple[int, ...]:
    """Return all experts in the order in which a GPU uses them: its own, those of its machine, all others.

    Parameters
    ----------
    gpu : Gpu
    layer : MoELayer
    plain : bool
        Each part by number, and neither staggered nor by machine and NIC.
    """
    homes, machine = tuple(layer.home.tolist()), gpu.machine.ranks
    own, internal, external = by_home(gpu.rank, homes, machine)
    if not plain:
        internal = staggered(gpu.rank, homes, machine, internal)
        external = by_machine_and_nic(
            gpu.machine.index, gpu.machines, homes, external, gpu.machine_of, gpu.nic_of
        )
    return own + internal + external


def within(ranks: Sequence[int], group: Container[int]) -> tuple[int, ...]:
    """Return those of `ranks` that are in `group`, in their order.

    Two EP groups may meet in one machine, and even under one PCIe switch.

    Examples
    --------
    >>> within((4, 5, 6, 7), (0, 1, 2, 3, 4, 5))
    (4, 5)
    """
    return tuple(rank for rank in ranks if rank in group)


def holders(mates: Sequence[int], places: Ints) -> Ints:
    """Return the GPU of a machine on which each external expert lands, or its gradients meet (experts,).

    It is the mate that stands where the expert's home stands in its own machine: the GPU behind the NIC that
    the expert comes through and its gradient leaves by. So the experts of one home, which come one after
    another, share a port, and those of different homes do not.

    Parameters
    ----------
    mates : sequence of int
        The GPUs of the machine in the EP group.
    places : (experts,) int64
        The place of each expert's home in the group.

    Examples
    --------
    Two experts a rank, two GPUs a machine; here those of ranks 2 and 3 are external.

    >>> holders((0, 1), np.array([0, 0, 1, 1, 2, 2, 3, 3])).tolist()
    [0, 0, 1, 1, 0, 0, 1, 1]
    """
    return np.array(mates)[places % len(mates)]


def every(rank: int, expert: int) -> int:
    """Before the gate has run any rank may need any expert.

    Examples
    --------
    >>> every(0, 3)
    1
    """
    return 1


def room(written: int | Literal["layer"], layers: Sequence[MoELayer]) -> int:
    """Return for how many experts a GPU has room: so many, or the non-local experts of the widest layer.

    Examples
    --------
    >>> room(3, [])
    3
    """
    if written != "layer":
        return written
    others = (layer.experts - len(layer.experts_of(layer.group[0])) for layer in layers)
    return max(others, default=1) or 1
