"""What is trained: models, their kernels and memory, and where tokens and experts go; no time."""

from __future__ import annotations

from janus_sim.traces import RoutingTrace
from janus_sim.workload.copies import Copies, Plan, Traffic
from janus_sim.workload.layer import MoELayer, RoutedLayer
from janus_sim.workload.layout import Layout
from janus_sim.workload.spec import WorkloadSpec
from janus_sim.workload.workload import Workload

__all__ = [
    "Copies",
    "Layout",
    "MoELayer",
    "Plan",
    "RoutedLayer",
    "RoutingTrace",
    "Traffic",
    "Workload",
    "WorkloadSpec",
]
