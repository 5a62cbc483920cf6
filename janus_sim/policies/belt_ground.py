"""Where experts live and come from, for all GPUs of a group at once: what `DataCentric` asks one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from janus_sim.policies.base import machines_of
from janus_sim.policies.order import holders

if TYPE_CHECKING:
    from janus_sim.engine.fabric import Device
    from janus_sim.engine.gpu import Gpu
    from janus_sim.policies.data_centric import DataCentric
    from janus_sim.workload.layer import MoELayer

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


def host(machine: Ints) -> Ints:
    """Return the memory of machines as numbers below 0; GPUs are their ranks.

    Examples
    --------
    >>> host(np.array([0, 2])).tolist(), device(-3), device(5)
    ([-1, -3], ('host', 2), 5)
    """
    return -1 - machine


def device(code: int) -> Device:
    """Return what such a number stands for."""
    return code if code >= 0 else ("host", -1 - code)


@dataclass(frozen=True, eq=False)
class Ground:
    """A group of n ranks and the homes of E experts.

    Attributes
    ----------
    ranks, machine : (n,) int64
    home : (E,) int64
    order, place : (n, E) int64
        The experts in order of use, and where in it each stands.
    external : (n, E) bool
        Whether the expert goes through the inter-node scheduler.
    holder, source : (n, E) int64
        The GPU of the machine on which an external expert lands or its gradients meet, and the device from
        which the GPUs copy an expert (see `host`).
    """

    ranks: Ints
    machine: Ints
    home: Ints
    order: Ints
    place: Ints
    external: Bools
    holder: Ints
    source: Ints

    @classmethod
    def of(cls, policy: DataCentric, gpu: Gpu, layer: MoELayer) -> Ground:
        """Lay out the group of a layer."""
        ranks, home = np.array(layer.group), np.asarray(layer.home)
        peers = [gpu.peers[rank] for rank in layer.group]
        machine = np.array(machines_of(gpu, layer))
        at_home = np.array([gpu.machine_of(rank) for rank in home.tolist()])
        orders = np.array([policy._order(peer, layer) for peer in peers])
        external = (machine[:, None] != at_home[None, :]) & policy.hierarchical
        holder = np.array([holders(policy._mates(peer, layer), layer.places) for peer in peers])
        lands = np.broadcast_to(host(machine)[:, None], external.shape) if policy.cache == "host" else holder
        return cls(
            ranks, machine, home, orders, np.argsort(orders, axis=1), external, holder,
            np.where(external, lands, home[None, :]),
        )  # fmt: skip

    def copiers(self, switches: Sequence[Sequence[int]], wanted: Bools) -> Ints:
        """Return who copies an expert from the host for each rank, as places in the group (n, E).

        Parameters
        ----------
        switches : sequence of sequence of int
            The members under each PCIe switch, as places in the group.
        wanted : (n, E) bool
            Whether the expert is brought to the rank.
        """
        n, experts = self.order.shape
        copier = np.broadcast_to(np.arange(n)[:, None], (n, experts)).copy()
        column = np.arange(experts)
        for members in switches:
            rows = np.array(members)
            mine = wanted[rows]
            turn = self.place[rows] % np.maximum(mine.sum(axis=0), 1)
            chosen = rows[turn if mine.all() else np.argsort(~mine, axis=0, kind="stable")[turn, column]]
            shared = self.source[rows] == host(self.machine[rows])[:, None]
            copier[rows] = np.where(shared, chosen, copier[rows])
        return copier

    def in_order(self, which: Bools) -> tuple[Ints, Ints]:
        """Return the (member, expert) pairs that are chosen, rank by rank in order of use."""
        rows = np.arange(len(self.ranks))[:, None]
        member, turn = np.nonzero(which[rows, self.order])
        return member, self.order[member, turn]
