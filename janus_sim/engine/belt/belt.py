"""`Belt`: tasks on one cluster, and what Python says to them and waits for."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from janus_sim.engine.belt import layout as at
from janus_sim.engine.belt.store import Ints, Store
from janus_sim.engine.time import Activity

if TYPE_CHECKING:
    from janus_sim.engine.belt.works import Works
    from janus_sim.engine.time import Timeline
    from janus_sim.network import Flows

T = TypeVar("T")

ACTIVITY: Final = -2  #: what is watched: the task t as ACTIVITY - t, the groups of flows by their number


class Belt(Store):
    """Tasks that run in compiled code beside the network, and stand in for it before the `Timeline`.

    Its `timeline` and `fabric` are given to it by the cluster.
    """

    timeline: Timeline

    def __init__(self, flows: Flows, ranks: int, works: Works) -> None:
        super().__init__(flows, ranks, works)
        self._recalled: dict[Hashable, Any] = {}
        self._others = np.zeros(64, np.int64)

    def recall(self, key: Hashable, work_out: Callable[[], T]) -> T:
        """Return what was worked out for `key` before in this step, or work it out now."""
        if key not in self._recalled:
            self._recalled[key] = work_out()
        answer: T = self._recalled[key]
        return answer

    def go(self, tasks: Ints) -> None:
        """Give tasks, each of which needs that, the go-ahead: one after another."""
        self._sync()
        code = self._core.enter(tasks, self.timeline.why, self.state, self.flows._net)
        while code == at.GROW:
            self._grow()
            code = self._core.enter(tasks[:0], self.timeline.why, self.state, self.flows._net)

    def _sync(self) -> None:
        """Tell the network the time, so that what begins now begins now."""
        if self.flows.now < self.timeline.now:
            self.flows.advance(self.timeline.now)
        self.renew()
        self.flows._quiet = -np.inf

    def await_go(self, tasks: Ints) -> None:
        """Let tasks need the go-ahead of Python besides."""
        self.arrays["task"][tasks, at.NEEDS] += 1

    def watch(self, task: int, *name: object) -> Activity:
        """Return what is over when the task is."""
        activity = Activity(self.timeline, *name)
        row = self.arrays["task"][task]
        if row[at.STATE] == at.OVER:
            activity.finish(int(row[at.WHY]))
            return activity
        row[at.WATCHED] = 1
        self.timeline.watch(ACTIVITY - task, self._finish(activity, task))
        return activity

    def _finish(self, activity: Activity, task: int) -> Callable[[], None]:
        return lambda: activity.finish(int(self.arrays["task"][task, at.WHY]))

    def issue(self, task: int) -> None:
        """Begin a kernel that Python calls, now or behind those before it."""
        self.arrays["task"][task, at.WHY] = self.timeline.why
        self._core.issue(task, self.timeline.now, self.state)

    def renew(self) -> None:
        """Take over the table of kernels if it has grown."""
        if self.works.seconds is not self.arrays["seconds"]:
            self.arrays["seconds"], self.arrays["gap"] = self.works.seconds, self.works.gap
            self._pack()

    def retime(self, rank: int, share: int, speed: float) -> None:
        """Give the stream of a rank another share of SMs, or speed."""
        self._kernels.retime(rank, share, speed, self.timeline.now, self.state)

    # --- before the timeline it stands for the network ---

    @property
    def in_flight(self) -> int:
        """Whether anything moves, runs or is ready."""
        head = self.head
        return self.flows.in_flight + int(head[at.BUSY]) + int(head[at.FIRST] >= 0)

    def advance(self, until: float) -> tuple[float, NDArray[np.int64]]:
        """Run to `until`, at most to what Python waits for first: (time, what emptied or is over)."""
        self._sync()
        while True:
            groups = len(self.flows._memory["emptied"])
            if len(self._others) < groups:
                self._others = np.zeros(groups, np.int64)
            code, now, count = self._core.advance(until, self.state, self.flows._net, self._others)
            if code == at.GROW:
                self._grow()
            elif code == at.FULL:
                self._more_spans()
            else:
                break
        if code == at.TOLD:
            return now, np.array([ACTIVITY - int(self.head[at.OVER_AT])])
        return now, self._others[:count].copy()

    def _grow(self) -> None:
        """Make room for one more flow, and for its group: as many more as there are."""
        self.flows._memory.grow(self.arrays["route"].shape[1])
        if self.head[at.GROUPS]:
            return
        count = max(64, self._groups)
        first, self._groups = self.flows.groups(count), self._groups + count
        self.room("spare", self._groups)[:count] = range(first, first + count)
        self.room("owner", first + count)
        self.head[at.GROUPS] = count

    def _more_spans(self) -> None:
        rows = 2 * len(self.arrays["span"]) + self.ranks + self.flows.in_flight
        self.room("span", rows)
        self.room("times", rows)

    def clear(self) -> None:
        """Forget the tasks of a step, all of which are over; count what their flows carried."""
        moved = self.arrays["moved"]
        for number in np.flatnonzero(moved[: len(self.paths)]).tolist():
            self.paths[number].times += int(moved[number])
        moved[:] = 0
        self.head[[at.TASKS, at.EDGES, at.LIVE, at.AWAITING]] = 0
        self.head[at.FREE_EDGE] = -1
        self.rows.clear()
        self._recalled.clear()
