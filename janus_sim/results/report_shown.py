"""Which results the report shows one by one, what they are called, and the ways between them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from janus_sim.errors import InputError
from janus_sim.results import choosing, explain, figures
from janus_sim.results.result import Result
from janus_sim.results.store import Results

MOST_WAYS = 3  #: waterfalls


@dataclass(frozen=True)
class Shown:
    """Results that are shown one by one, by name, and why others are not."""

    results: dict[str, Result]
    left_out: tuple[str, ...] = ()


def chosen(results: Results, names: Sequence[str], where: str) -> Shown:
    """Return the results to show one by one: those named, or those at the first point of the grid.

    Raises
    ------
    InputError
        For a named one that is not there, or torn; of the others it is said that they are left out.
    """
    if names:
        named = [choosing.choose(results, name, where) for name in names]
        return Shown({explain.called(result): result for result in named})
    places = _first_point(results.scenarios)
    found: dict[str, Result] = {}
    wrong: dict[str, list[str]] = {}
    for name, place in list(places.items())[: figures.MOST_POLICIES]:
        try:
            found[name] = results[place]
        except InputError as error:
            wrong.setdefault(error.mistakes[0].message, []).append(name)
    left_out = [f"{', '.join(these)}: {words}." for words, these in wrong.items()]
    if more := list(places)[figures.MOST_POLICIES :]:
        words = (
            f"{figures.MOST_POLICIES} policies are shown at most; name others, as janus-sim report DIR A B"
        )
        left_out.append(f"{', '.join(more)}: {words}.")
    return Shown(found, tuple(left_out))


def _first_point(scenarios: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Return the place of each policy at the first point of the grid."""
    first: dict[str, int] = {}
    for place, scenario in enumerate(scenarios):
        if _point(scenario) == _point(scenarios[0]):
            first.setdefault(str(scenario.get("policy", "")), place)
    return first


def _point(scenario: Any) -> str:  # noqa: ANN401
    names = ("topology", "workload", "precision", "micro_batch_size", "schedule", "seed")
    axes = {k: v for k, v in scenario.get("point", {}).items() if not k.startswith("policies.")}
    return json.dumps([*(scenario.get(name) for name in names), axes], sort_keys=True, default=str)


def told(shown: dict[str, Result]) -> str:
    """Say which point of the grid is shown, if it is one."""
    scenarios = [one.scenario for one in shown.values()]
    if not scenarios or len({_point(scenario) for scenario in scenarios}) > 1:
        return ""
    words = [
        str(scenarios[0][name]) for name in ("workload", "topology", "precision") if scenarios[0].get(name)
    ]
    if scenarios[0].get("micro_batch_size"):
        words.append(f"micro-batches of {scenarios[0]['micro_batch_size']}")
    for path, value in scenarios[0].get("point", {}).items():
        column = path.rpartition(".")[2] in {"workload", "topology", "precision", "micro_batch_size"}
        words += [] if column or path.startswith("policies.") else [f"{path} {value}"]
    return f" Shown: {', '.join(words)}."


def ways(shown: dict[str, Result]) -> list[tuple[str, explain.Waterfall]]:
    """Return the ways from the baseline (or the first shown) to the others, and why, the fastest first."""
    base = next((name for name, one in shown.items() if one.scenario.get("baseline")), next(iter(shown), ""))
    others = sorted(
        (name for name in shown if name != base), key=lambda name: explain.step_seconds(shown[name])
    )
    ways = [explain.explain(shown[base], shown[name], (base, name)) for name in others[:MOST_WAYS]]
    return [(explain.why(way), way) for way in ways]
