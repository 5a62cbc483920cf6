"""`Flows`: the fluid state of a network, which is told the time and has no clock."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from janus_sim.errors import InputError, Mistake
from janus_sim.network import core
from janus_sim.network import layout as at
from janus_sim.network.adding import add_many, add_one
from janus_sim.network.checks import check_capacity, check_flows, check_tolerance, columns
from janus_sim.network.memory import Memory
from janus_sim.network.readings import Readings

Integers = NDArray[np.int64]

#: From so many flows on it pays to count beforehand how many each link is given.
_MANY: Final = 256


class Flows(Readings):
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
    tolerance : float
        A link keeps its level while it is within this part of the exact one, and ends within this part of the time
        since the network was last idle may share a re-sharing; 0 is exact. At most 0.1.

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
        self,
        capacity: ArrayLike,
        *,
        bins: int = 0,
        bin_width: float = 1e-5,
        now: float = 0.0,
        tolerance: float = 0.0,
    ) -> None:
        self._memory = Memory(check_capacity(capacity), bins, bin_width, now)
        self._net = self._memory.net
        self._now, self._flying = self._net["now"], self._net["in_flight"]  # views, read at every event
        part = self.tolerance = check_tolerance(tolerance)  #: 0 if finish times are exact
        self._net["tolerance"], self._net["slack"] = part, max(part, at.SAME)
        self._net["sway"] = max(2.0 * part, at.SAME)
        self._quiet = -np.inf  # nothing starts or ends before

    @property
    def now(self) -> float:
        """Seconds: the time reached."""
        return float(self._now.item())

    @property
    def in_flight(self) -> int:
        """Flows added that have not ended, waiting ones included."""
        return int(self._flying.item())

    def groups(self, count: int, flows: int = 0) -> int:
        """Reserve `count` consecutive groups and return the first.

        A group becomes empty when all flows added to it have ended; with `flows`, not before that many were added.
        """
        first = int(self._net["groups"][0])
        self._memory.grow_groups(first + count)
        self._memory["group"][first : first + count] = (flows, flows, -1, -1, -1)
        self._net["groups"] = first + count
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
        net = self._net
        name = add_one(net, route, size, start, rate_cap, weight, priority, group_a, group_b)
        while name == at.GROW:
            self._memory.grow(len(route))
            name = add_one(net, route, size, start, rate_cap, weight, priority, group_a, group_b)
        if name == at.WRONG:
            start, row = self.now if start == -np.inf else start, route.reshape(1, -1)
            group = [[group_a, group_b]]
            self._refuse(columns(row, [size], [start], [rate_cap], [weight], [priority], group, self.now))
        return int(name)

    def _mistakes(self, told: tuple[NDArray[Any], ...]) -> list[Mistake]:
        """What is wrong with flows."""
        links, groups = self._memory["link"], int(self._net["groups"][0])
        return check_flows(links["capacity"], *told, now=self.now, groups=groups)

    def _refuse(self, told: tuple[NDArray[Any], ...]) -> None:
        """Say which flows are wrong and why."""
        unknown = [Mistake("network", "a flow was refused without a reason that we know")]
        raise InputError(self._mistakes(told) or unknown)

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
        mistakes = self._mistakes(told)
        if mistakes:
            raise InputError(mistakes)
        return self._put(told)

    def _put(self, told: tuple[NDArray[Any], ...]) -> Integers:
        """Add flows that have been checked; their ids."""
        first, count, hops = int(self._net["next_id"][0]), len(told[1]), told[0].shape[1]
        self._quiet = min(self._quiet, float(told[2].min(initial=np.inf)))
        expected = self._memory.expect(told[0]) if count >= _MANY and len(told[5]) == 1 else 0
        self._memory.grow(hops, count, expected)
        code, done = add_many(self._net, 0, *told)
        while code == at.GROW:
            self._memory.grow(hops, count - done)
            code, done = add_many(self._net, done, *told)
        if expected:
            self._memory.forget()
        if code == at.WRONG:
            self._refuse(told)
        return np.arange(first, first + count)

    def next_end(self) -> float:
        """Seconds: when the next flow ends, or starts, if nothing else changes; infinite if none will."""
        return float(core.run(self._net, -np.inf)[2])

    def advance(self, until: float) -> tuple[float, Integers]:
        """Run through starts and ends to `until`, at most to the first instant at which a group becomes empty.

        Returns
        -------
        time : float
            Seconds: the time reached.
        groups : array of int
            The groups that emptied at that time, ascending. Call again to go on.
        """
        if until + at.ROUNDING * abs(until) < self._quiet and until >= self._now[0]:
            self._now[0] = until  # nothing happens before: only the time goes on
            return until, _NONE
        if not until >= self._now[0]:
            raise InputError(Mistake("network", f"cannot run to {until!r} s: it is already {self.now!r} s"))
        while (told := core.run(self._net, until))[0] == at.GROW:
            self._memory.grow(1)
        _, now, following, count = told
        if not count:
            self._quiet = following
            return now, _NONE
        self._quiet = -np.inf
        ended = self._memory["emptied"][:count]
        return now, np.sort(ended) if count > 1 else ended.copy()

    def group_last(self, group: int) -> tuple[int, int]:
        """The flow of the group that ended last (of several, the highest id), and the link that held it back.

        The link is -1 if its own cap held it, or nothing; both are -1 if no flow has ended.
        """
        row = self._memory["group"][group]
        return int(row["last_id"]), int(row["last_link"])

    def set_capacity(self, link: int, value: float) -> None:
        """Give a link another capacity, in bytes per second, from now on; 0 stops its flows until it is raised."""
        if not 0 <= link < len(self._memory["link"]) or not 0.0 <= value < np.inf:
            wrong = f"cannot have capacity {value!r}; give bytes per second of a link"
            raise InputError(Mistake(f"link {link}", wrong))
        self._quiet = -np.inf
        core.change(self._net, link, value)


_NONE: Final[Integers] = np.empty(0, np.int64)
_NONE.flags.writeable = False
