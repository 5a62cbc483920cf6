"""Where the groups of expert parallelism stand among machines, and what a workload may ask of these."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from janus_sim.errors import Mistake

if TYPE_CHECKING:
    from janus_sim.workload.spec import WorkloadSpec


def machines_of_group(spec: WorkloadSpec, world: int, width: int | None) -> int:
    """Return over how many whole machines of `width` ranks each a group stands; 0 if that is not known.

    A group inside one machine stands over one.

    Examples
    --------
    >>> from janus_sim.workload.spec import WorkloadSpec
    >>> spec = WorkloadSpec.load({"base": "mixtral_8x7b", "parallel": {"ep": 8}})
    >>> machines_of_group(spec, world=64, width=8), machines_of_group(spec, world=64, width=4)
    (1, 2)
    """
    ep = spec.ep(world)
    if spec.parallel.ep_order == "across":
        return ep
    if width is None or (ep % width and width % ep):
        return 0
    return max(1, ep // width)


def spread_mistakes(spec: WorkloadSpec, at: str, world: int, width: int | None) -> Iterator[Mistake]:
    """Tell what a workload asks of machines that they do not give.

    Parameters
    ----------
    spec : WorkloadSpec
    at : str
        Place of the workload in the user's file, as a prefix.
    world : int
    width : int, optional
        Ranks of each machine; None: unequally many, or not known.
    """
    if spec.parallel.ep_order == "across":
        yield from _across(spec, f"{at}parallel.ep_order", world, width)
    if spec.routing.machines is not None and spec.model.moe:
        yield from _limit(spec, f"{at}routing.machines", spec.routing.machines, world, width)


def _across(spec: WorkloadSpec, where: str, world: int, width: int | None) -> Iterator[Mistake]:
    """One rank of each group in each machine."""
    if width is None:
        yield Mistake(where, "across needs machines with equally many GPUs; write within")
    elif spec.ep(world) * width != world:
        text = f"across needs one rank of a group in each of the {world // width} machines"
        yield Mistake(where, f"{text}; write ep: {world // width}, not {spec.ep(world)}")


def _limit(spec: WorkloadSpec, where: str, limit: int, world: int, width: int | None) -> Iterator[Mistake]:
    """So many machines a token, top_k / machines experts on each."""
    machines, top_k = machines_of_group(spec, world, width), spec.model.top_k
    if not machines:
        yield Mistake(where, "needs groups of whole machines with equally many GPUs; leave it out")
    elif limit > machines:
        yield Mistake(where, f"{limit} is more than the {machines} machines of a group; write at most that")
    elif top_k % limit:
        yield Mistake(where, f"{limit} does not divide top_k {top_k}; write a divisor of it")
    elif top_k // limit > min(spec.experts(world)) // machines:
        text = f"a token needs {top_k // limit} experts on each machine"
        yield Mistake(where, f"{text}, which has {min(spec.experts(world)) // machines}; write more machines")
