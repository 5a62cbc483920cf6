"""What it costs to simulate one step of 12 layers on 32 GPUs; to hold: 2 s, and 300 MB above the imports.

Run with ``make bench``. The batch is small, since the cost of a simulation does not depend on it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from janus_sim import Scenario, simulate

POLICIES = ["expert_centric", "data_centric", "janus", "pipelined"]

MEMORY = """
import re, sys
from pathlib import Path
import numba, pandas, networkx, simpy
import janus_sim.network.flows, janus_sim.results.result, janus_sim.simulate
import janus_sim.workload.workload, janus_sim.topology
from benchmarks.bench_step import scenario
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024
before = peak()
from janus_sim import simulate
result = simulate(scenario(sys.argv[1]))
print(peak() - before)
"""


def scenario(policy: str) -> Scenario:
    """One step of the policy, all its strategies on."""
    knobs = {"pipelined": {"chunks": 2, "inner": {"expert_centric": {}}}, "janus": {"threshold": 0.0}}
    return Scenario(
        topology="a100_4x8",
        workload={"base": "moe_gpt", "micro_batch_size": 4},
        policy={"type": policy, **knobs.get(policy, {})},
    )


@pytest.mark.parametrize("policy", POLICIES)
def test_one_step_on_32_gpus(policy: str, benchmark: BenchmarkFixture) -> None:
    result = benchmark.pedantic(simulate, (scenario(policy),), rounds=3, warmup_rounds=1)
    benchmark.extra_info["spans"] = len(result.spans)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
@pytest.mark.parametrize("policy", POLICIES)
def test_memory_above_the_imports(policy: str, benchmark: BenchmarkFixture) -> None:
    def measure() -> float:
        done = subprocess.run(
            [sys.executable, "-c", MEMORY, policy], check=True, capture_output=True, text=True
        )
        return float(done.stdout)

    megabytes = benchmark.pedantic(measure, rounds=1)
    benchmark.extra_info["megabytes"] = megabytes
    print(f"{policy}: {megabytes:.0f} MB above the imports")
