"""The block `uncertainty` of an experiment: which values are uncertain, and within which ends."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from janus_sim import units
from janus_sim.errors import InputError, Mistake
from janus_sim.files import nearest, show
from janus_sim.scenario import Experiment
from janus_sim.scenario.changes import AXES

DRAWS = 100
KINDS = ("uniform", "log_uniform", "triangular", "choice")
WORDS = ("draws", "best_of")  #: of the block itself; all other keys are paths
EXAMPLE = "write [low, high], as [3 us, 8 us]"

#: How words with a unit are read, and the unit in which a drawn number is written back.
UNITS: tuple[tuple[Callable[[object], float], str], ...] = (
    (units.parse_bandwidth, "B/s"),
    (units.parse_time, "s"),
    (units.parse_bytes, "B"),
    (units.parse_rate, "FLOP/s"),
)


@dataclass(frozen=True)
class Range:
    """One uncertain value.

    Attributes
    ----------
    path : str
        Dotted, into a scenario.
    name : str
        What tables and figures call it.
    kind : str
        One of `KINDS`.
    ends : tuple
        SI floats, or whole numbers: low and high; low, mode and high of a triangle; or the choices.
    unit : str
        Of the ends, "" for plain numbers and words.
    others : tuple of Range
        Moved by the same draw.
    """

    path: str
    name: str
    kind: str
    ends: tuple[Any, ...]
    unit: str = ""
    others: tuple[Range, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether whole numbers alone are drawn."""
        return self.kind == "uniform" and all(isinstance(end, int) for end in self.ends)

    def value(self, quantile: float) -> object:
        """Return the value at a quantile from 0 to 1, as a file would have it.

        Examples
        --------
        >>> Range("topology.machine.nics.efficiency", "NIC", "uniform", (0.72, 0.92)).value(0.5)
        0.8200000000000001
        >>> Range("topology.machine.host.launch", "launch", "uniform", (3e-6, 8e-6), "s").value(1.0)
        '8e-06 s'
        """
        if self.kind == "choice":
            return self.ends[min(int(quantile * len(self.ends)), len(self.ends) - 1)]
        number = self._number(quantile)
        if self.whole:
            low, high = self.ends
            return min(low + int(quantile * (high - low + 1)), high)
        return f"{number!r} {self.unit}" if self.unit else number

    def number(self, quantile: float) -> object:
        """Return the value at a quantile as tables have it: SI floats, and words as they are."""
        if self.kind == "choice" or self.whole:
            return self.value(quantile)
        return self._number(quantile)

    def values(self, quantile: float) -> Iterator[tuple[str, object]]:
        """Yield each path that moves with this one, and its value."""
        yield self.path, self.value(quantile)
        for other in self.others:
            yield other.path, other.value(quantile)

    def told(self) -> dict[str, Any]:
        """Return the range as plain values."""
        others = [other.told() for other in self.others]
        told: dict[str, Any] = {"path": self.path, "name": self.name, self.kind: list(self.ends)}
        return told | ({"unit": self.unit} if self.unit else {}) | ({"with": others} if others else {})

    def _number(self, quantile: float) -> float:
        low, high = float(self.ends[0]), float(self.ends[-1])
        if self.kind == "log_uniform":
            return low * math.exp(quantile * math.log(high / low))
        if self.kind == "triangular":
            mode = float(self.ends[1])
            share = (mode - low) / (high - low)
            if quantile < share:
                return low + math.sqrt(quantile * (high - low) * (mode - low))
            return high - math.sqrt((1 - quantile) * (high - low) * (high - mode))
        return low + quantile * (high - low)


@dataclass(frozen=True)
class Ranges:
    """All that the block says: the ranges, how many draws, and the axis whose best value is told of."""

    ranges: tuple[Range, ...]
    draws: int = DRAWS
    best_of: str = ""


def read_ranges(experiment: Experiment) -> Ranges:
    """Read the block `uncertainty` of an experiment.

    Raises
    ------
    InputError
        With every mistake.

    Examples
    --------
    >>> experiment = Experiment(
    ...     topology="two_gpus",
    ...     workload="moe_gpt",
    ...     policies={},
    ...     uncertainty={"workload.capacity_factor": [1.2, 1.0]},
    ... )
    >>> read_ranges(experiment)
    Traceback (most recent call last):
    janus_sim.errors.InputError: uncertainty.workload.capacity_factor  its ends are swapped; write [1.0, 1.2]
    """
    block, mistakes = experiment.uncertainty, list[Mistake]()
    ranges: list[Range] = []
    for path, written in block.items():
        if path in WORDS:
            continue
        try:
            ranges.append(_range(path, written, experiment))
        except ValueError as error:
            mistakes.append(Mistake(experiment.where(f"uncertainty.{path}"), str(error)))
    draws, best_of = block.get("draws", DRAWS), block.get("best_of", "")
    if not isinstance(draws, int) or isinstance(draws, bool) or not 2 <= draws <= 10_000:
        said = f"{show(draws)} is wrong; write a whole number from 2 to 10000"
        mistakes.append(Mistake(experiment.where("uncertainty.draws"), said))
    axes = ("topology", "workload", "precision", "micro_batch_size")
    if best_of and best_of not in axes and best_of not in experiment.vary:
        said = f"{show(best_of)} is no axis; write one of {', '.join(axes)}"
        mistakes.append(Mistake(experiment.where("uncertainty.best_of"), said))
    if not ranges and not mistakes:
        mistakes.append(Mistake(experiment.where("uncertainty"), f"names no value; {EXAMPLE} after a path"))
    paths = [path for drawn in ranges for path, _ in drawn.values(0.0)]
    mistakes += [
        Mistake(experiment.where(f"uncertainty.{path}"), "is drawn twice")
        for path in dict.fromkeys(path for path in paths if paths.count(path) > 1)
    ]
    names = [drawn.name for drawn in ranges]
    mistakes += [
        Mistake(
            experiment.where(f"uncertainty.{drawn.path}"),
            f'is called "{drawn.name}" as another range is; give it a name: {{uniform: [...], name: NAME}}',
        )
        for place, drawn in enumerate(ranges)
        if drawn.name in names[:place]
    ]
    if mistakes:
        raise InputError(mistakes)
    return Ranges(tuple(ranges), draws, best_of)


def _range(path: str, written: object, experiment: Experiment) -> Range:
    root = path.partition(".")[0]
    if root not in AXES[:4] or "." not in path:
        raise ValueError(f"leads nowhere{nearest(root, AXES)}; a path is as topology.machine.nics.efficiency")
    if path in experiment.vary:
        raise ValueError("is an axis of the grid too; take it out of one of the two")
    name = path.rpartition(".")[2].replace("_", " ")
    if not isinstance(written, Mapping):
        return Range(path, name, "uniform", *_ends("uniform", written))
    rest = {key: value for key, value in written.items() if key not in ("name", "with")}
    if len(rest) != 1 or next(iter(rest)) not in KINDS:
        unknown = next((key for key in rest if key not in KINDS), "")
        hint = nearest(unknown, [*KINDS, "name", "with"]) if unknown else ""
        raise ValueError(f"needs one of {', '.join(KINDS)}{hint}")
    ((kind, value),) = rest.items()
    along = written.get("with", {})
    if not isinstance(along, Mapping):
        raise ValueError(f"with: {show(along)} is no mapping of paths to ranges")
    others = tuple(_range(other, inner, experiment) for other, inner in along.items())
    return Range(path, str(written.get("name", name)), kind, *_ends(kind, value), others)


def _ends(kind: str, written: object) -> tuple[tuple[Any, ...], str]:
    """Read the ends of a range, each by the same unit."""
    many = {"triangular": 3, "choice": None}.get(kind, 2)
    if not isinstance(written, tuple) or (many and len(written) != many) or len(written) < 2:
        example = {"triangular": "write [low, mode, high]", "choice": "write [a, b]"}.get(kind, EXAMPLE)
        raise ValueError(f"{show(written)} is no range; {example}")
    if kind == "choice":
        return written, ""
    numbers, unit = _read(written)
    if list(numbers) != sorted(numbers):
        swapped = ", ".join(str(written[numbers.index(number)]) for number in sorted(numbers))
        raise ValueError(f"its ends are swapped; write [{swapped}]")
    if numbers[0] == numbers[-1]:
        raise ValueError("its ends are equal; take it out of the block, or widen it")
    if kind == "log_uniform" and numbers[0] <= 0:
        raise ValueError("a log_uniform range begins above zero")
    return numbers, unit


def _read(written: tuple[Any, ...]) -> tuple[tuple[Any, ...], str]:
    if all(isinstance(end, int | float) and not isinstance(end, bool) for end in written):
        return (written if all(isinstance(e, int) for e in written) else tuple(map(float, written))), ""
    for parse, unit in UNITS:
        try:
            return tuple(parse(end) for end in written), unit
        except ValueError:
            continue
    raise ValueError(f"{show(written)} are not ends of one unit; {EXAMPLE}")
