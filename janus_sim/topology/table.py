"""The routes of many pairs of GPUs at once, as arrays: laid out by kinds of machines, and renumbered.

Two pairs of machines of the same kinds have the same routes but for the numbers at which their links begin.
So a route is looked up by the kinds of its two machines and the local numbers of its two GPUs, and the
beginnings are added: memory is linear in GPUs, and in the routes asked for.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from janus_sim.topology.hashing import spines
from janus_sim.topology.place import Device
from janus_sim.topology.routing import Route, Router

Routes = NDArray[np.int32]
Ints = NDArray[np.int64]

#: Whose beginning is added to a number of the layout: a machine's, a leaf's, or nobody's.
SOURCE, TARGET, UP, DOWN, NOBODY = range(5)


class Layout:
    """The routes between all GPUs of a cluster, laid out by kinds of machines as they are asked for.

    Parameters
    ----------
    router : Router
        Knows the machines.
    route : function
        Gives one route.
    """

    def __init__(self, router: Router, route: Callable[[Device, Device], Route]) -> None:
        self._router, self._route, sites = router, route, router.sites
        wirings = dict.fromkeys(id(site.wiring) for site in sites)
        numbers = {wiring: number for number, wiring in enumerate(wirings)}
        self._kinds = len(numbers)
        self._kind = np.array([numbers[id(site.wiring)] for site in sites])
        self._machine = np.array([gpu.machine for gpu in router.gpus])
        self._local = np.array([gpu.local for gpu in router.gpus])
        self._gpus = np.bincount(self._machine)  # of each machine
        self._begin = np.array([site.first_link for site in sites], dtype=np.int32)
        ends = [router.leaves.get(machine, (0, 0)) for machine in range(len(sites))]
        self._leaves = np.array(ends, dtype=np.int32)
        ways = self._kinds * self._kinds * 3  # by kinds, and in one machine, below one leaf, or further
        self._first = np.full(ways, -1, dtype=np.int64)  # the first row of a way, -1 where not laid out
        self._hops = np.ones(ways, dtype=np.int64)
        self._links: Routes = np.zeros((0, 1), dtype=np.int32)  # (rows, hops), counted from a beginning
        self._owner: Routes = np.zeros((0, 1), dtype=np.int32)  # (rows, hops), whose beginning

    def routes(
        self,
        sources: NDArray[np.integer],
        targets: NDArray[np.integer],
        numbers: NDArray[np.integer] | int = 0,
    ) -> Routes:
        """Give many routes.

        Parameters
        ----------
        sources, targets : (n,) int
            Ranks.
        numbers : (n,) int, or int
            Of queue pairs.

        Returns
        -------
        (n, hops) int32
            Links, padded with -1 to the longest kind of route among them.
        """
        here, there = self._machine[sources], self._machine[targets]
        apart = self._leaves[here, 0] != self._leaves[there, 0]
        way = (self._kind[here] * self._kinds + self._kind[there]) * 3 + (here != there) + apart
        used = np.flatnonzero(np.bincount(way, minlength=len(self._first)))
        missing = used[self._first[used] < 0]
        if len(missing):
            examples = [int(np.argmax(way == one)) for one in missing]
            self._lay(missing, [(int(here[one]), int(there[one])) for one in examples])
        row = self._first[way] + self._local[sources] * self._gpus[there] + self._local[targets]
        hops = int(self._hops[used].max(initial=1))
        routes: Routes = self._links[:, :hops][row]
        begin = self._beginnings(here, there)
        fabric = self._router.fabric
        if fabric.hashed:
            begin[[UP, DOWN]] += spines(fabric.seed, sources, targets, fabric.planes, numbers)
        routes += begin[self._owner[:, :hops][row], np.arange(len(row))[:, None]]
        return routes

    def _beginnings(self, here: Ints, there: Ints) -> Routes:
        """Give where the links of each owner begin for each route: (owners, n)."""
        begin = np.zeros((5, len(here)), dtype=np.int32)
        begin[SOURCE], begin[TARGET] = self._begin[here], self._begin[there]
        begin[UP], begin[DOWN] = self._leaves[here, 0], self._leaves[there, 1]
        return begin

    def _lay(self, ways: Ints, pairs: list[tuple[int, int]]) -> None:
        """Lay out more ways, each by the routes of one pair of machines that goes so."""
        found = [self._counted(*pair) for pair in pairs]
        self._hops[ways] = [links.shape[1] for links, _ in found]
        self._first[ways] = np.cumsum([len(self._links), *(len(links) for links, _ in found)])[:-1]
        hops = int(self._hops.max())
        self._links = _stacked([self._links, *(links for links, _ in found)], hops, -1)
        self._owner = _stacked([self._owner, *(owner for _, owner in found)], hops, NOBODY)

    def _counted(self, here: int, there: int) -> tuple[Routes, Routes]:
        """Give the links between the GPUs of two machines, from where their owners begin, and whose."""
        links = self._block(here, there)
        counted, owner = links.copy(), np.full(links.shape, NOBODY, dtype=np.int32)
        (up, _), (_, down), planes = self._leaves[here], self._leaves[there], self._router.fabric.planes
        for who, begin, count in ((UP, up, planes), (DOWN, down, planes)):
            mine = (links >= begin) & (links < begin + count)
            counted[mine], owner[mine] = 0, who
        for who, machine in ((TARGET, there), (SOURCE, here)):
            begin, count = self._begin[machine], len(self._router.sites[machine].wiring.links)
            mine = (links >= begin) & (links < begin + count)
            counted[mine], owner[mine] = links[mine] - begin, who
        return counted, owner

    def _block(self, here: int, there: int) -> Routes:
        """Give the routes from each GPU of one machine to each of another: (pairs, hops)."""
        ranks = self._router.ranks
        found = [self._route(source, target) for source in ranks(here) for target in ranks(there)]
        hops = max(1, *map(len, found))
        return np.array([(*one, *[-1] * (hops - len(one))) for one in found], dtype=np.int32)


def _stacked(parts: list[Routes], hops: int, fill: int) -> Routes:
    """Set rows below each other, all filled up to so many hops."""
    wide = [np.pad(one, ((0, 0), (0, hops - one.shape[1])), constant_values=fill) for one in parts]
    return np.concatenate(wide)
