"""How sure the answer is: a few draws of the constants that are uncertain on any cluster."""

from __future__ import annotations

from collections.abc import Callable

from janus_sim.advise.crossover import with_links
from janus_sim.files import layered
from janus_sim.ranges import Range
from janus_sim.scenario import Scenario
from janus_sim.topology import Topology
from janus_sim.uncertainty import changed, latin_hypercube

DRAWS, SEED = 8, 0

#: The ranges of `docs/model.md` that hold on any cluster.
RANGES = (
    Range("workload.training_slowdown", "GEMM time", "uniform", (0.95, 1.25)),
    Range("topology.communication.all_reduce_efficiency", "all-reduce efficiency", "uniform", (0.60, 0.95)),
)
MACHINE = (
    Range("topology.machine.gpus.hbm_efficiency", "HBM efficiency", "uniform", (0.70, 0.88)),
    Range("topology.machine.host.launch", "kernel launch", "uniform", (3e-6, 8e-6), "s"),
    Range("topology.machine.host.gap", "host gap", "uniform", (0.0, 30e-6), "s"),
)
#: Rates of links over those of the file: the A100's ranges over its values.
SCALES = {
    "nic": ("*.nic*", 0.72 / 0.89, 0.92 / 0.89),
    "uplink": ("*.uplink*", 20 / 25, 26 / 25),
    "nvlink": ("*.nvlink*", 180 / 200, 250 / 200),
}
#: Start times over those of the file.
STARTS = {"all_to_all": (100 / 150, 250 / 150), "pull": (20 / 50, 200 / 50)}


def draws_of(base: Scenario, topology: Topology) -> tuple[Scenario, ...]:
    """Return the scenario under `DRAWS` draws; what the topology lacks is not drawn."""
    data = layered("topologies", base.topology, base.beside)[0]
    kinds = {link.kind for link in topology.links}
    ranges = [*RANGES, *(MACHINE if "mixed" not in data else ())]
    scaled = [scale for kind, scale in SCALES.items() if kind in kinds]
    starts = [
        (word, way, len(lines) - 1, lines[-1]["start"])
        for word in STARTS
        for way, lines in data.get("transfers", {}).get(word, {}).items()
        if lines
    ]
    rows = latin_hypercube(len(ranges) + len(scaled) + len(STARTS), DRAWS, SEED)
    drawn = []
    for row in rows:
        values = dict(part for one, q in zip(ranges, row, strict=False) for part in one.values(q))
        at = dict(zip(STARTS, row[len(ranges) + len(scaled) :], strict=True))
        for word, way, index, start in starts:
            values[f"topology.transfers.{word}.{way}.{index}.start"] = _scaled(start, STARTS[word], at[word])
        links = {
            pattern: low + q * (high - low)
            for (pattern, low, high), q in zip(scaled, row[len(ranges) :], strict=False)
        }
        drawn.append(with_links(changed(base, values, base.name), links))
    return tuple(drawn)


def _scaled(start: object, ends: tuple[float, float], quantile: float) -> str:
    from janus_sim.units import parse_time

    low, high = ends
    return f"{parse_time(start) * (low + quantile * (high - low))!r} s"


def interval(
    base: Scenario, topology: Topology, ratio: Callable[[Scenario], Callable[[], float]]
) -> tuple[float, float]:
    """Return the least and the most speedup of data-centric over the draws."""
    found = [wait() for wait in [ratio(scenario) for scenario in draws_of(base, topology)]]
    return min(found), max(found)
