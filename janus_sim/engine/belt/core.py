"""What Python calls of the belt: let tasks go, and run them beside the network."""

from __future__ import annotations

import numpy as np

from janus_sim.engine.belt import layout as at
from janus_sim.engine.belt.compiled import Array, Record, compiled, inner
from janus_sim.engine.belt.kernels import begin_kernel, end_kernel, write
from janus_sim.engine.belt.layout import State
from janus_sim.engine.belt.tasks import admitted, follow, over, touch
from janus_sim.network import layout as network
from janus_sim.network import views
from janus_sim.network.adding import add
from janus_sim.network.core import go, unsettled


@inner
def begin_flow(x: int, now: float, s: State, net: Record) -> int:
    """Start to move bytes; DONE, or GROW with nothing done."""
    p, head = s.task[x, at.WHERE], s.head
    if head[at.GROUPS] == 0:
        return at.GROW
    group = s.spare[head[at.GROUPS] - 1]
    code = add(
        s.route[p], s.path[p, at.SIZE], now + s.path[p, at.DELAY], s.path[p, at.CAP], 1.0,
        s.task[x, at.PRIORITY], group, -1, True, net
    )  # fmt: skip
    if code < 0:
        return at.GROW
    head[at.GROUPS] -= 1
    s.owner[group], s.task[x, at.NEXT] = x, head[at.FLOWS]
    head[at.FLOWS] += 1
    s.moved[p] += 1
    return at.DONE


@inner
def begin(x: int, s: State, net: Record) -> int:
    """Begin a ready task that has its credits."""
    now, kind = net.now, s.task[x, at.KIND]
    s.begin[x] = now
    if kind == at.FLOW:
        if begin_flow(x, now, s, net) != at.DONE:
            return at.GROW
        s.task[x, at.STATE] = at.UNDER_WAY
    elif kind == at.KERNEL:
        s.task[x, at.STATE] = at.UNDER_WAY
        begin_kernel(x, now, s)
    else:
        over(x, s.task[x, at.WHY], s)
    return at.DONE


@inner
def drain(s: State, net: Record, tells: bool) -> int:
    """Let all that is ready begin, in order; stop at what Python waits for, or before it if not `tells`."""
    head, task = s.head, s.task
    while head[at.FIRST] >= 0:
        x = head[at.FIRST]
        if task[x, at.STATE] == at.OVER and not tells:
            return at.TOLD
        head[at.FIRST] = task[x, at.NEXT]
        if task[x, at.STATE] == at.OVER:
            head[at.OVER_AT], task[x, at.WATCHED] = x, 0
            return at.TOLD
        if admitted(x, s) and begin(x, s, net) != at.DONE:
            if head[at.FIRST] < 0:
                head[at.LAST] = x
            task[x, at.NEXT] = head[at.FIRST]
            head[at.FIRST] = x
            return at.GROW
    return at.DONE


@inner
def owner(group: int, s: State) -> int:
    """The task whose flow a group waits for, -1 if it is one of Python's."""
    return int(s.owner[group]) if group < len(s.owner) else -1


@inner
def turn(group: int, s: State) -> int:
    """When the flow of a group began, among those of tasks; Python's groups are taken in their order."""
    x = owner(group, s)
    return int(s.task[x, at.NEXT]) if x >= 0 else group


@inner
def in_order(count: int, groups: Array, s: State) -> None:
    """Sort a few groups that nearly are by `turn`."""
    for i in range(1, count):
        group, j = groups[i], i - 1
        place = turn(group, s)
        while j >= 0 and turn(groups[j], s) > place:
            groups[j + 1] = groups[j]
            j -= 1
        groups[j + 1] = group


@inner
def ended(count: int, s: State, net: Record, others: Array) -> int:
    """Write the spans of the flows that ended, in the order of their begins; how many groups are Python's."""
    now, group, emptied = net.now, views.groups(net), views.emptied(net)
    in_order(count, emptied, s)
    left = 0
    for i in range(count):
        g = emptied[i]
        x = owner(g, s)
        if x < 0:
            others[left] = g
            left += 1
        else:
            s.owner[g], s.spare[s.head[at.GROUPS]] = -1, g
            s.head[at.GROUPS] += 1
            over(x, write(x, s.begin[x], now, group[g].last_link, s), s)
    return left


@compiled
def advance(until: float, s: State, memory: Array, others: Array) -> tuple[int, float, int]:
    """Run to `until`, at most to the first thing that Python waits for: (code, now, groups of Python's)."""
    net = memory[0]
    while True:
        code = drain(s, net, True)
        if code != at.DONE:
            return code, net.now, 0
        if s.head[at.SPANS] + len(s.stream) + net.in_flight >= len(s.span):
            return at.FULL, net.now, 0
        soonest = s.when[1]
        horizon = min(soonest, until)
        if net.in_flight > 0 or unsettled(net):
            code, _, _, count = go(horizon, net)
            if code == network.GROW:
                return at.GROW, net.now, 0
            net.emptying = 0
            left = ended(count, s, net, others)
            if left > 0:
                return at.ENDED, net.now, left
            if count > 0:
                continue
        if not horizon < np.inf:
            return at.DONE, net.now, 0
        net.now = max(net.now, horizon)
        if soonest > until:
            return at.DONE, until, 0
        x, span = end_kernel(soonest, s)
        over(x, span, s)


@compiled
def issue(x: int, now: float, s: State) -> None:
    """Begin a kernel that Python calls: at once, or behind those that are queued."""
    s.task[x, at.STATE], s.begin[x] = at.UNDER_WAY, now
    begin_kernel(x, now, s)


@compiled
def enter(tasks: Array, why: int, s: State, memory: Array) -> int:
    """Give the go-ahead of Python to tasks, one after another; each needs it once. DONE, TOLD or GROW."""
    for x in tasks:
        touch(x, why, s)
    return drain(s, memory[0], False)


@compiled
def connect(sources: Array, targets: Array, s: State) -> None:
    """Let each target need its source, unless that is over."""
    for i in range(len(sources)):
        if s.task[sources[i], at.STATE] != at.OVER:
            follow(sources[i], targets[i], s)
