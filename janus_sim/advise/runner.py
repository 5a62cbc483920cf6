"""What is run for an advice: both paradigms, sets of layers, and other policies to lay beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from janus_sim.scenario import Scenario
from janus_sim.sweep.asking import Asking

TOKENS, EXPERTS = "expert_centric", "data_centric"

#: Policies whose step time is told beside the advice: name and knobs, as in an experiment. The one place.
OTHERS: dict[str, dict[str, Any]] = {
    "pipelined": {"type": "pipelined", "chunks": 2, "inner": {TOKENS: {}}},
    "node_limited": {"type": "node_limited", "fp8": False},  # fp8 is not accuracy-neutral
    "fsdp": {"type": "fsdp"},
    "replicate": {"type": "replicate"},
    "least_loaded": {"type": "least_loaded"},
}

Seconds = Callable[[], float]


def with_policy(scenario: Scenario, policy: Mapping[str, Any]) -> Scenario:
    """Return the scenario under another policy."""
    name = str(policy["type"])
    return scenario.change(policy=dict(policy), label=name, name=name)


def start(asking: Asking, scenario: Scenario, *, detailed: bool = False) -> Seconds:
    """Begin a run; the call that comes back waits for its step time."""
    figures = asking.start(scenario, detailed=detailed)
    return lambda: float(figures()["step_time_s"])


def ratio(asking: Asking, base: Scenario) -> Seconds:
    """Begin both paradigms; the call that comes back waits for the speedup of data-centric."""
    slow, fast = (start(asking, with_policy(base, {"type": policy})) for policy in (TOKENS, EXPERTS))
    return lambda: slow() / fast()
