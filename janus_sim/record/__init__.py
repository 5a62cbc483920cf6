"""What one simulated run leaves behind: spans, steps, links, layers and memory, as plain facts.

The engine appends to a `SpanLog`; when the run is over all becomes one frozen `Record`. Nothing here is a
figure or a mean: those are computed from the record afterwards (`janus_sim.results`).
"""

from __future__ import annotations

from janus_sim.record.facts import Facts, LayerRecord, LinkRecord, MemoryRecord, Record, StepRecord
from janus_sim.record.log import SpanLog
from janus_sim.record.marks import BOUND, LOSSY, legend, unmarked
from janus_sim.record.spans import SPAN_COLUMNS, Columns, Listed, Spans, Words, rows_of, words_of

__all__ = [
    "BOUND",
    "LOSSY",
    "SPAN_COLUMNS",
    "Columns",
    "Facts",
    "LayerRecord",
    "LinkRecord",
    "Listed",
    "MemoryRecord",
    "Record",
    "SpanLog",
    "Spans",
    "StepRecord",
    "Words",
    "legend",
    "rows_of",
    "unmarked",
    "words_of",
]
