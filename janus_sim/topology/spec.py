"""What a topology file says: machines, fabric, transfers and overrides, as frozen values."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from janus_sim.files import (
    Bandwidth,
    Bytes,
    Field,
    Fraction,
    NonNegative,
    NonNegativeFloat,
    Positive,
    PositiveFloat,
    Seconds,
    Spec,
    model_validator,
)
from janus_sim.topology.machine import MachineSpec


class MixedSpec(Spec):
    """So many machines of a kind, in a cluster of several kinds."""

    machines: Positive
    machine: MachineSpec


class FabricSpec(Spec):
    """What joins the NICs.

    ``switch``: one ideal switch. ``rails``: one ideal switch for each NIC index; a GPU sends on its target's
    rail, over NVLink by its mate there (`pxn`) or else over PCIe. With `cross_nic` an ideal switch joins the
    rails, and what PXN does not bring to the target's rail changes rails there.

    ``leaf_spine``: so many machines a leaf; a leaf's uplinks together are the sum of its NICs divided by
    `oversubscription`. ``paths: spray`` spreads all that leaves a leaf ideally over all spines, which
    therefore are no links of their own: that is optimistic. ``paths: hash`` gives a leaf an uplink to each of
    `spines`, and all between two devices, one way, takes the one to which `seed` hashes it: paths collide.
    With `queue_pairs` it is cut into so many equal parts, each hashed by itself.
    """

    type: Literal["switch", "rails", "leaf_spine"] = "switch"
    machines_per_leaf: Positive | None = None
    oversubscription: PositiveFloat = 1.0
    latency: Seconds = 0.0
    paths: Literal["spray", "hash"] = "spray"
    spines: Annotated[int, Field(ge=1, le=1024)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    queue_pairs: Annotated[int, Field(ge=1, le=64)] = 1
    pxn: bool = True
    cross_nic: bool = False

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.type == "leaf_spine" and self.machines_per_leaf is None:
            raise ValueError("leaf_spine needs machines_per_leaf")
        if self.type != "leaf_spine" and self._given(
            "oversubscription", "latency", "paths", "spines", "seed", "queue_pairs"
        ):
            raise ValueError(f"type {self.type} has no leaves; write type: leaf_spine")
        if self.type != "rails" and self._given("pxn", "cross_nic"):
            raise ValueError(f"type {self.type} has no rails for pxn and cross_nic; write type: rails")
        if self.hashed and self.spines is None:
            raise ValueError("paths: hash needs spines; write spines: 4")
        if self.queue_pairs > 1 and not self.hashed:
            raise ValueError("queue_pairs are hashed apart; write paths: hash")
        return self

    @property
    def hashed(self) -> bool:
        """Whether each pair of devices has a spine of its own."""
        return self.paths == "hash"

    @property
    def planes(self) -> int:
        """How many links lead up from a leaf: one to each spine, or one in all where these are sprayed."""
        return self.spines if self.hashed and self.spines is not None else 1

    def _given(self, *names: str) -> bool:
        """Say whether any of some fields is not as it is by default."""
        return any(getattr(self, name) != type(self).model_fields[name].default for name in names)


class SmsSpec(Spec):
    """SMs that the kernel of a collective holds on a GPU."""

    all_to_all: NonNegative = 16
    all_reduce: NonNegative = 8


class AlgorithmsSpec(Spec):
    """By which algorithm a collective runs; each is written down in `janus_sim.engine`.

    All-reduce: ``hierarchical`` rings; flat rings (``ring``) through all GPUs, as many as a machine has;
    double binary trees of machines (``tree``); ``in_switch`` (NVLS: the NVLink switch sums inside each
    machine, rings between them). Broadcast: along rings or down a tree. All-gather and reduce-scatter go
    along flat rings.
    """

    all_reduce: Literal["hierarchical", "ring", "tree", "in_switch"] = "hierarchical"
    broadcast: Literal["ring", "tree"] = "ring"


class CommunicationSpec(Spec):
    """How collectives behave; see `janus_sim.topology.place.Communication`.

    `window`: rounds of a pairwise exchange that are under way together.
    """

    sms: SmsSpec = SmsSpec()
    algorithms: AlgorithmsSpec = AlgorithmsSpec()
    window: Positive = 8
    all_reduce_efficiency: Fraction = 0.80
    channels: PositiveFloat = 1.0
    overlap_loss: Annotated[float, Field(ge=0, lt=1)] = 0.0


class LineSpec(Spec):
    """One line of an envelope: a start time, then a rate; without a rate the links alone decide.

    `sm_rate` is what one SM of the kernel moves: all its SMs together hold the line's rate down.
    """

    start: Seconds
    rate: Bandwidth | None = None
    sm_rate: Bandwidth | None = None


class RowsSpec(Spec):
    """What rows cost a kernel that moves them one by one inside a machine, beside what their bytes cost.

    Attributes
    ----------
    extra : float
        Bytes that an SM would move meanwhile, for each row that it sends: queues, indices.
    token : float
        Rows that it would move meanwhile, for each token, to however many GPUs that goes: it is read, or
        summed and written.
    pace : float, optional
        Bytes per second at which one row goes through; the kernel starts to be busy as much later.
    """

    extra: Bytes = 0.0
    token: NonNegativeFloat = 0.0
    pace: Bandwidth | None = None


class LinesSpec(Spec):
    """The lines of one kind of transfer, by the kind of path."""

    nvlink: tuple[LineSpec, ...] = ()
    pcie: tuple[LineSpec, ...] = ()
    rdma: tuple[LineSpec, ...] = ()


class RowLinesSpec(LinesSpec):
    """The lines of a kernel that moves rows, and what these cost it inside a machine."""

    rows: RowsSpec = RowsSpec()


class TransfersSpec(Spec):
    """Start times and rate caps by message size; see `janus_sim.topology.transfers`.

    ``ring``: of what goes along flat rings (all-gather, reduce-scatter, broadcast, an all-reduce of that
    algorithm); ``in_switch``: of an all-reduce of that algorithm. Where they say nothing, all_reduce holds.
    ``dispatch``, ``combine``, ``notify``: the kernels of a node-limited All-to-All, and the exchange of
    counts before them. Where they say nothing, all_to_all holds.
    """

    all_to_all: LinesSpec
    all_reduce: LinesSpec
    pull: LinesSpec
    ring: LinesSpec = LinesSpec()
    in_switch: LinesSpec = LinesSpec()
    dispatch: RowLinesSpec = RowLinesSpec()
    combine: RowLinesSpec = RowLinesSpec()
    notify: LinesSpec = LinesSpec()


class OverrideSpec(Spec):
    """From a time on, another rate for the links whose name matches, or another speed for some GPUs.

    `scale` multiplies the capacity that the file gives the link without overrides, so that 1.0 restores it.
    """

    links: str | None = None
    gpus: tuple[NonNegative, ...] | None = None
    bandwidth: Bandwidth | None = None
    scale: PositiveFloat | None = None
    speed: PositiveFloat | None = None
    at: Seconds = 0.0

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.links is None) == (self.gpus is None):
            raise ValueError("name either links or gpus")
        if self.gpus == ():
            raise ValueError("names no GPU; write gpus: [5]")
        given = [name for name in ("bandwidth", "scale", "speed") if getattr(self, name) is not None]
        if self.links is not None and given not in (["bandwidth"], ["scale"]):
            raise ValueError("links take either a bandwidth or a scale")
        if self.gpus is not None and given != ["speed"]:
            raise ValueError("gpus take a speed; write speed: 0.8")
        return self


class TopologySpec(Spec):
    """A cluster: so many machines of one kind, or `mixed` kinds, and the fabric between them."""

    name: str = "cluster"
    source: str = ""
    machines: Positive | None = None
    machine: MachineSpec | None = None
    mixed: tuple[MixedSpec, ...] = ()
    fabric: FabricSpec = FabricSpec()
    communication: CommunicationSpec = CommunicationSpec()
    transfers: TransfersSpec
    overrides: tuple[OverrideSpec, ...] = ()
