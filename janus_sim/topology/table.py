"""All routes between GPUs as one array, laid out machine by machine; machines of a kind share the work."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from janus_sim.topology.place import Device
from janus_sim.topology.routing import Route, Router

Block = NDArray[np.int32]


def table(router: Router, route: Callable[[Device, Device], Route]) -> Block:
    """Lay out the routes between all GPUs.

    Parameters
    ----------
    router : Router
        Knows the machines.
    route : function
        Gives one route.

    Returns
    -------
    (world, world, hops) int32
        Link indices from the first axis to the second, padded with -1; read-only.
    """
    machines = range(len(router.sites))
    pairs = [(here, there) for here in machines for there in machines]
    first: dict[tuple[int, int, bool, bool], tuple[int, int]] = {}
    for pair in pairs:
        first.setdefault(_alike(router, *pair), pair)
    blocks = {key: block(router, pair, route) for key, pair in first.items()}
    hops = max(one.shape[2] for one in blocks.values())
    routes = np.full((len(router.gpus), len(router.gpus), hops), -1, dtype=np.int32)
    for here, there in pairs:
        key = _alike(router, here, there)
        part = _moved(blocks[key], _spans(router, *first[key]), _spans(router, here, there))
        rows, columns = router.sites[here].first_rank, router.sites[there].first_rank
        routes[rows : rows + part.shape[0], columns : columns + part.shape[1], : part.shape[2]] = part
    routes.flags.writeable = False
    return routes


def _alike(router: Router, here: int, there: int) -> tuple[int, int, bool, bool]:
    """Say what two pairs of machines must share for their routes to differ by numbers alone."""
    kinds = [id(router.sites[machine].wiring) for machine in (here, there)]
    same_leaf = bool(router.leaves) and router.leaves[here] == router.leaves[there]
    return kinds[0], kinds[1], here == there, same_leaf


def block(router: Router, pair: tuple[int, int], route: Callable[[Device, Device], Route]) -> Block:
    """Lay out the routes from the GPUs of one machine to those of another: (GPUs, GPUs, hops)."""
    rows, columns = (router.ranks(machine) for machine in pair)
    found = [[route(source, target) for target in columns] for source in rows]
    hops = max(1, *(len(one) for row in found for one in row))
    padded = [[(*one, *[-1] * (hops - len(one))) for one in row] for row in found]
    return np.array(padded, dtype=np.int32).reshape(len(rows), len(columns), hops)


def _spans(router: Router, here: int, there: int) -> list[tuple[int, int]]:
    """Give the runs of links that the routes of a pair of machines are made of, as first and number."""
    sites = [router.sites[machine] for machine in (here, there)]
    spans = [(site.first_link, len(site.wiring.links)) for site in sites]
    if router.leaves:
        spans += [(router.leaves[here][0], 1), (router.leaves[there][1], 1)]
    return spans


def _moved(block: Block, old: list[tuple[int, int]], new: list[tuple[int, int]]) -> Block:
    """Renumber the links of a block from one pair of machines to another."""
    moved = block.copy()
    for (begin, count), (to, _) in zip(old, new, strict=True):
        mine = (block >= begin) & (block < begin + count)
        moved[mine] = block[mine] + np.int32(to - begin)
    return moved
