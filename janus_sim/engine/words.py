"""The words of a GPU that many GPUs speak together: collectives."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

from janus_sim.engine.exchange import AllReduce, AllToAll
from janus_sim.engine.hops import AllToAllPath, hops, names
from janus_sim.engine.pairs import Lines
from janus_sim.engine.streaming import Streaming
from janus_sim.engine.together import AllGather, Broadcast, ReduceScatter
from janus_sim.topology.transfers import Rows
from janus_sim.workload.copies import Traffic as Sizes
from janus_sim.workload.kernel import Kernel

if TYPE_CHECKING:
    from janus_sim.engine.cluster import Cluster
    from janus_sim.engine.fabric import Traffic
    from janus_sim.engine.place import Place
    from janus_sim.engine.time import Activity, Steps


class Together:
    """What a `janus_sim.engine.gpu.Gpu` does together with others: all call the same."""

    __slots__ = ()

    if TYPE_CHECKING:
        _cluster: Cluster
        rank: int
        place: Place

    def all_to_all(
        self,
        sizes: Sizes | tuple[Sizes, ...],
        label: str,
        *,
        lines: Lines = "all_to_all",
        sms: int | None = None,
        stream: Hashable = "",
        rows: Rows | None = None,
    ) -> Activity:
        """Exchange rows; over when my own sends and receives are.

        Parameters
        ----------
        sizes : Traffic, or several
            Bytes from each rank to each; all ranks bring the same. Several are hops of one kernel, which
            stream into one another (`janus_sim.engine.streaming`).
        label : str
        lines : {"all_to_all", "dispatch", "combine", "notify"}
            Whose start times and rates they take (`transfers` of the topology).
        sms : int, optional
            SMs that the kernel holds, waiting included; those of the topology by default.
        stream : hashable
            Exchanges of the same ranks in one lane run in order of first calls; another stream runs beside.
        rows : Rows, optional
            That a kernel of hops moves one by one (`janus_sim.topology.transfers`).
        """
        hops = sizes if isinstance(sizes, tuple) else (sizes,)
        plain = lines == "all_to_all" and not isinstance(sizes, tuple)
        return self._cluster.collective(
            AllToAll if plain else Streaming,
            hops[0].bytes if plain else (lines, tuple(hop.bytes for hop in hops), rows),
            self.place,
            label,
            self.rank,
            hops[0].ranks,
            stream=stream,
            sms=sms,
            traffic="expert",
        )

    def exchange(self, sizes: Sizes, label: str, path: AllToAllPath = "flat") -> Steps:
        """Exchange rows by a path of one or several All-to-Alls, to be run by ``yield from``.

        Before each of several hops, what it sends is laid out in order by a kernel that reads and writes it
        once (Tutel's strided copies); not so before the rounds of a pairwise exchange.

        Parameters
        ----------
        sizes, label
            See `all_to_all`.
        path : {"flat", "1dh", "2dh", "pairwise"}
            See `janus_sim.engine.hops`.
        """
        if path == "flat":
            yield self.all_to_all(sizes, label)
            return
        compute, me = self._cluster.computes[self.rank], sizes.ranks.index(self.rank)
        found = self._hops(sizes, path)
        for name, hop in zip(names(path, len(found)), found, strict=True):
            moved = int(hop.bytes[me].sum() - hop.bytes[me, me])
            if moved and path != "pairwise":
                copies = (Kernel.passes("strided copy", 2 * moved, precision="fp16"),)
                yield compute.compute(copies, f"{label}{name} laid out", self.place, gap=0.0, useful=1.0)
            yield self.all_to_all(hop, label + name)

    def _hops(self, sizes: Sizes, path: AllToAllPath) -> tuple[Sizes, ...]:
        """Return the hops of a path, worked out once a machine."""
        gpus = self._cluster.topology.gpus
        machines = [gpus[rank].machine for rank in sizes.ranks]
        window = self._cluster.topology.spec.communication.window

        def work_out() -> tuple[Sizes, ...]:
            return tuple(Sizes(sizes.ranks, table) for table in hops(path, sizes.bytes, machines, window))

        return self._cluster.machine_of[self.rank].recall(("hops", path, sizes), work_out)

    def all_reduce(
        self,
        members: tuple[int, ...],
        size: int,
        label: str,
        *,
        traffic: Traffic = "expert",
        sms: int | None = None,
        stream: Hashable = "",
    ) -> Activity:
        """Sum a buffer of `size` bytes over `members`, who start together and end together.

        Parameters
        ----------
        members : tuple of int
            Ranks, myself among them.
        size : int
            Bytes on each member.
        label : str
        traffic : {"expert", "dense"}
            Under which heading links count the bytes.
        sms, stream
            See `all_to_all`.
        """
        return self._cluster.collective(
            AllReduce, size, self.place, label, self.rank, members, stream=stream, sms=sms, traffic=traffic
        )

    def all_gather(
        self,
        members: tuple[int, ...],
        size: int,
        label: str,
        *,
        traffic: Traffic = "expert",
        sms: int | None = None,
        stream: Hashable = "",
    ) -> Activity:
        """Give all `members` the parts of all, `size` bytes in all; parameters as of `all_reduce`."""
        return self._like_all_reduce(AllGather, members, size, label, traffic, sms, stream)

    def reduce_scatter(
        self,
        members: tuple[int, ...],
        size: int,
        label: str,
        *,
        traffic: Traffic = "expert",
        sms: int | None = None,
        stream: Hashable = "",
    ) -> Activity:
        """Sum a buffer of `size` bytes and leave each member its part; parameters as of `all_reduce`."""
        return self._like_all_reduce(ReduceScatter, members, size, label, traffic, sms, stream)

    def broadcast(
        self,
        members: tuple[int, ...],
        size: int,
        label: str,
        *,
        traffic: Traffic = "expert",
        sms: int | None = None,
        stream: Hashable = "",
    ) -> Activity:
        """Give all `members` the `size` bytes of the first; parameters as of `all_reduce`."""
        return self._like_all_reduce(Broadcast, members, size, label, traffic, sms, stream)

    def _like_all_reduce(
        self,
        kind: type[AllReduce],
        members: tuple[int, ...],
        size: int,
        label: str,
        traffic: Traffic,
        sms: int | None,
        stream: Hashable,
    ) -> Activity:
        """Call a relative of all-reduce, which holds as many SMs as that."""
        held = self._cluster.topology.communication.sms["all_reduce"] if sms is None else sms
        return self._cluster.collective(
            kind, size, self.place, label, self.rank, members, stream=stream, sms=held, traffic=traffic
        )
