"""`Flows`: the fluid state of a network, which is told the time and has no clock."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from janus_sim.errors import InputError, Mistake
from janus_sim.network import core
from janus_sim.network import layout as at
from janus_sim.network.accounts import read_links
from janus_sim.network.checks import check_capacity, check_flows, columns

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_NAMES: Final = [
    "head",
    "clock",
    "route",
    "whole",
    "real",
    "when",
    "soonest",
    "lane",
    "share",
    "level",
    "due",
    "imminent",
    "link",
    "series",
    "pool",
    "mass",
    "left",
    "work",
    "heap",
    "group",
    "emptied",
    "ends",
]


class Flows:
    """Flows over links that share them max-min fairly, by weight, under caps and strict priorities.

    Parameters
    ----------
    capacity : (links,) array of float
        Bytes per second.
    bins : int
        Bins of the series of carried bytes; 0 keeps none. Their width doubles when time outgrows them.
    bin_width : float
        Seconds of a bin at the start.
    now : float
        Seconds; the time to begin with.

    Notes
    -----
    The larger the priority number, the later the flow is served: it gets what smaller ones leave. A flow that gets
    nothing waits in place. Flows that end within a relative 1e-12 of the time end together.

    Examples
    --------
    Two flows share a link of 1 GB/s; the second is twice as large and has the link for itself in the end.

    >>> flows = Flows([1e9])
    >>> group = flows.groups(2)
    >>> flows.add([[0], [0]], [1e9, 2e9], groups=[[group, -1], [group + 1, -1]])
    array([0, 1])
    >>> flows.advance(10.0)
    (2.0, array([0]))
    >>> flows.advance(10.0)
    (3.0, array([1]))
    >>> flows.group_last(1)
    (1, 0)
    """

    def __init__(
        self, capacity: ArrayLike, *, bins: int = 0, bin_width: float = 1e-5, now: float = 0.0
    ) -> None:
        values = check_capacity(capacity)
        links = len(values)
        head = np.zeros(at.HEAD, np.int64)
        head[[at.FREE_FLOW, at.FREE_LANE]] = -1
        head[at.FREE_BLOCK :] = -1
        link = np.zeros((links, at.LINKS))
        link[:, at.CAPACITY], link[:, at.TOP], link[:, at.WRITTEN] = values, -1, now
        self._arrays: dict[str, NDArray[Any]] = {
            "head": head,
            "clock": np.array([now, bin_width]),
            "route": np.zeros((64, 16), np.int32),
            "whole": np.zeros((64, at.WHOLE), np.int64),
            "real": np.zeros((64, at.REAL)),
            "when": np.full(64, np.inf),
            "soonest": np.full(1, np.inf),
            "lane": np.zeros((64, at.LANE), np.int64),
            "share": np.zeros((64, at.SHARE)),
            "level": np.full(64, np.inf),
            "due": np.full(64, np.inf),
            "imminent": np.full(1, np.inf),
            "link": link,
            "series": np.zeros((links, bins)),
            "pool": np.zeros(1024, np.int64),
            "mass": np.zeros(1024),
            "left": np.zeros(1024),
            "work": np.zeros((2, 64), np.int64),
            "heap": np.zeros((128, 2)),
            "group": np.zeros((16, at.GROUP), np.int64),
            "emptied": np.zeros(16, np.int64),
            "ends": np.zeros(0),
        }
        self._quiet = -np.inf  # nothing starts or ends before
        self._pack()

    def _pack(self) -> None:
        """Line the arrays up as the compiled code takes them."""
        self._state = tuple(self._arrays[name] for name in _NAMES)
        self._head, self._clock = self._arrays["head"], self._arrays["clock"]
        self._emptied = self._arrays["emptied"]

    def _stretch(self, name: str, rows: int, fill: float = 0) -> None:
        """Give an array more rows."""
        old = self._arrays[name]
        if rows > len(old):
            new = np.full((rows, *old.shape[1:]), fill, old.dtype)
            new[: len(old)] = old
            self._arrays[name] = new

    def _grow(self, hops: int, more: int = 1) -> None:
        """Make room for `more` flows of `hops` links each, and for as many lanes and entries as they may need."""
        head, arrays = self._head, self._arrays
        if 2 * hops > arrays["route"].shape[1]:
            old = arrays["route"]
            wide = np.full((len(old), 2 * hops), -1, np.int32)
            half = old.shape[1] // 2
            wide[:, :half], wide[:, hops : hops + half] = old[:, :half], old[:, half:]
            arrays["route"] = wide
        hops = arrays["route"].shape[1] // 2
        rows, lanes, entries = len(arrays["whole"]), len(arrays["lane"]), len(arrays["pool"])
        while rows < head[at.FLOWS] + more:
            rows *= 2
        while lanes < head[at.LANES] + hops:
            lanes *= 2
        while entries < head[at.POOL_TOP] + hops * max(16, 2 * head[at.LARGEST]):
            entries *= 2
        for name in ("route", "whole", "real"):
            self._stretch(name, rows)
        self._stretch("when", rows, np.inf)
        self._stretch("soonest", rows // at.BATCH, np.inf)
        for name in ("lane", "share"):
            self._stretch(name, lanes)
        for name in ("level", "due"):
            self._stretch(name, lanes, np.inf)
        self._stretch("imminent", lanes // at.BATCH, np.inf)
        for name in ("pool", "mass", "left"):
            self._stretch(name, entries)
        self._stretch("heap", rows + lanes)
        if lanes > arrays["work"].shape[1]:
            work = np.zeros((2, lanes), np.int64)
            work[:, : arrays["work"].shape[1]] = arrays["work"]
            arrays["work"] = work
        self._pack()

    @property
    def now(self) -> float:
        """Seconds: the time reached."""
        return float(self._clock[at.NOW])

    @property
    def in_flight(self) -> int:
        """Flows added that have not ended, waiting ones included."""
        return int(self._head[at.IN_FLIGHT])

    def groups(self, count: int, flows: int = 0) -> int:
        """Reserve `count` consecutive groups and return the first.

        A group becomes empty when all flows added to it have ended; with `flows`, not before that many were added.
        """
        first = int(self._head[at.GROUPS])
        room = len(self._arrays["group"])
        if first + count > room:
            self._stretch("group", max(2 * room, first + count))
            self._stretch("emptied", max(2 * room, first + count))
            self._pack()
        fresh = self._arrays["group"][first : first + count]
        fresh[:] = (flows, flows, -1, -1, -1)
        self._head[at.GROUPS] = first + count
        return first

    def add_one(
        self,
        route: NDArray[np.int32],
        size: float,
        start: float = -np.inf,
        rate_cap: float = np.inf,
        weight: float = 1.0,
        priority: int = 0,
        group_a: int = -1,
        group_b: int = -1,
    ) -> int:
        """Add one flow, now or at `start`, and return its id; the quick way for a single flow.

        Parameters
        ----------
        route : (hops,) int32 array
            Links; -1 is skipped.
        size, start, rate_cap, weight, priority, group_a, group_b
            As in `add`, for one flow.
        """
        if start < self._quiet:
            self._quiet = start
        state = self._state
        name = core.add_one(*state, route, size, start, rate_cap, weight, priority, group_a, group_b)
        while name == at.GROW:
            self._grow(len(route))
            name = core.add_one(
                *self._state, route, size, start, rate_cap, weight, priority, group_a, group_b
            )
        if name == at.WRONG:
            start = self.now if start == -np.inf else start
            told = columns(
                route.reshape(1, -1),
                [size],
                [start],
                [rate_cap],
                [weight],
                [priority],
                [[group_a, group_b]],
                self.now,
            )
            self._refuse(told)
        return int(name)

    def _refuse(self, told: tuple[NDArray[Any], ...]) -> None:
        """Say which flows are wrong and why."""
        capacity = self._arrays["link"][:, at.CAPACITY]
        mistakes = check_flows(capacity, *told, now=self.now, groups=int(self._head[at.GROUPS]))
        raise InputError(mistakes or [Mistake("network", "a flow was refused without a reason that we know")])

    def add(
        self,
        routes: ArrayLike,
        sizes: ArrayLike,
        *,
        starts: ArrayLike | None = None,
        rate_cap: ArrayLike | None = None,
        weight: ArrayLike | None = None,
        priority: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Integers:
        """Add flows and return their ids, which are consecutive.

        Parameters
        ----------
        routes : (n, hops) array of int
            Links of each flow, padded with -1.
        sizes : (n,) array of float
            Bytes. A flow of 0 bytes ends at its start, as does one with an empty route and no cap.
        starts : (n,) array of float, optional
            Seconds, not before `now`; a later start waits inside and uses nothing until then. Default now.
        rate_cap : (n,) array of float, optional
            Bytes per second; infinite for none.
        weight : (n,) array of float, optional
            Share under contention, above 0. Default 1.
        priority : (n,) array of int, optional
            Smaller numbers are served first, strictly. Default 0.
        groups : (n, 2) or (n,) array of int, optional
            Groups that wait for the flow; -1 for none.

        Raises
        ------
        InputError
            Naming each flow that is impossible; none is added then.
        """
        told = columns(routes, sizes, starts, rate_cap, weight, priority, groups, self.now)
        capacity = self._arrays["link"][:, at.CAPACITY]
        mistakes = check_flows(capacity, *told, now=self.now, groups=int(self._head[at.GROUPS]))
        if mistakes:
            raise InputError(mistakes)
        first, count = int(self._head[at.NEXT_ID]), len(told[1])
        self._quiet = min(self._quiet, float(told[2].min(initial=np.inf)))
        self._grow(told[0].shape[1], count)
        code, done = core.add_many(*self._state, 0, *told)
        while code == at.GROW:
            self._grow(told[0].shape[1], count - done)
            code, done = core.add_many(*self._state, done, *told)
        if code == at.WRONG:
            self._refuse(told)
        return np.arange(first, first + count)

    def next_end(self) -> float:
        """Seconds: when the next flow ends, or starts, if nothing else changes; infinite if none will."""
        return float(core.run(*self._state, -np.inf)[2])

    def advance(self, until: float) -> tuple[float, Integers]:
        """Run through starts and ends to `until`, at most to the first instant at which a group becomes empty.

        Returns
        -------
        time : float
            Seconds: the time reached.
        groups : array of int
            The groups that emptied at that time, ascending. Call again to go on.
        """
        if not until >= self._clock[at.NOW]:
            raise InputError(Mistake("network", f"cannot run to {until!r} s: it is already {self.now!r} s"))
        if until + at.ROUNDING * abs(until) < self._quiet:  # nothing happens before: only the time goes on
            self._clock[at.NOW] = until
            return until, _NONE
        code, now, following, count = core.run(*self._state, until)
        while code == at.GROW:
            self._grow(1)
            code, now, following, count = core.run(*self._state, until)
        if not count:
            self._quiet = following
            return now, _NONE
        self._quiet = -np.inf
        self._head[at.EMPTIED] = 0
        ended = self._emptied[:count].copy()
        ended.sort()
        return now, ended

    def group_last(self, group: int) -> tuple[int, int]:
        """The flow of the group that ended last (of several, the highest id), and the link that held it back.

        The link is -1 if its own cap held it, or nothing; both are -1 if no flow has ended.
        """
        row = self._arrays["group"][group]
        return int(row[at.LAST_ID]), int(row[at.LAST_LINK])

    def set_capacity(self, link: int, value: float) -> None:
        """Give a link another capacity, in bytes per second, from now on; 0 stops its flows until it is raised."""
        if not 0 <= link < len(self._arrays["link"]) or not 0.0 <= value < np.inf:
            raise InputError(
                Mistake(f"link {link}", f"cannot have capacity {value!r}; give bytes per second of a link")
            )
        self._quiet = -np.inf
        core.change(link, value, *(self._arrays[name] for name in ("head", "lane", "share", "link", "work")))

    def _read(self) -> tuple[Floats, Floats]:
        """Bytes carried and busy seconds of each link up to now."""
        core.run(*self._state, -np.inf)
        links = len(self._arrays["link"])
        carried, busy = np.zeros(links), np.zeros(links)
        names = [
            "head",
            "clock",
            "route",
            "whole",
            "real",
            "lane",
            "share",
            "level",
            "link",
            "series",
            "pool",
            "left",
        ]
        arrays = [self._arrays[name] for name in names]
        read_links(*arrays, carried, busy)
        return carried, busy

    @property
    def carried(self) -> Floats:
        """(links,) bytes carried up to now; of ended flows exactly their sizes."""
        return self._read()[0]

    @property
    def busy(self) -> Floats:
        """(links,) seconds in which any flow was moving."""
        return self._read()[1]

    def series(self) -> tuple[Floats, float]:
        """(links, bins) bytes carried in each bin of time, from 0 on, and the width of a bin in seconds."""
        self._read()
        return self._arrays["series"].copy(), float(self._clock[at.WIDTH])


_NONE: Final[Integers] = np.empty(0, np.int64)
_NONE.flags.writeable = False
