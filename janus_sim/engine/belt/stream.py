"""The compute stream of a GPU whose kernels run on the belt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from janus_sim.engine.belt import layout as at
from janus_sim.engine.time import Activity
from janus_sim.errors import PolicyError

if TYPE_CHECKING:
    from janus_sim.engine.belt.belt import Belt
    from janus_sim.engine.place import Place
    from janus_sim.workload.kernel import Kernel


class BeltStream:
    """First in, first out, as `janus_sim.engine.stream.ComputeStream`, its twin.

    Parameters
    ----------
    belt : Belt
    rank, machine : int
    sms : int
        SMs of the GPU.
    speed : float
        1.0; a slow GPU has less.
    """

    def __init__(self, belt: Belt, *, rank: int, machine: int, sms: int, speed: float) -> None:
        self.belt, self.rank, self.machine, self.sms, self.speed = belt, rank, machine, sms, speed
        self.taken = 0
        belt.arrays["pace"][rank, at.SPEED] = speed

    def compute(
        self, kernels: tuple[Kernel, ...], label: str, place: Place, gap: float, useful: float
    ) -> Activity:
        """Queue kernels, after `gap` seconds of host time; `useful` is the part of the FLOPs not padded."""
        if not isinstance(kernels, tuple):
            raise PolicyError(
                f"{label!r} on rank {self.rank}: compute takes a tuple of kernels, not {kernels!r}"
            )
        belt = self.belt
        (task,) = belt.tasks(
            1,
            at.KERNEL,
            rank=self.rank,
            where=belt.works.number(kernels, gap, useful),
            text=belt.text(place, label.replace("{", "{{").replace("}", "}}")),
        ).tolist()
        belt.renew()
        belt.issue(task)
        return belt.watch(task, repr(label), "on the compute stream of rank", self.rank)

    def take(self, sms: int) -> None:
        """Let a communication kernel take (or, negative, give back) SMs."""
        self.taken += sms
        self._retime()

    def set_speed(self, speed: float) -> None:
        """Run at another speed from now on."""
        self.speed = speed
        self._retime()

    def _retime(self) -> None:
        share = self.belt.works.share(self.taken)
        self.belt.renew()
        self.belt.retime(self.rank, share, self.speed)
