"""The solver alone: `python benchmarks/bench_network.py [GROUP ...]`; CPU seconds, the best of 3."""

from __future__ import annotations

import resource
import sys
import time

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


def main() -> None:
    """Measure the groups named, or all."""
    finish_times([1.0], [[0]], [1.0])
    for group in sys.argv[1:] or GROUPS:
        for case in GROUPS[group]():
            repeats = 3 if len(case.sizes) < 200_000 else 1
            best, makespan = seconds(case, repeats)
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            print(
                f"{case.name:40} {len(case.sizes):9,} flows {best:9.3f} s  ends {makespan:.6g} s {memory} MB",
                flush=True,
            )


if __name__ == "__main__":
    main()
