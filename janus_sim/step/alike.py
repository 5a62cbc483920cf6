"""`alike: machines`: one machine is simulated and the others are its images, where that is exact."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from janus_sim.errors import InputError, Mistake
from janus_sim.topology.alike import Alike, unlike

if TYPE_CHECKING:
    from janus_sim.policies.base import Policy
    from janus_sim.topology import Topology
    from janus_sim.workload.copies import Ints
    from janus_sim.workload.workload import Workload

LEAVE = "leave `alike` out"


def folded(topology: Topology, workload: Workload, policy: Policy, steps: int, where: str = "alike") -> Alike:
    """Return the topology of which one machine stands for all.

    It is exact where machines, their links, the routing and the orders of the policy are alike. What a policy
    of somebody else's looks at cannot be seen: it says so itself (`Policy.unlike`).

    Parameters
    ----------
    topology : Topology
    workload : Workload
    policy : Policy
    steps : int
        How many will be run.
    where : str
        Where it was asked for, for errors.

    Raises
    ------
    InputError
        With the reason why machines are not alike.
    """
    width, ep = len(topology.machines[0].ranks), workload.layout.ep
    reason = unlike(topology)
    if not reason and ep % width and width % ep:
        reason = f"groups of {ep} ranks begin and end inside machines of {width} GPUs"
    if not reason and workload.layout.across:
        reason = "groups have one rank of each"
    reason = reason or policy.unlike(max(1, ep // width)) or _routing(workload, width, steps)
    if workload.spec.routing.kind != "balanced":  # that of trials
        reason = reason or _routing(workload.balanced(), width, 1)
    if reason:
        raise InputError(Mistake(where, f"machines are not alike: {reason}; {LEAVE}"))
    return Alike.of(topology)


def _routing(workload: Workload, width: int, steps: int) -> str:
    """Say where the gates of machines choose differently; "" if nowhere."""
    for step in range(steps):
        for batch in range(workload.micro_batches):
            for moe, layer in enumerate(workload.moe_layers):
                if not turned(workload.trace.at(step, batch, moe), width, workload.layout.ep):
                    return f"the gates of layer {layer} choose differently from machine to machine"
    return ""


def turned(counts: Ints, width: int, ep: int) -> bool:
    """Return whether each machine chooses what the first does, seen from where it stands in its group.

    Parameters
    ----------
    counts : (world, experts) int64
        Rows that the gate of each rank chose for each expert; an expert lives at rank e // (experts / ep).
    width : int
        GPUs of a machine.
    ep : int
        Ranks of a group, whole machines or whole parts of one.

    Examples
    --------
    >>> turned(np.array([[2, 1], [1, 2]]), width=1, ep=2), turned(np.array([[2, 1], [2, 1]]), width=1, ep=2)
    (True, False)
    """
    world, experts = counts.shape
    if counts.size and counts.min() == counts.max():
        return True
    inside = max(ep // width, 1)  # machines of a group
    first = counts[:width]
    for machine in range(world // width):
        shift = (machine % inside) * (experts // inside)
        if not np.array_equal(counts[machine * width : (machine + 1) * width], np.roll(first, shift, axis=1)):
            return False
    return True
