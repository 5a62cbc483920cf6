"""What moved, by how much, and whether that fails: pure functions of what was expected and what was found."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from janus_sim.regression.baseline import TRAFFIC, Expected, Tolerance, path_of

GATES = ("step_time_s", *TRAFFIC)  #: numbers that fail when they grow; the speedup is told alone


@dataclass(frozen=True)
class Finding:
    """One number of one scenario.

    Attributes
    ----------
    scenario, number : str
    expected, found : float
        NaN where there is none.
    verdict : str
        "ok", "slower", "faster", "more", "less", "moved", "failed", "missing", "new".
    fails : bool
        Whether the check fails by it.
    words : str
        What else is to be said.
    """

    scenario: str
    number: str
    expected: float
    found: float
    verdict: str
    fails: bool = False
    words: str = ""

    @property
    def change(self) -> float:
        """Found over expected, less one."""
        if self.expected == self.found:
            return 0.0
        return self.found / self.expected - 1 if self.expected else math.inf

    def told(self) -> str:
        """Say it in a line.

        Examples
        --------
        >>> print(Finding("janus", "step_time_s", 0.02, 0.021, "slower", True).told())
        janus: step_time_s is 0.021 instead of 0.02 (+5.00 %): slower
        """
        if math.isnan(self.found) or math.isnan(self.expected):
            return f"{self.scenario}: {self.verdict}" + (f": {self.words}" if self.words else "")
        instead = f"{self.found:.6g} instead of {self.expected:.6g} ({self.change:+.2%})".replace("%", " %")
        return f"{self.scenario}: {self.number} is {instead}: {self.verdict}"


def compare(
    scenario: str, expected: Expected, row: Mapping[str, Any], tolerance: Tolerance
) -> tuple[Finding, ...]:
    """Hold one row of a table against what was expected of it.

    Examples
    --------
    >>> expected = Expected(step_time_s=1.0, speedup=2.0, expert_cross_machine_bytes=100.0)
    >>> row = {"step_time_s": 1.1, "speedup": 1.8, "expert_cross_machine_bytes": 90}
    >>> [
    ...     (one.number, one.verdict, one.fails) for one in compare("janus", expected, row, Tolerance())
    ... ]  # doctest: +NORMALIZE_WHITESPACE
    [('step_time_s', 'slower', True), ('speedup', 'moved', False),
     ('expert_cross_machine_bytes', 'less', False)]
    """
    error = row.get("error")
    if isinstance(error, str) and error:
        return (Finding(scenario, "", math.nan, math.nan, "failed", True, error),)
    return tuple(
        _judged(scenario, number, value, float(row.get(number, math.nan)), tolerance.of(number))
        for number, value in expected.numbers().items()
    )


def _judged(scenario: str, number: str, expected: float, found: float, tolerance: float) -> Finding:
    if math.isnan(found):
        return Finding(scenario, number, expected, found, "missing", True, f"there is no {number} any more")
    if abs(found - expected) <= tolerance * expected:
        return Finding(scenario, number, expected, found, "ok")
    if number not in GATES:
        return Finding(scenario, number, expected, found, "moved")
    more, less = ("slower", "faster") if number == "step_time_s" else ("more", "less")
    return Finding(scenario, number, expected, found, more if found > expected else less, found > expected)


def missing(scenario: str) -> Finding:
    """Tell a scenario that the experiment does not have any more: its guard is gone."""
    words = "the experiment has no such scenario any more; --update takes it out"
    return Finding(scenario, "", math.nan, math.nan, "missing", True, words)


def new(scenario: str) -> Finding:
    """Tell a scenario that is not guarded."""
    return Finding(scenario, "", math.nan, math.nan, "new", False, "not in the baseline; --update adds it")


def explained(
    scenario: str, before: Mapping[str, float], row: Mapping[str, Any], names: tuple[str, str]
) -> str:
    """Say which parts of the critical path a change of the step time came from; empty if that is unknown."""
    from janus_sim.results.explain import NAMES, Part, Waterfall, why

    after = path_of(row)
    if not before or not after:
        return ""
    order = list(dict.fromkeys([*before, *after]))
    parts = tuple(Part(_called(part, NAMES), before.get(part, 0.0), after.get(part, 0.0)) for part in order)
    sums = math.fsum(before.values()), math.fsum(after.values())
    return f"{scenario}: {why(Waterfall(*names, *sums, parts))}"


def _called(part: str, names: Mapping[str, str]) -> str:
    return "NICs" if part == "nic" else names.get(part, part)


def failures(findings: Sequence[Finding]) -> list[Finding]:
    """Return what fails."""
    return [finding for finding in findings if finding.fails]
