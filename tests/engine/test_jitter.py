"""Ranks begin with a seeded delay, if the machine says so."""

from __future__ import annotations

from janus_sim.policies import ExpertCentric
from janus_sim.simulate import run
from janus_sim.testing import CASES
from janus_sim.topology import Topology
from janus_sim.workload.workload import Workload


def starts(seed: int, jitter: str = "1 ms") -> list[float]:
    where = Topology.load({"base": "two_gpus", "machine": {"host": {"jitter": jitter}}})
    workload = Workload.load(CASES["two GPUs"][1], world=2)
    spans = run(where, workload, ExpertCentric(), steps=2, seed=seed).spans
    return [float(span) for span in (spans["end"] - spans["begin"])[spans["label"] == "start jitter"]]


def test_each_rank_and_step_has_its_own_delay_and_the_seed_says_which() -> None:
    one = starts(1)
    assert len(set(one)) == 4
    assert all(0 < delay < 1e-3 for delay in one)
    assert one == starts(1)
    assert not set(one) & set(starts(2))


def test_without_jitter_nobody_waits() -> None:
    assert starts(1, "0 s") == []
