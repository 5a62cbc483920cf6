"""The solver alone: `python benchmarks/bench_network.py [GROUP ...]`; CPU seconds, the best of 3."""

from __future__ import annotations

import resource
import sys
import time

import numpy as np
from network_cases import GROUPS, Case

from janus_sim.network import finish_times


def seconds(case: Case, repeats: int = 3) -> tuple[float, float]:
    """Return the best CPU seconds of a few runs, and the makespan."""
    best, makespan = float("inf"), 0.0
    for _ in range(repeats):
        begin = time.process_time()
        makespan = float(finish_times(case.capacity, case.routes, case.sizes, tolerance=case.tolerance).max())
        best = min(best, time.process_time() - begin)
    return best, makespan


def at_least(case: Case) -> float:
    """Return the seconds that the busiest link needs for its bytes: no allocation ends sooner."""
    hops = case.routes.shape[1]
    bytes_a_link = np.bincount((case.routes + 1).ravel(), weights=np.repeat(case.sizes, hops))[1:]
    return float((bytes_a_link / case.capacity[: len(bytes_a_link)]).max())


def main() -> None:
    """Measure the groups named, or all."""
    finish_times([1.0], [[0]], [1.0])
    for group in sys.argv[1:] or GROUPS:
        for case in GROUPS[group]():
            repeats = 1 if case.tolerance and len(case.sizes) > 200_000 else 3
            best, makespan = seconds(case, repeats)
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            ends = f"ends {makespan:.6g} s ({makespan / at_least(case) - 1:.2%} above its busiest link)"
            print(f"{case.name:40} {len(case.sizes):9,} flows {best:9.3f} s  {ends} {memory} MB", flush=True)


if __name__ == "__main__":
    main()
