"""Step times of scenarios, each simulated once, here or in other processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Any

from janus_sim.scenario import Scenario
from janus_sim.uncertainty import step_seconds, tell, told_seconds

TOKENS, EXPERTS = "expert_centric", "data_centric"


def with_policy(scenario: Scenario, policy: Mapping[str, Any]) -> Scenario:
    """Return the scenario under another policy."""
    name = str(policy["type"])
    return scenario.change(policy=dict(policy), label=name, name=name)


@dataclass
class Runner:
    """Simulates scenarios; `pool` None: in this process."""

    pool: Executor | None = None
    known: dict[str, Future[float]] = field(default_factory=dict)

    def start(self, scenario: Scenario) -> Callable[[], float]:
        """Begin a run; the call that comes back waits for its step time."""
        key = scenario.content()
        if key not in self.known:
            if self.pool is None:
                self.known[key] = Future()
                self.known[key].set_result(step_seconds(scenario))
            else:
                self.known[key] = self.pool.submit(told_seconds, tell(scenario))
        return self.known[key].result

    def ratio(self, base: Scenario) -> Callable[[], float]:
        """Begin both paradigms; the call that comes back waits for the speedup of data-centric."""
        slow, fast = (self.start(with_policy(base, {"type": policy})) for policy in (TOKENS, EXPERTS))
        return lambda: slow() / fast()
