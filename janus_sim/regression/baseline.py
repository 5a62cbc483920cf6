"""A baseline file: an experiment, what each of its scenarios should come to, and how far it may move."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from janus_sim.errors import InputError, Mistake
from janus_sim.files import Field, NonNegativeFloat, Spec, read_yaml, validate, write_whole

TRAFFIC = ("expert_cross_machine_bytes", "dense_cross_machine_bytes")
NUMBERS = ("step_time_s", "speedup", *TRAFFIC)
DIGITS = 9  #: of a number in a baseline file

HEAD = """\
# What the scenarios of an experiment should come to; `janus-sim check` holds them to it,
# and `janus-sim check --update` writes the numbers anew.
"""


class Tolerance(Spec):
    """How far a number may move before it is told, as a share of what is expected.

    Attributes
    ----------
    step_time_s, speedup, traffic : float
    """

    step_time_s: NonNegativeFloat = 1e-3
    speedup: NonNegativeFloat = 1e-3
    traffic: NonNegativeFloat = 1e-6

    def of(self, number: str) -> float:
        """Return that of a number by its name."""
        return float(getattr(self, "traffic" if number in TRAFFIC else number))


class Expected(Spec):
    """What one scenario should come to; numbers that are not written are not checked.

    Attributes
    ----------
    step_time_s, speedup, expert_cross_machine_bytes, dense_cross_machine_bytes : float, optional
    path : mapping
        The seconds of the step time by part of the critical path, to explain a change.
    """

    step_time_s: NonNegativeFloat | None = None
    speedup: NonNegativeFloat | None = None
    expert_cross_machine_bytes: NonNegativeFloat | None = None
    dense_cross_machine_bytes: NonNegativeFloat | None = None
    path: dict[str, NonNegativeFloat] = Field(default_factory=dict)

    def numbers(self) -> dict[str, float]:
        """Return what is checked, by name."""
        return {name: value for name in NUMBERS if (value := getattr(self, name)) is not None}


class Baseline(Spec):
    """A baseline file.

    Attributes
    ----------
    experiment : str
        A preset, or a path relative to the baseline file.
    changes : tuple of str
        ``key=value``, as on the command line.
    tolerance : Tolerance
    scenarios : mapping
        From the name of a scenario to what it should come to.
    """

    experiment: str
    changes: tuple[str, ...] = ()
    tolerance: Tolerance = Field(default_factory=Tolerance)
    scenarios: dict[str, Expected] = Field(default_factory=dict)
    file: str = Field(default="", exclude=True, repr=False)

    @classmethod
    def load(cls, path: Path) -> Baseline:
        """Read a baseline file.

        Raises
        ------
        InputError
            With every mistake.
        """
        data = read_yaml(path)
        if "file" in data:
            raise InputError(Mistake(f"{path}: file", "unknown"))
        return validate(cls, data, f"{path}:").change(file=str(path))

    def source(self) -> str | Path:
        """Give the experiment as `Experiment.load` takes it: a path beside the file, or a name."""
        beside = Path(self.file).parent / self.experiment
        return beside if beside.is_file() else self.experiment

    def text(self) -> str:
        """Write the file: each number a line of its own, so that a change of one is a change of a line."""
        lines = [f"experiment: {_word(self.experiment)}"]
        if self.changes:
            lines += ["changes:", *(f"  - {_word(change)}" for change in self.changes)]
        lines += ["tolerance:", *(f"  {name}: {value:g}" for name, value in self.tolerance)]
        lines += ["scenarios:"] if self.scenarios else ["scenarios: {}"]
        for name, expected in self.scenarios.items():
            lines.append(f"  {_word(name)}:")
            lines += [f"    {key}: {_number(value)}" for key, value in expected.numbers().items()]
            if expected.path:
                lines += [
                    "    path:",
                    *(f"      {key}: {_number(value)}" for key, value in expected.path.items()),
                ]
        return "\n".join(lines) + "\n"

    def write(self, path: Path) -> None:
        """Write the file whole; the comments at the head of one that is there stay."""
        head = HEAD
        if path.is_file():
            old = path.read_text(encoding="utf-8").splitlines(keepends=True)
            kept = []
            for line in old:
                if not line.startswith("#"):
                    break
                kept.append(line)
            head = "".join(kept)
        write_whole(path, (head + self.text()).encode())


def expected_of(row: Mapping[str, Any]) -> Expected:
    """Take from a row of a table what a baseline holds.

    Examples
    --------
    >>> expected_of({"step_time_s": 0.25, "speedup": float("nan"), "path_nic_s": 0.125}).path
    {'nic': 0.125}
    """
    numbers = {name: _rounded(row[name]) for name in NUMBERS if name in row and row[name] == row[name]}
    return Expected(**numbers, path={part: _rounded(value) for part, value in path_of(row).items() if value})


def path_of(row: Mapping[str, Any]) -> dict[str, float]:
    """Take from a row of a table the seconds of its critical path by part."""
    parts = {
        name.removeprefix("path_").removesuffix("_s"): float(value)
        for name, value in row.items()
        if name.startswith("path_") or name == "straggler_s"
    }
    return {part: value for part, value in parts.items() if value == value}


def _rounded(value: Any) -> float:  # noqa: ANN401
    whole = float(value)
    return whole if whole.is_integer() else float(f"{whole:.{DIGITS}g}")


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() and value < 1e15 else repr(value)


def _word(text: str) -> str:
    """Quote what YAML would read otherwise."""
    plain = all(letter.isalnum() or letter in "_-./ " for letter in text) and not text[:1].isdigit()
    return text if plain and text.strip() == text and text else '"' + text.replace('"', '\\"') + '"'
