"""Where the constants of a cluster come from: measured and fitted, a data sheet, or our own reasoning [R]."""

from __future__ import annotations

from dataclasses import dataclass

from janus_sim.files import layered
from janus_sim.scenario import Scenario
from janus_sim.topology import Topology

CALIBRATED, SHEET, REASONED, YOURS = "calibrated", "data sheet", "reasoned [R]", "as your file says"


@dataclass(frozen=True)
class Constant:
    """A constant and where it comes from: calibrated, a data sheet, reasoned [R], or the user's file."""

    name: str
    origin: str
    words: str


#: Of the shipped machines; the files in topologies/ name each source.
LINKS = {
    "a100": (
        Constant("NVLink", CALIBRATED, "NCCL All-to-All on 8 GPUs"),
        Constant("NIC", CALIBRATED, "the profiler of a cluster of these machines"),
        Constant("PCIe lanes and uplinks", REASONED, "25 of 31.5 GB/s"),
        Constant("start of collectives", CALIBRATED, "lines fitted to NCCL, 4 KB to 1 GB"),
    ),
    "h100": (
        Constant("NVLink", CALIBRATED, "NCCL All-to-All on 8 GPUs"),
        Constant("NIC", CALIBRATED, "large All-to-Alls between two machines"),
        Constant("PCIe lanes and uplinks", REASONED, "twice the A100's"),
        Constant("start of collectives", CALIBRATED, "inside machines; between them as the A100's [R]"),
    ),
    "v100_2x8_pcie": (
        Constant("NIC", REASONED, "the A100's share of the line"),
        Constant("PCIe lanes and uplinks", REASONED, "the A100's share of the line"),
        Constant("start of collectives", REASONED, "as the A100's"),
    ),
}
ANYWHERE = (
    Constant("kernel launch, host gap", REASONED, "ranges 3 to 8 us and 0 to 30 us"),
    Constant("start of a pull", REASONED, "range 20 to 200 us"),
    Constant("all-reduce efficiency", REASONED, "range 0.60 to 0.95"),
    Constant("SMs held by collectives", REASONED, "a tax of 0 to 0.15"),
)


def constants_of(base: Scenario, topology: Topology) -> tuple[Constant, ...]:
    """Return the constants that the answer rests on, each with its origin."""
    kinds = {gpu.kind.name: gpu.kind for gpu in topology.gpus}
    precision = base.workload_spec().precision
    found: list[Constant] = []
    for name, kind in kinds.items():
        found.append(Constant(f"{name}: peak FLOP/s, HBM", SHEET, "the maker's"))
        fitted = "fitted to" in kind.source
        words = "fitted to measured bf16 products" if fitted else "the A100's fit, scaled by data sheets"
        found.append(Constant(f"{name}: matrix products", CALIBRATED if fitted else REASONED, words))
        if precision not in ("bf16", "fp16"):
            found.append(Constant(f"{name}: {precision} products", REASONED, "inferred from bf16's"))
    stems = [path.stem for path in layered("topologies", base.topology, base.beside)[1]]
    known = next((LINKS[stem] for stem in stems if stem in LINKS), None)
    return (*found, *(known or (Constant("links", YOURS, topology.source or "no source named"),)), *ANYWHERE)
