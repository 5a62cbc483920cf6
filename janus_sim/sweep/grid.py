"""The scenarios of a sweep: their places in the grid, their keys, and which of them still have to be run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from janus_sim.errors import InputError, Mistake
from janus_sim.results.pack import Head, plain
from janus_sim.scenario import Scenario
from janus_sim.sweep.origin import model_version
from janus_sim.sweep.work import Task

if TYPE_CHECKING:
    from janus_sim.results.result import Result


@dataclass
class Grid:
    """The scenarios of a sweep by place, their keys, and where their results are kept."""

    places: tuple[int, ...]
    scenarios: tuple[Scenario, ...]
    keys: tuple[str, ...]
    store: Any
    details: int
    heads: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    outdated: int = 0

    @cached_property
    def described(self) -> tuple[dict[str, Any], ...]:
        """What each scenario is, for tables."""
        return tuple(scenario.described() for scenario in self.scenarios)

    def look(self) -> None:
        """Read the figures of what is in the store and can be used."""
        version = model_version()
        for key, detailed in self.wanted().items():
            head: Head | None = self.store.head(key)
            if head is None:
                continue
            self.outdated += head.version != version
            if usable(head, version, detailed):
                self.heads[key] = head.figures

    def wanted(self) -> dict[str, bool]:
        """Return each key, in the order of the grid, and whether its record is kept."""
        found: dict[str, bool] = {}
        for place, key in zip(self.places, self.keys, strict=True):
            found[key] = found.get(key, False) or place < self.details
        return found

    def tasks(self) -> list[Task]:
        """Return what has to be computed."""
        named = dict(zip(reversed(self.keys), reversed(self.scenarios), strict=True))
        version = model_version()
        return [
            Task(named[key], key, version, detailed)
            for key, detailed in self.wanted().items()
            if key not in self.heads
        ]

    def entries(self, failures: Mapping[str, tuple[str, int]]) -> Iterator[dict[str, Any]]:
        """Say of each scenario what it is and where its result lies, for `scenarios.json`."""
        for place, told, key in zip(self.places, self.described, self.keys, strict=True):
            entry = {"place": place, "key": key, "scenario": plain(told)}
            yield entry | ({"error": failures[key][0]} if key in failures else {})


def usable(head: Head, version: str, detailed: bool) -> bool:
    """Say whether a stored run is of this version of the model, and as detailed as it is wanted."""
    return head.version == version and (head.detail is not None or not detailed)


class Memory:
    """A store that forgets: for a sweep without a folder."""

    def head(self, key: str) -> Head | None:
        """Know nothing."""
        return None

    def put(self, key: str, data: bytes) -> None:
        """Keep nothing."""

    def result(self, key: str, scenario: Mapping[str, Any]) -> Result:
        """Have nothing.

        Raises
        ------
        InputError
            Always.
        """
        raise InputError(Mistake(str(scenario.get("name", key)), "was not kept"))


def shard(scenarios: Sequence[Scenario], part: tuple[int, int] | None) -> list[tuple[int, Scenario]]:
    """Deal scenarios out like cards; each keeps its place in the whole grid.

    Raises
    ------
    InputError
        For a part that does not exist, or has no scenario.
    """
    first, many = (1, 1) if part is None else part
    if not 1 <= first <= many:
        raise InputError(Mistake("--shard", f"{first}/{many} is no part; write 1/{many} to {many}/{many}"))
    chosen = list(enumerate(scenarios))[first - 1 :: many]
    if not chosen:
        words = f"{first}/{many} has no scenario; there are {len(scenarios)}"
        raise InputError(Mistake("--shard", words))
    return chosen
