"""janus-sim simulates the training of Mixture-of-Experts models on clusters of GPUs.

The names below are the face of the package. They are imported when first used, so that the import is quick.

Examples
--------
>>> import janus_sim
>>> scenario = janus_sim.Scenario(topology="two_gpus", workload="moe_bert", policy="janus")
>>> scenario.seed
0
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from janus_sim.engine.gpu import Gpu
    from janus_sim.engine.time import Steps
    from janus_sim.errors import JanusSimError
    from janus_sim.policies import POLICIES
    from janus_sim.policies.base import Outcome, Policy
    from janus_sim.policies.modifier import Modifier
    from janus_sim.results.result import Result
    from janus_sim.results.store import open_results
    from janus_sim.scenario import Experiment, Scenario
    from janus_sim.schedules import SCHEDULES
    from janus_sim.schedules.base import Pass, Schedule
    from janus_sim.simulate import simulate
    from janus_sim.sweep import sweep
    from janus_sim.topology import Topology
    from janus_sim.traces import RoutingTrace
    from janus_sim.workload.copies import Copies
    from janus_sim.workload.layer import MoELayer, Plan, RoutedLayer
    from janus_sim.workload.workload import Workload

__version__ = "0.1.0"

_HOMES = {
    "Copies": "workload.copies",
    "Experiment": "scenario",
    "Gpu": "engine.gpu",
    "JanusSimError": "errors",
    "Modifier": "policies.modifier",
    "MoELayer": "workload.layer",
    "Outcome": "policies.base",
    "POLICIES": "policies",
    "Pass": "schedules.base",
    "Plan": "workload.layer",
    "Policy": "policies.base",
    "Result": "results.result",
    "RoutedLayer": "workload.layer",
    "RoutingTrace": "traces",
    "SCHEDULES": "schedules",
    "Scenario": "scenario",
    "Schedule": "schedules.base",
    "Steps": "engine.time",
    "Topology": "topology",
    "Workload": "workload.workload",
    "open_results": "results.store",
    "simulate": "simulate",
    "sweep": "sweep",
}

__all__ = [
    "Copies",
    "Experiment",
    "Gpu",
    "JanusSimError",
    "Modifier",
    "MoELayer",
    "Outcome",
    "POLICIES",
    "Pass",
    "Plan",
    "Policy",
    "Result",
    "RoutedLayer",
    "RoutingTrace",
    "SCHEDULES",
    "Scenario",
    "Schedule",
    "Steps",
    "Topology",
    "Workload",
    "open_results",
    "simulate",
    "sweep",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Import a public name when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Face(ModuleType):
    """Keep `simulate` and `sweep` the functions, though modules of these names are imported here."""

    def __setattr__(self, name: str, value: object) -> None:
        if _HOMES.get(name) == name and isinstance(value, ModuleType):
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Face
