"""Routing that has happened: one neutral form, its importers, and replay step by step.

A trace is written by `write_trace` from blocks, opened by `open_trace`, and replayed by a workload that says
``routing: {trace: x.parquet}``. `docs/traces.md` tells the form field by field.
"""

from __future__ import annotations

from janus_sim.traces.chosen import Chosen
from janus_sim.traces.form import NO_CHOICE, Block, TraceInfo, counts_of
from janus_sim.traces.held import RoutingTrace
from janus_sim.traces.reading import read_traces
from janus_sim.traces.recorded import Recorded
from janus_sim.traces.store import write_trace
from janus_sim.traces.trace import Trace, open_trace

__all__ = [
    "NO_CHOICE",
    "Block",
    "Chosen",
    "Recorded",
    "RoutingTrace",
    "Trace",
    "TraceInfo",
    "counts_of",
    "open_trace",
    "read_traces",
    "write_trace",
]
