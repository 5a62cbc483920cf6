"""Which expert first: pure functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Lookup = Callable[[int], int]


def by_home(
    rank: int, homes: Sequence[int], machine: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Return the experts of `rank`, the others of its machine (internal), and all others (external), each by number.

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


def staggered(rank: int, homes: Sequence[int], machine: Sequence[int], internal: Sequence[int]) -> tuple[int, ...]:
    """Return internal experts starting with those of the neighbour `rank` + 1, so that no owner is mobbed.

    Source: Janus, section 5.2.

    Examples
    --------
    >>> staggered(1, [0, 1, 2, 3], [0, 1, 2, 3], [0, 2, 3])
    (2, 3, 0)
    """
    place = {member: index for index, member in enumerate(machine)}
    return tuple(sorted(internal, key=lambda expert: ((place[homes[expert]] - place[rank]) % len(machine), expert)))


def by_machine_and_nic(
    here: int, machines: int, homes: Sequence[int], external: Sequence[int], machine_of: Lookup, nic_of: Lookup
) -> tuple[int, ...]:
    """Return external experts starting with those of the next machine, the NICs they come through taking turns.

    The order is the same for all GPUs of the machine `here`, so that GPUs under one PCIe switch can hand experts on.

    Examples
    --------
    >>> by_machine_and_nic(0, 3, [0, 2, 3, 4, 5], [1, 2, 3, 4], lambda rank: rank // 2, lambda rank: rank % 2)
    (1, 2, 3, 4)
    """
    turns: dict[int, int] = {}
    keyed: list[tuple[int, int, int]] = []
    for expert in sorted(external, key=lambda expert: ((machine_of(homes[expert]) - here) % machines, expert)):
        nic = nic_of(homes[expert])
        turns[nic] = turns.get(nic, -1) + 1
        keyed.append((turns[nic], nic, expert))
    return tuple(expert for *_, expert in sorted(keyed))
