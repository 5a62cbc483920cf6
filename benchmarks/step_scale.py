"""What one 12-layer step of many GPUs costs: CPU seconds and memory of a process of its own.

`python benchmarks/step_scale.py data_centric 256 [balanced] [alike] [generators] [ep=64] [tolerance=2e-3]`:
MoE-GPT's shape
(6 MoE layers, one expert a rank, top-4, 16,384 tokens a rank), drop-less, on A100 machines of 8. The routing
is Dirichlet with max / mean 2, unless balanced; `generators` leaves the compiled belt out. A small run comes
before, so that nothing is compiled in the time.
"""

from __future__ import annotations

import resource
import sys
import time
from typing import Any

from janus_sim.files import merge
from janus_sim.policies import POLICIES
from janus_sim.record import Record
from janus_sim.results.result import Result
from janus_sim.simulate import run
from janus_sim.step.alike import folded
from janus_sim.topology import Topology
from janus_sim.workload.workload import Workload


def step(policy: str, gpus: int, words: list[str]) -> Record:
    """Run one step and look at its summary."""
    routing = {"kind": "dirichlet", "max_over_mean": 2.0, "seed": 1}
    changes: dict[str, Any] = {"capacity_factor": None, "routing": "balanced"}
    if "balanced" not in words:
        changes["routing"] = routing
    given = dict(word.split("=") for word in words if "=" in word)
    if "ep" in given:
        changes["parallel"] = {"ep": int(given["ep"])}
    topology = Topology.load({"base": "a100", "machines": gpus // 8})
    workload = Workload.load(merge({"base": "moe_gpt"}, changes), world=gpus)
    chosen = POLICIES[policy]()
    if "alike" in words:
        topology = folded(topology, workload, chosen, 1)
    record = run(
        topology,
        workload,
        chosen,
        belt=False if "generators" in words else None,
        tolerance=float(given.get("tolerance", 0.0)),
    )
    Result(record).summary()
    return record


if __name__ == "__main__":
    policy, gpus, *words = sys.argv[1:]
    step(policy, 64, [word for word in words if not word.startswith("ep=")])
    before = time.process_time()
    record = step(policy, int(gpus), words)
    seconds, memory = time.process_time() - before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        *sys.argv[1:], f"{seconds:.1f} s CPU, {memory:.0f} MB, {len(record.spans['begin']):,} spans,", end=" "
    )
    print(f"a step of {record.steps[0].seconds * 1e3:.6f} ms")
