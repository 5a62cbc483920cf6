"""How cost grows, and what a series costs: `python benchmarks/network_growth.py [flows | gpus | series]`."""

from __future__ import annotations

import sys
import time

import numpy as np
from network_cases import Case, random_case, tree_all_to_all

from janus_sim.network import Flows


def seconds(case: Case, bins: int = 0) -> float:
    """Return the best CPU seconds of three runs."""
    best = float("inf")
    for _ in range(3):
        begin = time.process_time()
        flows = Flows(case.capacity, bins=bins)
        flows.add(case.routes, case.sizes)
        flows.advance(np.inf)
        best = min(best, time.process_time() - begin)
    return best


def exponent(counts: list[int], costs: list[float]) -> float:
    """Return the slope of the line through the logarithms."""
    return float(np.polyfit(np.log(counts), np.log(costs), 1)[0])


def flows() -> None:
    """Grow the number of flows on a network that stays as it is."""
    counts = [1000, 3000, 10_000, 30_000]
    for kind, world in (("gpu", 64), ("gpu", 256), ("gpu", 1024), ("node", 256)):
        costs = [seconds(random_case(kind, world, count)) for count in counts]
        told = "  ".join(f"{count:,}: {cost:.4f} s" for count, cost in zip(counts, costs, strict=True))
        print(f"{kind} {world:5}  {told}  flows ^ {exponent(counts, costs):.2f}", flush=True)


def gpus() -> None:
    """Grow the network under 16 flows a GPU, and under 10,000 flows in all."""
    worlds = [64, 128, 256, 512, 1024]
    for name, count in (("16 flows a GPU", lambda world: 16 * world), ("10,000 flows", lambda _: 10_000)):
        costs = [seconds(random_case("gpu", world, count(world))) for world in worlds]
        told = "  ".join(f"{world}: {cost:.4f} s" for world, cost in zip(worlds, costs, strict=True))
        print(f"{name}  {told}  GPUs ^ {exponent(worlds, costs):.2f}", flush=True)


def series() -> None:
    """Keep a series of 200 bins of what each link carries."""
    for case in (random_case("gpu", 256, 3000), random_case("node", 256, 3000), tree_all_to_all()):
        plain, binned = seconds(case), seconds(case, 200)
        print(
            f"{case.name:40} {plain:.4f} s, with a series {binned:.4f} s: {binned / plain - 1:+.0%}",
            flush=True,
        )


if __name__ == "__main__":
    Flows([1.0]).add([[0]], [1.0])
    for part in sys.argv[1:] or ["flows", "gpus", "series"]:
        {"flows": flows, "gpus": gpus, "series": series}[part]()
