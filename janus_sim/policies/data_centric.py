"""Data-centric: tokens stay and each GPU pulls the experts that it needs (Janus, SIGCOMM 2023)."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from janus_sim.engine.fabric import Device
from janus_sim.engine.gpu import Gpu
from janus_sim.engine.machine import Buffer
from janus_sim.engine.time import Activity, Steps
from janus_sim.policies import order
from janus_sim.policies.base import Policy, towards
from janus_sim.policies.order import Rows
from janus_sim.policies.room import enough, on_gpu, on_host
from janus_sim.workload.layer import MoELayer, RoutedLayer


@dataclass(frozen=True)
class DataCentric(Policy):
    """Experts travel: pull one while another computes, and send each gradient home.

    Source: Liu, Wang, Jiang, Janus (SIGCOMM 2023): fine-grained tasks (5.1), topology-aware priority (5.2),
    prefetch (5.3). Each strategy has its own switch. Gradients go home after every micro-batch.

    Parameters
    ----------
    hierarchical : bool
        An external expert enters a machine once for all of its GPUs, and one gradient leaves it; else each
        GPU pulls and sends for itself.
    order : "staggered" | "plain"
        Topology-aware order of use (5.2), or by number.
    pcie_split : bool
        GPUs under one PCIe switch copy different external experts from the host and hand them on over NVLink.
    prefetch : bool
        Pull from the start of the step, in the order of the visits, before the gates have run; else what the
        gate chose, once it has.
    credits : "layer" | int
        Room of a GPU for pulled experts; "layer": the non-local experts of the widest MoE layer. Very few,
        without prefetch, may deadlock where a schedule runs passes beside each other.
    in_flight : int
        Pulls in flight into one GPU, and into a machine through one NIC.
    cache : "host" | "gpu"
        Where an external expert lands: host memory, or the GPU behind the NIC that it comes through.
    backward : "keep" | "host" | "refetch"
        Experts for backward: kept on the GPU, copied from the host again, or fetched again.
    reduce : "nvlink" | "host"
        Where the gradients of an external expert meet in a machine: on the GPU behind the NIC that their sum
        leaves by, or in host memory.
    """

    hierarchical: bool = True
    order: Literal["staggered", "plain"] = "staggered"
    pcie_split: bool = True
    prefetch: bool = True
    credits: Literal["layer"] | int = "layer"
    in_flight: int = 4
    cache: Literal["host", "gpu"] = "host"
    backward_from: Literal["keep", "host", "refetch"] = field(default="keep", metadata={"name": "backward"})
    reduce: Literal["nvlink", "host"] = "nvlink"

    def __post_init__(self) -> None:
        if self.backward_from == "host" and not (self.hierarchical and self.cache == "host"):
            raise ValueError('backward: "host" needs hierarchical and cache: host; write "keep" or "refetch"')
        enough(credits=1 if self.credits == "layer" else self.credits, in_flight=self.in_flight)

    def beside(self, gpu: Gpu, visits: Sequence[MoELayer]) -> Steps:
        """Make room, also for mates who are asked before they begin; prefetch: nearer visits go first."""
        for rank in gpu.switch:
            gpu.peers[rank].buffer("experts", order.room(self.credits, visits))
        if self.prefetch:
            for turn, layer in enumerate(visits, start=1):
                if gpu.machine.complete(("stage", layer.key), 1):  # the order is one for the machine
                    self._stage_all(towards(gpu, layer), layer, turn, order.every)
            for turn, layer in enumerate(visits, start=1):
                yield from self._fetch(towards(gpu, layer), layer, turn, order.every)

    def forward(self, gpu: Gpu, layer: RoutedLayer) -> Steps:
        """Run each expert on my own rows as soon as it is here; its credit comes back after that."""
        self._request(gpu, layer)
        for expert in self._order(gpu, layer):
            if rows := layer.rows(gpu.rank, expert):
                yield self._here(gpu, layer, expert)
                yield gpu.compute(layer.kernel(expert, rows), f"expert {expert}", gap=gpu.gap)
            self._let_go(gpu, layer, expert)

    def backward(self, gpu: Gpu, layer: RoutedLayer) -> Steps:
        """The same backwards; the gradient of one expert travels while the next is computed."""
        self._request(gpu, layer)
        for expert in self._order(gpu, layer):
            if rows := layer.rows(gpu.rank, expert):
                yield self._here(gpu, layer, expert)
                yield gpu.compute(layer.input_gradient(expert, rows), f"expert {expert} input", gap=gpu.gap)
                gpu.later(self._gradient(gpu, layer, expert, rows))
            self._let_go(gpu, layer, expert)

    def _request(self, gpu: Gpu, layer: RoutedLayer) -> None:
        """Without prefetch: ask for what the gate chose, now."""
        if not self.prefetch:
            self._stage_all(gpu, layer, 1, layer.rows)
            gpu.start(self._fetch(gpu, layer, 1, layer.rows))

    def _fetch(self, gpu: Gpu, layer: MoELayer, priority: int, rows: Rows) -> Steps:
        """Pull every expert that is needed and not here, in order of use: a credit each, a few in flight."""
        room, slots = gpu.buffer("experts"), gpu.slots("in flight", self.in_flight)
        for place, expert in enumerate(self._order(gpu, layer)):
            wanted = layer.home_of(expert) != gpu.rank and rows(gpu.rank, expert)
            if wanted and gpu.first(("pull", self._key(layer, expert))):
                yield room.reserve()
                yield slots.take()
                gpu.start(self._bring(gpu, layer, expert, place, priority, rows))

    def _bring(self, gpu: Gpu, layer: MoELayer, expert: int, place: int, priority: int, rows: Rows) -> Steps:
        """Bring one expert here: from its home, the cache of the machine, or the mate that copied it."""
        key, label, size = self._key(layer, expert), f"expert {expert}", layer.weight_bytes
        sharers = self._sharers(gpu, layer, expert, rows)
        copier, source = sharers[place % len(sharers)], self._source(gpu, layer, expert)
        if copier != gpu.rank:
            theirs = gpu.peers[copier].buffer("experts")
            yield theirs.arrival(key)
            yield gpu.pull(copier, size, label, priority=priority)
            theirs.release(key, keep=self.backward_from == "keep")
        else:
            if source != layer.home_of(expert):
                yield self._staged(gpu, layer, expert, priority)
            if source != gpu.rank:
                yield gpu.pull(source, size, label, priority=priority)
        gpu.slots("in flight", self.in_flight).give()
        gpu.buffer("experts").arrived(key, holders=len(sharers) if copier == gpu.rank else 1)

    def _here(self, gpu: Gpu, layer: MoELayer, expert: int) -> Activity:
        """Over when the expert is on this GPU."""
        if layer.home_of(expert) == gpu.rank:
            return gpu.all([])
        return gpu.buffer("experts").arrival(self._key(layer, expert))

    def _let_go(self, gpu: Gpu, layer: RoutedLayer, expert: int) -> None:
        """Give the credit back; of an expert that came for nothing, as soon as it is here."""
        if layer.home_of(expert) != gpu.rank and (self.prefetch or layer.rows(gpu.rank, expert)):
            key, room = self._key(layer, expert), gpu.buffer("experts")
            if room.arrival(key).done:
                room.release(key, keep=self.backward_from == "keep")
            else:
                gpu.start(self._late(room, key))

    def _late(self, room: Buffer, key: Hashable) -> Steps:
        yield room.arrival(key)
        room.release(key, keep=self.backward_from == "keep")

    def _stage_all(self, gpu: Gpu, layer: MoELayer, priority: int, rows: Rows) -> None:
        """Start to fetch the external experts that I need and that no mate asked for."""
        for expert in self._order(gpu, layer):
            if self._source(gpu, layer, expert) != layer.home_of(expert) and rows(gpu.rank, expert):
                self._staged(gpu, layer, expert, priority)

    def _staged(self, gpu: Gpu, layer: MoELayer, expert: int, priority: int) -> Activity:
        """Over when the expert is in the cache of the machine; whoever asks first has it fetched."""
        key = (self._cached(layer), expert)
        return gpu.machine.once(("staged", key), self._stage(gpu, layer, expert, priority))

    def _stage(self, gpu: Gpu, layer: MoELayer, expert: int, priority: int) -> Steps:
        home, target = layer.home_of(expert), self._source(gpu, layer, expert)
        slots = gpu.machine.slots(("nic", gpu.nic_of(home)), self.in_flight)
        yield slots.take()
        yield gpu.copy(home, target, layer.weight_bytes, f"stage expert {expert}", priority=priority)
        slots.give()

    def _gradient(self, gpu: Gpu, layer: RoutedLayer, expert: int, rows: int) -> Steps:
        """Compute the gradient of one expert and send it home; if that is far, once a machine."""
        yield gpu.compute(layer.weight_gradient(expert, rows), f"expert {expert} weights")
        home, label, size = layer.home_of(expert), f"gradient {expert}", layer.gradient_bytes
        if home == gpu.rank:
            return
        if not self._external(gpu, home):
            yield gpu.push(home, size, label)
        else:
            mates, holder = self._mates(gpu, layer), self._holder(gpu, layer, expert)
            meet: Device = gpu.machine.host if self.reduce == "host" else holder
            if meet != gpu.rank:
                yield gpu.push(meet, size, label)
                if meet == holder:
                    yield gpu.peers[holder].compute(layer.add(), f"add {label}")
            senders = sum(1 for rank in mates if layer.rows(rank, expert))
            if not gpu.machine.complete(("gradient", layer.key, expert), senders):
                return
            yield gpu.copy(meet, home, size, f"{label} home")
        yield gpu.peers[home].compute(layer.add(), f"add {label}")

    def _key(self, layer: MoELayer, expert: int) -> Hashable:
        """Name one fetched expert on a GPU: kept from forward to backward, or fetched in each."""
        if self.backward_from == "keep":
            return (*layer.weights_key, layer.micro_batch, expert)
        return (*layer.key, expert)

    def _cached(self, layer: MoELayer) -> Hashable:
        """Name what the machine has in its cache of a layer: fetched once a step, or in each visit."""
        return layer.key if self.backward_from == "refetch" else layer.weights_key

    def _external(self, gpu: Gpu, home: int) -> bool:
        """Whether what lives at `home` goes through the inter-node scheduler."""
        return self.hierarchical and gpu.machine_of(home) != gpu.machine.index

    def _mates(self, gpu: Gpu, layer: MoELayer) -> tuple[int, ...]:
        """Return the GPUs of my machine in the EP group of the layer: those that share what is fetched."""
        return order.within(gpu.machine.ranks, layer.members)

    def _holder(self, gpu: Gpu, layer: MoELayer, expert: int) -> int:
        """Return the GPU of the machine on which an external expert lands, or its gradients meet."""
        key = ("holders", layer.weights_key)
        found: list[int] = gpu.recall(
            key, lambda: order.holders(self._mates(gpu, layer), layer.places).tolist()
        )
        return found[expert]

    def _source(self, gpu: Gpu, layer: MoELayer, expert: int) -> Device:
        """Return from where the GPUs of this machine copy an expert."""
        if not self._external(gpu, home := layer.home_of(expert)):
            return home
        return gpu.machine.host if self.cache == "host" else self._holder(gpu, layer, expert)

    def _sharers(self, gpu: Gpu, layer: MoELayer, expert: int, rows: Rows) -> Sequence[int]:
        """Return the GPUs among which one copies this expert from the host and hands it on."""
        if self.pcie_split and self._source(gpu, layer, expert) == gpu.machine.host:
            return [rank for rank in order.within(gpu.switch, layer.members) if rows(rank, expert)]
        return [gpu.rank]

    def _order(self, gpu: Gpu, layer: MoELayer) -> tuple[int, ...]:
        """Return the experts in order of use: my own, those of my machine, all others."""
        key = ("order", layer.weights_key)
        return gpu.recall(key, lambda: order.of_use(gpu, layer, plain=self.order == "plain"))

    def unlike(self, machines: int) -> str:
        """By number, all machines begin with the experts of the first."""
        return "order: plain asks by number" if self.order == "plain" and machines > 2 else ""

    def tokens_stay(self, layer: MoELayer, domain: int) -> bool:
        """Experts travel."""
        return True

    def paradigm(self, layer: MoELayer, domain: int) -> str:
        """Data-centric in every layer."""
        return "data_centric"

    def memory(
        self, rank: int, machine: tuple[int, ...], layers: Sequence[RoutedLayer], domain: int
    ) -> Mapping[str, int]:
        """Credits, experts kept for backward, a cache on the GPU, gradients on their way, and their sums."""
        return on_gpu(self, rank, machine, layers)

    def host_memory(
        self, machine: tuple[int, ...], layers: Sequence[RoutedLayer], domain: int
    ) -> Mapping[str, int]:
        """The cache of external experts, for the whole step, and sums of gradients."""
        return on_host(self, machine, layers)
