"""Which results the report shows one by one, what they are called, and the ways between them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from janus_sim.errors import InputError
from janus_sim.results import explain, figures
from janus_sim.results.result import Result
from janus_sim.results.store import Results

MOST_WAYS = 3  #: waterfalls


def chosen(results: Results, names: Sequence[str], where: str) -> dict[str, Result]:
    """Return the results to show one by one, by name; those of which only a row was kept are left out."""
    if names:
        named = [explain.choose(results, name, where) for name in names]
        return {explain.called(result): result for result in named}
    first: dict[str, Result] = {}
    points = [_point(scenario) for scenario in results.scenarios]
    for place, (point, scenario) in enumerate(zip(points, results.scenarios, strict=True)):
        name = str(scenario.get("policy", ""))
        if point == points[0] and name not in first and len(first) < figures.MOST_POLICIES:
            try:
                first[name] = results[place]
            except InputError:
                continue
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
