"""How tasks follow one another: what they need, the credits that they take and give, and what is over."""

from __future__ import annotations

from janus_sim.engine.belt import layout as at
from janus_sim.engine.belt.compiled import inner
from janus_sim.engine.belt.kernels import append
from janus_sim.engine.belt.layout import State


@inner
def ready(x: int, why: int, s: State) -> None:
    """Put a task at the end of those that are ready."""
    s.task[x, at.WHY] = why
    append(x, s.head, at.FIRST, at.LAST, s.task)


@inner
def touch(x: int, why: int, s: State) -> None:
    """One of the tasks that `x` needs is over."""
    s.task[x, at.NEEDS] -= 1
    if s.task[x, at.NEEDS] == 0 and s.task[x, at.STATE] == at.FRESH:
        ready(x, why, s)


@inner
def ahead(x: int, why: int, last: int, s: State) -> int:
    """One of the tasks that `x` needs, one of no time, is over: if `x` is ready it is next, behind `last`."""
    head, task = s.head, s.task
    task[x, at.NEEDS] -= 1
    if task[x, at.NEEDS] != 0 or task[x, at.STATE] != at.FRESH:
        return last
    task[x, at.WHY] = why
    following = head[at.FIRST] if last < 0 else task[last, at.NEXT]
    task[x, at.NEXT] = following
    if last < 0:
        head[at.FIRST] = x
    else:
        task[last, at.NEXT] = x
    if following < 0:
        head[at.LAST] = x
    return x


@inner
def hand_in(meeting: int, x: int, why: int, s: State) -> None:
    """Task `x` brings its part; whoever brings the last goes on, all others are through."""
    task = s.task
    task[meeting, at.NEEDS] -= 1
    if task[meeting, at.NEEDS] > 0:
        touch(task[x, at.JOIN], why, s)
        return
    task[task[meeting, at.WHERE], at.JOIN] = task[x, at.JOIN]
    ready(meeting, why, s)


@inner
def give(pool: int, why: int, s: State) -> None:
    """Give a credit back: to the first who waits, or to the pool."""
    row = s.pool[pool]
    x = row[at.POOL_FIRST]
    if x < 0:
        row[at.FREE] += 1
        return
    row[at.POOL_FIRST] = s.task[x, at.NEXT]
    s.task[x, at.STATE] += 1
    ready(x, why, s)


@inner
def over(x: int, why: int, s: State) -> None:
    """Task `x` is over because of `why`: give back, and let go on what waits for it.

    After one that took no time it goes on at once, as a thread does; else behind all that is ready.
    """
    task = s.task
    at_once = task[x, at.KIND] == at.NOTHING or task[x, at.KIND] == at.MEETING
    last = -1
    task[x, at.STATE], task[x, at.WHY] = at.OVER, why
    if task[x, at.GIVES] >= 0:
        give(task[x, at.GIVES], why, s)
    meets, edge = False, task[x, at.EDGE]
    while edge >= 0:
        target = s.edge[edge, 0]
        if task[target, at.KIND] == at.MEETING:
            meets = True
            hand_in(target, x, why, s)
        elif at_once:
            last = ahead(target, why, last, s)
        else:
            touch(target, why, s)
        edge = s.edge[edge, 1]
        s.head[at.LIVE] -= 1
    forget(x, s)
    if task[x, at.JOIN] >= 0 and not meets:
        touch(task[x, at.JOIN], why, s)
    if task[x, at.WATCHED]:
        ready(x, why, s)


@inner
def forget(x: int, s: State) -> None:
    """Let the edges of a task that is over be used again."""
    first = s.task[x, at.EDGE]
    if first >= 0:
        s.edge[s.task[x, at.LAST_EDGE], 1] = s.head[at.FREE_EDGE]
        s.head[at.FREE_EDGE] = first
        s.task[x, at.EDGE] = -1


@inner
def new_edge(s: State) -> int:
    """An edge that nobody uses."""
    head, e = s.head, s.head[at.FREE_EDGE]
    head[at.LIVE] += 1
    if e >= 0:
        head[at.FREE_EDGE] = s.edge[e, 1]
        return int(e)
    head[at.EDGES] += 1
    return int(head[at.EDGES] - 1)


@inner
def queues(x: int, s: State) -> bool:
    """Whether a ready task has to wait for the one that it awaits: behind those who do so already."""
    awaited = s.task[x, at.AWAITS]
    if awaited < 0:
        return False
    s.task[x, at.AWAITS] = -1
    s.head[at.AWAITING] -= 1
    if s.task[awaited, at.STATE] == at.OVER:
        return False
    follow(awaited, x, s)
    return True


@inner
def follow(x: int, target: int, s: State) -> None:
    """Let `target` need `x`, after all that do."""
    e = new_edge(s)
    s.edge[e, 0], s.edge[e, 1] = target, -1
    if s.task[x, at.EDGE] < 0:
        s.task[x, at.EDGE] = e
    else:
        s.edge[s.task[x, at.LAST_EDGE], 1] = e
    s.task[x, at.LAST_EDGE] = e
    s.task[target, at.NEEDS] += 1


@inner
def takes(x: int, column: int, s: State) -> bool:
    """Take the credit that a task needs, if there is one; else it waits in order of asking."""
    pool = s.task[x, column]
    if pool < 0:
        return True
    if s.pool[pool, at.FREE] > 0:
        s.pool[pool, at.FREE] -= 1
        return True
    append(x, s.pool[pool], at.POOL_FIRST, at.POOL_LAST, s.task)
    return False


@inner
def admitted(x: int, s: State) -> bool:
    """Let a ready task wait for what it awaits, and take both its credits, one after the other."""
    task = s.task
    if task[x, at.STATE] == at.FRESH:
        if queues(x, s):
            return False
        task[x, at.STATE] = at.WAITS_FIRST
        if not takes(x, at.POOL, s):
            return False
        task[x, at.STATE] = at.HAS_FIRST
    if task[x, at.STATE] == at.HAS_FIRST:
        task[x, at.STATE] = at.WAITS_SECOND
        if not takes(x, at.SECOND, s):
            return False
        task[x, at.STATE] = at.HAS_BOTH
    return True
