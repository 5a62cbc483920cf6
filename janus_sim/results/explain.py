"""Why one run is faster than another: the way from one step time to the other, part by part."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from janus_sim.results.critical_path import PARTS
from janus_sim.results.result import Result
from janus_sim.units import format_time

#: What each part of the critical path is called; NICs go by their own names.
NAMES = {
    "compute": "compute",
    "small_kernels": "small-kernel loss",
    "launch": "launch and CPU",
    "host": "launch and CPU",
    "nvlink": "NVLink",
    "pcie": "PCIe",
    "transfer_start": "start of transfers",
    "straggler": "waiting for the busiest rank",
}
NIC = "NIC "  #: stands before the name of a NIC
REMAINDER = "remainder"  #: what fits no name, and rounding

#: Why a part grows or shrinks, in words that stand after "because".
REASONS = {
    "compute": "the FLOPs of its kernels",
    "small-kernel loss": "kernels that are small or bound by memory",
    "launch and CPU": "launches and the host",
    "NVLink": "bytes over NVLink",
    "PCIe": "bytes over PCIe and host memory",
    "NICs": "bytes over the NICs",
    "start of transfers": "starting transfers",
    "waiting for the busiest rank": "waiting for the busiest rank",
    REMAINDER: "what fits no name",
}


@dataclass(frozen=True)
class Part:
    """Seconds that the critical path spends on one thing, in either run; means over the steps."""

    name: str
    before: float
    after: float

    @property
    def change(self) -> float:
        """Seconds that the second run spends more."""
        return self.after - self.before


@dataclass(frozen=True)
class Waterfall:
    """The way from the step time of one run to that of another.

    Attributes
    ----------
    a, b : str
        What the runs are called.
    before, after : float
        Their step times in seconds, means over the steps.
    parts : tuple of Part
        In a fixed order; their `before` add up to the first step time, their `after` to the second.
    """

    a: str
    b: str
    before: float
    after: float
    parts: tuple[Part, ...]

    def table(self) -> pd.DataFrame:
        """Return one row a part: part, before_s, after_s, change_s, and both step times in the last row."""
        rows = [(part.name, part.before, part.after, part.change) for part in self.parts]
        rows.append(("step time", self.before, self.after, self.after - self.before))
        return pd.DataFrame(rows, columns=["part", "before_s", "after_s", "change_s"])

    def merged(self) -> tuple[Part, ...]:
        """Return the parts with all NICs as one."""
        nics = [part for part in self.parts if part.name.startswith(NIC)]
        if not nics:
            return self.parts
        one = Part("NICs", math.fsum(p.before for p in nics), math.fsum(p.after for p in nics))
        first = self.parts.index(nics[0])
        return (*self.parts[:first], one, *self.parts[first + len(nics) :])


def explain(a: Result, b: Result, names: tuple[str, str] | None = None) -> Waterfall:
    """Return the waterfall from one run to another, in terms of their critical paths.

    They are called by their scenarios unless `names` are given. A part is what
    `janus_sim.results.critical_path` attributes to it; time bound by a NIC goes by the name of the NIC.
    What fits no name stands last and is called so, so that the parts add up exactly.

    Examples
    --------
    >>> from janus_sim.record import Record, SpanLog, StepRecord
    >>> def run(name: str, seconds: float) -> Result:
    ...     log = SpanLog()
    ...     last = log.add(
    ...         0, 0, -1, "", 0, 0, "compute", "compute", "gemm", "F0", 0.0, 0.0, seconds, ideal=0.5
    ...     )
    ...     step = StepRecord(0, 0.0, seconds, last)
    ...     return Result(Record(log.columns(), (step,)), {"name": name})
    >>> [(part.name, part.change) for part in explain(run("slow", 2.0), run("fast", 1.0)).parts]
    [('compute', 0.0), ('small-kernel loss', -1.0), ('remainder', 0.0)]
    """
    first, second = seconds_by_part(a), seconds_by_part(b)
    nics = sorted({name for name in (*first, *second) if name.startswith(NIC)})
    order: list[str] = []
    for part in PARTS:
        order += nics if part == "nic" else [NAMES[part]] if part in NAMES else []
    parts = [
        Part(name, first.get(name, 0.0), second.get(name, 0.0))
        for name in (*dict.fromkeys(order), REMAINDER)
        if first.get(name) or second.get(name) or name == REMAINDER
    ]
    first_name, second_name = names or (called(a), called(b))
    return Waterfall(first_name, second_name, step_seconds(a), step_seconds(b), tuple(parts))


def seconds_by_part(result: Result) -> dict[str, float]:
    """Return the seconds of each part of the critical path, mean over steps; they add up to the step time."""
    found: dict[str, list[float]] = {}
    for attribution in result.paths:
        resources = result.record.spans["resource"][attribution.path]
        for part in PARTS:
            seconds = attribution.seconds[part]
            if part == "nic":
                for resource, value in zip(resources, seconds, strict=True):
                    if value:
                        found.setdefault(NIC + nic_of(str(resource)), []).append(float(value))
            elif part in NAMES:
                found.setdefault(NAMES[part], []).extend(seconds.tolist())
    steps = max(len(result.paths), 1)
    named = {name: math.fsum(values) / steps for name, values in found.items()}
    return named | {REMAINDER: step_seconds(result) - math.fsum(named.values())}


def nic_of(link: str) -> str:
    """Return the NIC that a link is a direction of.

    Examples
    --------
    >>> nic_of("m0.nic2.out"), nic_of("leaf1.up")
    ('m0.nic2', 'leaf1')
    """
    head, _, way = link.rpartition(".")
    return head if head and way in {"in", "out", "up", "down"} else link


def step_seconds(result: Result) -> float:
    """Return the mean step time."""
    steps = result.record.steps
    return math.fsum(step.seconds for step in steps) / max(len(steps), 1)


def called(result: Result) -> str:
    """Return what a result is called."""
    return str(result.scenario.get("name") or result.scenario.get("policy") or "a run")


def why(waterfall: Waterfall, most: int = 2) -> str:
    """Say in one sentence why the second run is faster or slower than the first.

    Told are the largest parts that made it so, and the largest that worked against it.

    Examples
    --------
    >>> parts = (Part("compute", 1.0, 1.5), Part("NIC m0.nic0", 2.0, 0.5))
    >>> print(why(Waterfall("slow", "fast", 3.0, 2.0, parts)))
    fast is 1.50x faster than slow (2 s instead of 3 s): it spends 1.5 s less on bytes over the NICs,
    but 500 ms more on the FLOPs of its kernels.
    """
    change = waterfall.after - waterfall.before
    instead = f"({format_time(waterfall.after)} instead of {format_time(waterfall.before)})"
    if abs(change) <= 1e-9 * max(waterfall.before, waterfall.after):
        return f"{waterfall.b} is as fast as {waterfall.a} ({format_time(waterfall.after)})."
    faster = change < 0
    ratio = waterfall.before / waterfall.after if faster else waterfall.after / waterfall.before
    verdict = f"{waterfall.b} is {ratio:.2f}x {'faster' if faster else 'slower'} than {waterfall.a} {instead}"
    parts = sorted(waterfall.merged(), key=lambda part: -abs(part.change))
    worth = [part for part in parts if abs(part.change) >= 0.02 * abs(change)]
    with_it = [part for part in worth if (part.change < 0) == faster][:most]
    against = [part for part in worth if (part.change < 0) != faster][:most]
    less, more = ("less", "more") if faster else ("more", "less")
    told = _told(with_it, less)
    return f"{verdict}: it spends {told}" + (f", but {_told(against, more)}." if against else ".")


def _told(parts: Sequence[Part], how: str) -> str:
    return " and ".join(f"{format_time(abs(p.change))} {how} on {REASONS.get(p.name, p.name)}" for p in parts)
