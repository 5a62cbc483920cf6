"""Where all experts of a layer travel together: all-gathers bring them, reduce-scatters sum gradients.

They go by labels: all-gathers begin with "experts", reduce-scatters with "gradients".
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

_WEIGHTS = re.compile(r"expert \d+ weights$")

if TYPE_CHECKING:
    from janus_sim.testing.rehearsal import Rehearsal
    from janus_sim.workload.layer import RoutedLayer


def gathered(run: Rehearsal) -> Iterator[tuple[tuple[int, int, int, int], float]]:
    """Yield (step, layer, expert, rank) and when it first was there, for layers that were gathered whole."""
    for phase in ("forward", "backward"):
        for visit in run.visits(phase):
            found = _spans(run, visit, "all_gather", "experts", phase)
            needed = (len(visit.group) - 1) * visit.experts * visit.weight_bytes
            if found and sum(run.spans["bytes"][row] for rows in found.values() for row in rows) >= needed:
                for rank, rows in found.items():
                    end = float(run.spans["end"][rows].max())
                    for expert in range(visit.experts):
                        yield (visit.step, visit.layer, expert, rank), end


def summed_and_scattered(run: Rehearsal) -> set[tuple[int | str, ...]]:
    """Return the keys of visits whose gradients were all summed by reduce-scatters, each once.

    Raises
    ------
    AssertionError
        If one moved too little, came twice, or began on a rank before all its gradients were computed.
    """
    done = set()
    for visit in run.visits("backward"):
        found = _spans(run, visit, "reduce_scatter", "gradients", "backward")
        if not found:
            continue
        name, spans = f"{run.name}: gradients of visit {visit.key}", run.spans
        moved = sum(int(spans["bytes"][row]) for rows in found.values() for row in rows)
        needed = (len(visit.group) - 1) * visit.experts * visit.gradient_bytes
        assert moved >= needed, f"{name}: reduce-scatters moved {moved} bytes, not {needed}"
        for rank in visit.group:
            rows = found.get(rank, [])
            labels = {spans["label"][row] for row in rows}
            assert rows, f"{name}: rank {rank} scattered nothing"
            assert len(labels) == len(rows), f"{name}: rank {rank} scattered {len(rows)} times"
            begin, last = spans["joined"][rows].min(), _last_gradient(run, visit, rank)
            assert begin >= last, (
                f"{name}: rank {rank} scattered at {begin} s, before all were there ({last} s)"
            )
        done.add(visit.key)
    return done


def _spans(run: Rehearsal, visit: RoutedLayer, kind: str, label: str, phase: str) -> dict[int, list[int]]:
    """Return the collectives of a visit by rank, recomputation counted to the backward."""
    spans, phases = run.spans, {phase, "again"} if phase == "backward" else {phase}
    mine = (spans["kind"] == kind) & (spans["step"] == visit.step) & (spans["layer"] == visit.layer)
    found: dict[int, list[int]] = defaultdict(list)
    for row in np.flatnonzero(mine & (spans["micro_batch"] == visit.micro_batch)).tolist():
        rank = int(spans["rank"][row])
        if rank in visit.members and spans["phase"][row] in phases and spans["label"][row].startswith(label):
            found[rank].append(row)
    return found


def _last_gradient(run: Rehearsal, visit: RoutedLayer, rank: int) -> float:
    """Return when a rank had computed all weight gradients of a visit."""
    spans = run.spans
    mine = (spans["rank"] == rank) & (spans["step"] == visit.step) & (spans["layer"] == visit.layer)
    mine &= (spans["micro_batch"] == visit.micro_batch) & (spans["kind"] == "compute")
    ends = [spans["end"][row] for row in np.flatnonzero(mine) if _WEIGHTS.match(spans["label"][row])]
    return max((float(end) for end in ends), default=0.0)
