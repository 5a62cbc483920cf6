"""Kernels on the belt: one at a time on each compute stream, slowed by what takes SMs away."""

from __future__ import annotations

import numpy as np

from janus_sim.engine.belt import layout as at
from janus_sim.engine.belt.compiled import Array, compiled, inner
from janus_sim.engine.belt.layout import State
from janus_sim.network.events import set_time


@inner
def append(x: int, row: Array, first: int, last: int, task: Array) -> None:
    """Put a task at the end of a queue, its ends in two columns of a row; if empty, `last` is stale."""
    task[x, at.NEXT] = -1
    if row[first] < 0:
        row[first] = x
    else:
        task[row[last], at.NEXT] = x
    row[last] = x


@inner
def write(x: int, begin: float, now: float, link: int, s: State) -> int:
    """Write the span of a task that ends now; its id."""
    span, task = s.head[at.SPANS], s.task
    s.head[at.SPANS] += 1
    row = s.span[span]
    row[at.S_RANK], row[at.S_WHERE], row[at.S_TEXT] = task[x, at.RANK], task[x, at.WHERE], task[x, at.TEXT]
    row[at.S_EXPERT], row[at.S_KIND], row[at.S_LINK] = task[x, at.EXPERT], task[x, at.KIND], link
    row[at.S_WHY] = task[x, at.WHY]
    s.times[span, 0], s.times[span, 1] = begin, now
    return int(span)


@inner
def length(x: int, rank: int, s: State) -> float:
    """The seconds of a kernel as things are."""
    work = s.task[x, at.WHERE]
    seconds: float = s.gap[work] + s.seconds[s.stream[rank, at.SHARE], work] / s.pace[rank, at.SPEED]
    return seconds


@inner
def run_kernel(x: int, rank: int, now: float, s: State) -> None:
    """Run a kernel on an idle stream."""
    stream, pace = s.stream[rank], s.pace[rank]
    s.begin[x] = now
    stream[at.RUNNING] = x
    stream[at.ORDER] = s.head[at.TURN]
    s.head[at.TURN] += 1
    s.head[at.BUSY] += 1
    pace[at.LEFT], pace[at.SINCE], pace[at.LENGTH] = 1.0, now, length(x, rank, s)
    set_time(rank, now + pace[at.LENGTH], s.when)


@inner
def begin_kernel(x: int, now: float, s: State) -> None:
    """Run a kernel, or queue it behind others."""
    rank = s.task[x, at.RANK]
    if s.stream[rank, at.RUNNING] < 0:
        run_kernel(x, rank, now, s)
    else:
        append(x, s.stream[rank], at.STREAM_FIRST, at.STREAM_LAST, s.task)


@inner
def earliest(time: float, s: State) -> int:
    """The rank whose kernel ends at `time`; of several, the one whose kernel was begun or retimed first."""
    best, order = -1, np.int64(0)
    for rank in range(len(s.stream)):
        if s.when[len(s.when) // 2 + rank] == time and (best < 0 or s.stream[rank, at.ORDER] < order):
            best, order = rank, s.stream[rank, at.ORDER]
    return best


@inner
def end_kernel(time: float, s: State) -> tuple[int, int]:
    """End the kernel that is over at `time` and begin the one behind it: (task, its span)."""
    rank = earliest(time, s)
    stream, task = s.stream[rank], s.task
    x = stream[at.RUNNING]
    span = write(x, s.begin[x], time, -2, s)
    stream[at.RUNNING] = -1
    s.head[at.BUSY] -= 1
    set_time(rank, np.inf, s.when)
    following = stream[at.STREAM_FIRST]
    if following >= 0:
        stream[at.STREAM_FIRST] = task[following, at.NEXT]
        task[following, at.WHY] = span
        run_kernel(following, rank, time, s)
    return x, span


@compiled
def retime(rank: int, share: int, speed: float, now: float, s: State) -> None:
    """Give a rank another share of its SMs, or another speed, from now on."""
    stream, pace = s.stream[rank], s.pace[rank]
    stream[at.SHARE], pace[at.SPEED] = share, speed
    x = stream[at.RUNNING]
    if x < 0:
        return
    seconds = length(x, rank, s)
    if seconds == pace[at.LENGTH]:
        return
    if pace[at.LENGTH] > 0.0:
        pace[at.LEFT] = max(pace[at.LEFT] - (now - pace[at.SINCE]) / pace[at.LENGTH], 0.0)
    pace[at.SINCE], pace[at.LENGTH] = now, seconds
    stream[at.ORDER] = s.head[at.TURN]
    s.head[at.TURN] += 1
    set_time(rank, now + pace[at.LEFT] * seconds, s.when)
