"""Collectives: one kernel on each member, matched by place, in the order of its communicator's stream."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, ClassVar

from janus_sim.engine.fabric import Fabric, Traffic
from janus_sim.engine.members import Members
from janus_sim.engine.time import Activity
from janus_sim.errors import PolicyError

if TYPE_CHECKING:
    from janus_sim.engine.cluster import Compute
    from janus_sim.engine.pairs import Floats, Ints, PairFlows, Word
    from janus_sim.engine.place import Place

SHOWN = 8  #: ranks that a deadlock report lists


class CommunicationStream:
    """The collectives of one communicator in one lane: on each rank one by one, in order of first calls."""

    def __init__(self, members: tuple[int, ...]) -> None:
        self.members = members
        self.order: list[Collective] = []
        self.front = dict.fromkeys(members, 0)  # which of `order` each rank is at
        self._calls: Counter[Hashable] = Counter()
        self._found: dict[Hashable, Collective] = {}

    def find(self, rank: int, about: Hashable, build: Callable[[], Collective]) -> Collective:
        """Return the collective of the n-th call of `rank` about this; the first caller builds it."""
        if rank not in self.front:
            raise PolicyError(
                f"rank {rank} calls a collective among {_ranks([*self.members])}: it is none of them"
            )
        call = (rank, about)
        turn = self._calls[call]
        self._calls[call] = turn + 1
        found = self._found.get((about, turn))
        if found is None:
            found = self._found[about, turn] = build()
            found.stream, found.turn = self, len(self.order)
            self.order.append(found)
        return found

    def unfinished(self) -> list[str]:
        """Say of each collective that was called and not left by all what is wrong with it."""
        return [
            f"rank {call.rank} waits for {call}"
            for one in self.order
            for call in one.calls.values()
            if not call.done
        ]

    def leave(self, rank: int, span: int) -> None:
        """Let `rank` go on to its next collective, if it has called it."""
        turn = self.front[rank] = self.front[rank] + 1
        if turn < len(self.order) and rank in self.order[turn].calls:
            self.order[turn].join(rank, span)


class Collective(ABC):
    """One collective among `members`; each holds SMs from its join to its end, waiting included.

    Parameters
    ----------
    load : object
        What it moves.
    fabric : Fabric
    computes : list of ComputeStream
        Of all ranks that are simulated.
    place, label
        Where and what for.
    members : tuple of int
        Ranks.
    sms : int
        SMs that the kernel holds on each member.
    traffic : {"expert", "dense"}
        Under which heading its bytes are counted.
    """

    kind: ClassVar[Word]
    stream: CommunicationStream
    turn: int
    flows: PairFlows

    def __init__(
        self,
        load: Any,  # noqa: ANN401
        fabric: Fabric,
        computes: list[Compute],
        place: Place,
        label: str,
        members: tuple[int, ...],
        sms: int,
        traffic: Traffic,
    ) -> None:
        self.load, self.fabric, self.computes, self.timeline = load, fabric, computes, fabric.timeline
        self.place, self.label, self.members, self.sms, self.traffic = place, label, members, sms, traffic
        self.who = Members(members, fabric.topology.alive)
        self.calls: dict[int, _Call] = {}
        self.joined: dict[int, tuple[float, int]] = {}  # rank -> (when, why)
        self.left = 0
        self._moving = False
        if sms < 0:
            raise PolicyError(f"{self} holds {sms} SMs; write 0 or more")
        self._prepare(load)

    def call(self, rank: int) -> Activity:
        """Hand the kernel to the stream of `rank`."""
        activity = self.calls[rank] = _Call(self, rank)
        if self.stream.front[rank] == self.turn:
            self.join(rank, self.timeline.why)
        return activity

    def join(self, rank: int, why: int) -> None:
        """Start the kernel on `rank`: it spins on its SMs until its own part is over."""
        self.joined[rank] = (self.timeline.now, why)
        self.computes[rank].take(self.sms)
        self._join(rank)

    def leave(self, rank: int, begin: float, why: int, resource: str, sent: int = 0, far: int = 0) -> None:
        """End the kernel on `rank`; its last part began at `begin` because of `why`."""
        place, compute = self.place, self.computes[rank]
        span = self.fabric.log.add(
            place.step, place.micro_batch, place.layer, place.phase, rank, compute.machine, "communication",
            self.kind, self.label, place.lane, self.joined[rank][0], begin, self.timeline.now, why, resource,
            sent, far_bytes=far,
        )  # fmt: skip
        compute.take(-self.sms)
        self.left += 1
        if self._moving and self.left == len(self.who.ranks_here):
            self.fabric.open(self.flows.routes, -1)
        self.stream.leave(rank, span)
        self.calls[rank].finish(span)

    @property
    def state(self) -> str:
        """Who has not joined."""
        missing = [rank for rank in self.who.ranks_here if rank not in self.joined]
        return f"not joined by {_ranks(missing)}" if missing else "which is under way"

    def __str__(self) -> str:
        return f"the {self.kind} {self.label!r} of {self.place}"

    @abstractmethod
    def check(self, load: Any, rank: int) -> None:  # noqa: ANN401
        """Refuse a member that brings another load than those before it."""

    @abstractmethod
    def _prepare(self, load: Any) -> None:  # noqa: ANN401
        """Work out the flows."""

    @abstractmethod
    def _join(self, rank: int) -> None:
        """Start what can start now that `rank` is there."""

    def _start(self, which: Ints, groups: Ints, starts: Floats | None = None) -> int:
        """Put some of the flows into the network, from now on or `starts`; return the id of the first."""
        if not self._moving:
            self._moving = True
            self.fabric.open(self.flows.routes, 1)
        return self.flows.start(which, self.timeline.now, groups, self.traffic, starts)


class _Call(Activity):
    """The part of one rank in a collective."""

    __slots__ = ("collective", "rank")

    def __init__(self, collective: Collective, rank: int) -> None:
        super().__init__(collective.timeline)
        self.collective, self.rank = collective, rank

    def __str__(self) -> str:
        one, stream = self.collective, self.collective.stream
        if self.rank in one.joined:
            return f"{one}, {one.state}"
        ahead = stream.order[stream.front[self.rank]]
        return f"{one}, queued behind {ahead}, {ahead.state}"


def _ranks(ranks: list[int]) -> str:
    """Name some ranks.

    Examples
    --------
    >>> _ranks([3]), _ranks([3, 4])
    ('rank 3', 'ranks 3, 4')
    """
    more = f" and {len(ranks) - SHOWN} more" if len(ranks) > SHOWN else ""
    return f"rank{'s' * (len(ranks) != 1)} {', '.join(map(str, ranks[:SHOWN]))}{more}"
