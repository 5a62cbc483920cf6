"""One collective alone, as nccl-tests measures it: simulated, in its columns, against its logs."""

from __future__ import annotations

from janus_sim.bench.columns import HEAD, foot, line
from janus_sim.bench.log import Log, read_log
from janus_sim.bench.measuring import KINDS, TYPES, Kind, Row, measure, sizes

__all__ = ["HEAD", "KINDS", "TYPES", "Kind", "Log", "Row", "foot", "line", "measure", "read_log", "sizes"]
