"""Where each number of the belt lives: the columns of the flat arrays that the compiled code works on."""

from __future__ import annotations

from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, Any]

# head: int64 counters of the whole belt
TASKS: Final = 0  # tasks put on the belt
EDGES: Final = 1
FIRST: Final = 2  # the first task that is ready, -1 none
LAST: Final = 3  # means nothing while none is ready
SPANS: Final = 4  # spans of the run, those that Python writes included
TURN: Final = 5  # kernels begun, ever
BUSY: Final = 6  # kernels under way
GROUPS: Final = 7  # flow groups that `spare` holds
OVER_AT: Final = 8  # Python: the task that is over, -1 none
FLOWS: Final = 9  # flows begun, ever
LIVE: Final = 10  # edges in use
FREE_EDGE: Final = 11  # the first that can be used again, -1 none
AWAITING: Final = 12  # edges that may still come to be: of tasks that will wait for what they await
HEAD: Final = 13

# task: int32 columns
KIND: Final = 0
NEEDS: Final = 1  # so many tasks must be over before
EDGE: Final = 2  # first of its edges, -1 none
LAST_EDGE: Final = 3
POOL: Final = 4  # takes a credit of it, -1 none
SECOND: Final = 5  # and then one of this
GIVES: Final = 6  # gives one back when it is over
RANK: Final = 7  # who does it; -1 - machine for what a machine does
WHERE: Final = 8  # the work of a kernel, the path of a flow, the task that follows a meeting
PRIORITY: Final = 9
TEXT: Final = 10  # what its span says
EXPERT: Final = 11
NEXT: Final = 12  # in whatever queue it stands; of a flow under way the number of its begin
WHY: Final = 13
STATE: Final = 14
JOIN: Final = 15  # the task that waits for it and for others alike, -1 none
WATCHED: Final = 16  # Python waits for it, and has not been told
AWAITS: Final = 17  # and then it waits for this one, behind those that came to wait before, -1 none
TASK: Final = 18

NOTHING: Final = 0  # values of KIND: takes no time, and what waits for it goes on at once
KERNEL: Final = 1
FLOW: Final = 2
MEETING: Final = 3  # parts are handed in; who brings the last one goes on
NEWS: Final = 4  # takes no time; what waits for it queues behind what is ready

FRESH: Final = 0  # values of STATE
WAITS_FIRST: Final = 1  # in the queue of its pool
HAS_FIRST: Final = 2
WAITS_SECOND: Final = 3
HAS_BOTH: Final = 4
UNDER_WAY: Final = 5
OVER: Final = 6

# pool: int32 columns
FREE: Final = 0
POOL_FIRST: Final = 1
POOL_LAST: Final = 2
POOL_COLUMNS: Final = 3

# stream: int64 columns of the compute stream of a rank
RUNNING: Final = 0
STREAM_FIRST: Final = 1
STREAM_LAST: Final = 2
SHARE: Final = 3  # row of `seconds`: which part of the SMs it has
ORDER: Final = 4  # when its kernel began, among all
STREAM: Final = 5

# pace: float64 columns of the compute stream of a rank
LEFT: Final = 0  # part of the running kernel still to do, as of SINCE
SINCE: Final = 1
LENGTH: Final = 2
SPEED: Final = 3
PACE: Final = 4

# path: float64 columns
DELAY: Final = 0
CAP: Final = 1
SIZE: Final = 2
PATH: Final = 3

# span: int32 columns
S_RANK: Final = 0
S_WHERE: Final = 1
S_TEXT: Final = 2
S_EXPERT: Final = 3
S_KIND: Final = 4
S_LINK: Final = 5
S_WHY: Final = 6
SPAN: Final = 7

# what a compiled call answers
DONE: Final = 0
GROW: Final = -1  # make room in the network and call again
FULL: Final = -2  # make room for spans and call again
TOLD: Final = 1  # a task that Python waits for is over
ENDED: Final = 2  # flow groups of Python emptied


class State(NamedTuple):
    """All arrays of the belt, as the compiled code takes them.

    Attributes
    ----------
    head : (HEAD,) int64
    task : (tasks, TASK) int32
    begin : (tasks,) float64
        Seconds at which it began.
    edge : (edges, 2) int32
        The task that waits, and the next edge of the same source.
    pool : (pools, POOL_COLUMNS) int32
    stream : (ranks, STREAM) int64
    pace : (ranks, PACE) float64
    when : (2 n,) float64
        Seconds: when the kernels of ranks end, a tree of minima (`janus_sim.network.events`).
    seconds : (shares, works) float64
        Of kernels, at each share of the SMs met so far.
    gap : (works,) float64
        Seconds of host time before them.
    route : (paths, hops) int32
    path : (paths, PATH) float64
    moved : (paths,) int64
        How many flows took it.
    spare : (flows,) int64
        Groups reserved in the network that no flow has now.
    owner : (groups,) int32
        The task of each group, -1 for one of Python's or of nobody.
    span, times : (spans, SPAN) int32, (spans, 2) float64
    """

    head: Array
    task: Array
    begin: Array
    edge: Array
    pool: Array
    stream: Array
    pace: Array
    when: Array
    seconds: Array
    gap: Array
    route: Array
    path: Array
    moved: Array
    spare: Array
    owner: Array
    span: Array
    times: Array
