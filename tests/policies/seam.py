"""Policies and a schedule that prove the seam: each uses a hook that no shipped policy uses."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from janus_sim.engine.gpu import Gpu
from janus_sim.engine.time import Activity, Steps
from janus_sim.policies import ExpertCentric, Modifier, Outcome, Pipelined, Policy
from janus_sim.schedules import Pass, Schedule
from janus_sim.workload.layer import MoELayer, Plan

STATE = 6  # times the weights: master weights and two moments in single precision, weights in half


@dataclass(frozen=True)
class SwapHottest(Modifier):
    """After each step the most popular expert of each layer changes places with the least (SmartMoE)."""

    seconds: float = 1e-3
    seen: list[tuple[int, ...]] = field(default_factory=list)

    def plan(self, layers: Sequence[MoELayer], plan: Plan) -> Plan:
        for layer in layers:
            assert layer.past is not None
            self.seen.append(layer.past.shape)
            if len(layer.past):
                rows = layer.past[-1].sum(axis=0)
                plan = plan.swapped(layer.moe, int(rows.argmax()), int(rows.argmin()))
        return replace(plan, seconds=self.seconds)

    def move(self, gpu: Gpu, old: Sequence[MoELayer], new: Sequence[MoELayer]) -> Steps:
        pulls: list[Activity] = []
        for before, after in zip(old, new, strict=True):
            for expert in after.experts_of(gpu.rank):
                if before.home_of(expert) != gpu.rank:
                    size = before.weight_bytes * (1 + STATE)
                    pulls.append(gpu.pull(before.home_of(expert), size, f"move expert {expert}"))
        yield gpu.all(pulls)


class Gentle(Gpu):
    """All-to-Alls that hold no SMs."""

    __slots__ = ()

    def all_to_all(
        self, sizes: object, label: str, *, sms: int | None = None, stream: Hashable = ""
    ) -> Activity:
        return super().all_to_all(sizes, f"gentle {label}", sms=0, stream=stream)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Gently(Modifier):
    """Changes a word."""

    def words(self, gpu: Gpu) -> Gpu:
        return super().words(gpu).wearing(Gentle)


@dataclass(frozen=True)
class AutoChunks(Policy):
    """Tries numbers of chunks, then the best and the next one up, and becomes the best of all (PipeMoE)."""

    first: tuple[int, ...] = (1, 2)
    tried: tuple[tuple[int, float], ...] = ()

    def trials(self, layers: Sequence[MoELayer]) -> Mapping[Hashable, Policy]:
        best = min(self.tried, key=lambda trial: trial[1])[0] if self.tried else 0
        chunks = (best * 2,) if self.tried else self.first
        return {count: Pipelined(inner=ExpertCentric(), chunks=count) for count in chunks}

    def settle(self, outcomes: Mapping[Hashable, Outcome]) -> Policy:
        news = tuple((int(str(count)), outcome.step) for count, outcome in outcomes.items())
        if not self.tried:
            return replace(self, tried=news)
        best = min((*self.tried, *news), key=lambda trial: trial[1])[0]
        return Pipelined(inner=ExpertCentric(), chunks=best)

    def forward(self, gpu: Gpu, layer: object) -> Steps:
        raise AssertionError("it never runs itself")

    backward = forward


@dataclass(frozen=True)
class TwoHalves(Schedule):
    """F, I, W of one micro-batch after another; or all F, then I beside the W of the one before."""

    interleaved: bool = False

    def order(self, stage: int, stages: int, micro_batches: int) -> list[tuple[Pass, ...]]:
        batches = range(micro_batches)
        if not self.interleaved:
            return [(Pass(kind, batch),) for batch in batches for kind in ("F", "I", "W")]
        rows = [(Pass("F", batch),) for batch in batches]
        rows += [
            (Pass("I", batch), Pass("W", batch - 1)) if batch else (Pass("I", batch),) for batch in batches
        ]
        return [*rows, (Pass("W", micro_batches - 1),)]


@dataclass(frozen=True)
class SideBySide(Schedule):
    """The forward of each micro-batch beside the backward of the one before."""

    def order(self, stage: int, stages: int, micro_batches: int) -> list[tuple[Pass, ...]]:
        pairs = [(Pass("F", batch), Pass("B", batch - 1)) for batch in range(1, micro_batches)]
        return [(Pass("F", 0),), *pairs, (Pass("B", micro_batches - 1),)]
