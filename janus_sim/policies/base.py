"""The protocol: how tokens and experts meet in one MoE layer, on one GPU."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from janus_sim.engine.gpu import Gpu
from janus_sim.engine.time import Steps
from janus_sim.errors import Mistake
from janus_sim.topology.gpu import GpuKind
from janus_sim.workload.layer import MoELayer, Plan, RoutedLayer


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a trial gave.

    Attributes
    ----------
    step : float
        Seconds of the whole step, of several their mean.
    """

    step: float


class Policy(ABC):
    """How tokens and experts meet; a subclass is a frozen dataclass whose fields are its knobs.

    Only `forward` and `backward` must be written. What a method may know is the type of its argument: a
    `MoELayer` has shapes, homes and the past, a `RoutedLayer` this micro-batch's counts.

    Labels are part of the protocol where experts travel: the kernels of an expert's weight gradient are
    called "expert E weights", and what carries that gradient begins with "gradient E" (`janus_sim.testing`).

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Local(Policy):
    ...     '''Pretend that every expert is everywhere.'''
    ...
    ...     def forward(self, gpu, layer):
    ...         for expert in range(layer.experts):
    ...             yield gpu.compute(layer.kernel(expert, layer.rows(gpu.rank, expert)), f"expert {expert}")
    ...
    ...     def backward(self, gpu, layer):
    ...         for expert in range(layer.experts):
    ...             yield gpu.compute(
    ...                 layer.input_gradient(expert, layer.rows(gpu.rank, expert)), f"expert {expert}"
    ...             )
    >>> Local().paradigm(None, 8)
    'Local'
    """

    @property
    def bound(self) -> bool:
        """Whether it, or a policy inside it, may see the future (`Deciding`): its times are bounds."""
        return any(policy.bound for _, policy in self._inside())

    @property
    def lossy(self) -> bool:
        """Whether it, or a policy inside it, changes what the model computes: tables call it so.

        Limits of the gate and of capacity are the workload's, and the same for every policy.
        """
        return any(policy.lossy for _, policy in self._inside())

    def _inside(self) -> Iterator[tuple[str, Policy]]:
        """Yield the knobs that are policies themselves, by name."""
        for name in getattr(self, "__dataclass_fields__", ()):
            if isinstance(knob := getattr(self, name), Policy):
                yield name, knob

    def misfits(self, kinds: Sequence[GpuKind]) -> list[Mistake]:
        """Tell what GPUs of some of these kinds have no units for, at the knob that asks for it."""
        return [
            Mistake(f"{name}.{one.where}", one.message)
            for name, policy in self._inside()
            for one in policy.misfits(kinds)
        ]

    def trials(self, layers: Sequence[MoELayer]) -> Mapping[Hashable, Policy]:
        """Return which variants to try before training, one step each on balanced routing; none by default.

        Parameters
        ----------
        layers : sequence of MoELayer
            The MoE layers of the model, one visit each.
        """
        return {}

    def settle(self, outcomes: Mapping[Hashable, Outcome]) -> Policy:
        """Return what to make of the outcomes of the trials; it may ask for trials again."""
        return self

    def plan(self, layers: Sequence[MoELayer], plan: Plan) -> Plan:
        """Return where experts live in the next step, from the past alone (`layer.past`)."""
        return plan

    def words(self, gpu: Gpu) -> Gpu:
        """Return the GPU with changed words (`gpu.wearing`)."""
        return gpu

    def move(self, gpu: Gpu, old: Sequence[MoELayer], new: Sequence[MoELayer]) -> Steps:
        """Bring experts to their new homes, at the beginning of a step whose plan changed."""
        yield from ()

    def beside(self, gpu: Gpu, visits: Sequence[MoELayer]) -> Steps:
        """Run beside the whole step: prefetch. `visits`: every one to come, in the order of the schedule."""
        yield from ()

    @abstractmethod
    def forward(self, gpu: Gpu, layer: RoutedLayer) -> Steps:
        """Run the experts of the layer forward."""

    @abstractmethod
    def backward(self, gpu: Gpu, layer: RoutedLayer) -> Steps:
        """Run the experts of the layer backward; the gradients of the weights end at the experts' homes."""

    def gradients(self, gpu: Gpu, layer: MoELayer, replicas: tuple[int, ...]) -> Steps:
        """Sum the gradients of my experts over their replicas, once a step."""
        if len(replicas) > 1:
            size = layer.gradient_bytes * len(layer.experts_of(gpu.rank))
            yield gpu.all_reduce(replicas, size, "expert gradients")

    def rerouted(self, layer: RoutedLayer, machines: tuple[int, ...], domain: int) -> RoutedLayer:
        """Return the layer as it runs: rows may go to other copies of their experts than the homes.

        Parameters
        ----------
        layer : RoutedLayer
        machines : tuple of int
            The machine of each rank of its group.
        domain : int
            GPUs of the smallest machine.
        """
        return layer

    def unlike(self, machines: int) -> str:
        """Say why machines do different things though they are alike; "" if they do not (`alike: machines`).

        A policy that looks at the number of a rank or a machine, and not only at where it stands in its
        group, says so here: it cannot be seen from outside. `machines`: those of a group.
        """
        return ""

    def tokens_stay(self, layer: MoELayer, domain: int) -> bool:
        """Return whether the rows of the layer stay where they are and its experts travel."""
        return False

    def memory(
        self, rank: int, machine: tuple[int, ...], layers: Sequence[RoutedLayer], domain: int
    ) -> Mapping[str, int]:
        """Return bytes on GPU `rank` beyond weights and activations, by component; `layers`: as they ran."""
        return {}

    def host_memory(
        self, machine: tuple[int, ...], layers: Sequence[RoutedLayer], domain: int
    ) -> Mapping[str, int]:
        """Return bytes in the memory of the machine with those ranks, by component."""
        return {}

    def paradigm(self, layer: MoELayer, domain: int) -> str:
        """Return which paradigm serves a layer, for tables; `domain`: GPUs of the smallest machine."""
        return type(self).__name__


@dataclass(frozen=True)
class Deciding(Policy):
    """A policy that decides something, and may be asked what it would be with foresight.

    Parameters
    ----------
    oracle : bool
        It may see the future: its trials run on the routing that is to come, visits that it is told of before
        their gates are `RoutedLayer`s, and the past that `plan` looks at holds the step to come. Nothing that
        can be built does this: tables, figures and reports call it a bound.
    """

    oracle: bool = field(default=False, kw_only=True)

    @property
    def bound(self) -> bool:
        """Whether it, or a policy inside it, may see the future."""
        return self.oracle or super().bound


def machines_of(gpu: Gpu, visit: MoELayer) -> tuple[int, ...]:
    """Return the machine of each rank of the visit's group, found once a step."""
    key = ("machines", visit.group)
    return gpu.recall(key, lambda: tuple(gpu.machine_of(rank) for rank in visit.group))


def towards(gpu: Gpu, visit: MoELayer) -> Gpu:
    """Return the GPU at a visit to come, in its lane of now: what it fetches is known as that visit's."""
    return gpu.within(micro_batch=visit.micro_batch, layer=visit.layer, phase=visit.phase)
