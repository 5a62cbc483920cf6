"""All policies answer one contract, each with its switches; and each clause catches who breaks it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from janus_sim.policies import (
    POLICIES,
    DataCentric,
    ExpertCentric,
    Fsdp,
    Janus,
    LeastLoaded,
    NodeLimited,
    Pipelined,
    Policy,
    Replicate,
)
from janus_sim.testing import CASES, CLAUSES, COMPARISONS, Rehearsal, check_policy, rehearse
from janus_sim.testing.check import more_bandwidth_is_not_slower, prefetch_does_not_see_the_gate, same_again
from janus_sim.testing.clauses import (
    bytes_agree,
    critical_path_adds_up,
    every_credit_back,
    every_gradient_home_once,
    no_all_to_all_beats_its_port,
    no_expert_runs_before_it_came,
    nothing_in_flight,
    same_useful_flops,
)
from tests.policies import broken

SMALL = ("two GPUs, skewed, two micro-batches", "2 x 8, skewed, two experts a rank")
ALONE = ("two GPUs", "2 x 8, balanced")

PLAIN: dict[str, Policy] = {
    "expert_centric": ExpertCentric(),
    "data_centric": DataCentric(),
    "data_centric, nothing on": DataCentric(
        hierarchical=False, order="plain", pcie_split=False, prefetch=False
    ),
    "janus by traffic": Janus(),
    "pipelined": Pipelined(inner=ExpertCentric()),
    "node_limited": NodeLimited(),
    "fsdp": Fsdp(),
    "replicate": Replicate(),
    "least_loaded": LeastLoaded(piece=1, threshold=1.0),
}
SWITCHED: dict[str, Policy] = {
    "not hierarchical": DataCentric(hierarchical=False),
    "order plain": DataCentric(order="plain"),
    "no pcie_split": DataCentric(pcie_split=False),
    "no prefetch": DataCentric(prefetch=False),
    "credits 1, in_flight 1": DataCentric(credits=1, in_flight=1),
    "credits 1, no prefetch": DataCentric(credits=1, prefetch=False),
    "credits 2": DataCentric(credits=2),
    "credits 4": DataCentric(credits=4),
    "cache gpu": DataCentric(cache="gpu"),
    "backward host": DataCentric(backward_from="host"),
    "backward refetch, credits 2": DataCentric(backward_from="refetch", credits=2),
    "reduce host": DataCentric(reduce="host"),
    "janus, one layer chosen": Janus(chosen=(0,)),
    "pipelined around data_centric": Pipelined(inner=DataCentric()),
    "pipelined around janus": Pipelined(inner=Janus(threshold=0.1), chunks=3),
    "fsdp, nothing ahead": Fsdp(prefetch=0),
    "fsdp, two ahead, in two levels": Fsdp(prefetch=2, hierarchical=True),
    "node_limited without fp8": NodeLimited(fp8=False, sms=8),
    "pipelined around node_limited": Pipelined(inner=NodeLimited()),
    "janus around node_limited": Janus(tokens=NodeLimited(), threshold=0.5),
    "janus around pipelined": Janus(tokens=Pipelined(inner=ExpertCentric()), chosen=()),
    "janus around replicate": Janus(tokens=Replicate(), chosen=()),
    "replicate around node_limited": Replicate(inner=NodeLimited()),
    "replicate around pipelined": Replicate(inner=Pipelined(inner=ExpertCentric()), slots_a_rank=1),
    "least_loaded as it is": LeastLoaded(),
    "replicate, a bound": Replicate(oracle=True),
    "least_loaded, a bound": LeastLoaded(piece=1, threshold=1.0, oracle=True),
    "janus by traffic, a bound": Janus(oracle=True, threshold=0.1),
}


def test_every_policy_is_checked() -> None:
    assert {type(policy) for policy in PLAIN.values()} == set(POLICIES.values())


@pytest.mark.parametrize("policy", PLAIN.values(), ids=PLAIN.keys())
def test_every_policy_keeps_the_contract(policy: Policy) -> None:
    check_policy(policy)


@pytest.mark.parametrize("policy", SWITCHED.values(), ids=SWITCHED.keys())
def test_every_switch_keeps_the_contract(policy: Policy) -> None:
    check_policy(policy, cases=SMALL)


def test_trials_keep_the_contract() -> None:
    check_policy(Pipelined(inner=Janus(by="simulated")), cases=ALONE[:1])
    check_policy(Janus(by="simulated"), cases=ALONE[1:])


def case_of(policy: Policy, case: str = "2 x 8, skewed, two experts a rank") -> Rehearsal:
    return rehearse(policy, case)


@pytest.mark.parametrize(
    ("clause", "policy", "complaint"),
    [
        (same_useful_flops, broken.DropsAnExpert(), "useful FLOPs, not"),
        (same_useful_flops, broken.RunsTwice(), "useful FLOPs, not"),
        (every_gradient_home_once, broken.RunsTwice(), "expert 0 weights"),
        (every_gradient_home_once, broken.SendsTwice(), "sent .* bytes, not"),
        (every_credit_back, broken.LeaksACredit(), "1 credits are out at"),
        (bytes_agree, broken.SendsUncounted(), "the network carried other bytes"),
        (critical_path_adds_up, broken.SleepsUnseen(), "'dispatch' .* does not begin when its cause ends"),
        (no_expert_runs_before_it_came, broken.Everywhere(), "ran on rank .* before it came"),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_a_clause_catches_who_breaks_it(clause: Any, policy: Policy, complaint: str) -> None:
    clause(case_of(ExpertCentric()))
    with pytest.raises(AssertionError, match=complaint):
        clause(case_of(policy))


@pytest.mark.parametrize(("how", "complaint"), broken.WAYS.items())
def test_a_gradient_that_goes_astray_is_caught(how: str, complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        every_gradient_home_once(case_of(broken.SendsWrongly(how=how)))


def test_replicas_that_stay_apart_are_caught() -> None:
    with pytest.raises(AssertionError, match="summed 0 times"):
        every_gradient_home_once(case_of(broken.NoReplicas(), "2 x 8, two groups of experts"))


def test_a_comparison_catches_who_breaks_it() -> None:
    moody, peeks = broken.Moody(), broken.Peeks()
    with pytest.raises(AssertionError, match="differs from run to run"):
        same_again(moody, case_of(moody, "two GPUs"))
    with pytest.raises(AssertionError, match="what the gates will choose"):
        prefetch_does_not_see_the_gate(peeks, case_of(peeks, "two GPUs"))
    with pytest.raises(AssertionError, match="with twice the bandwidth"):
        more_bandwidth_is_not_slower(broken.HatesBandwidth())


def test_a_flow_that_is_left_over_is_caught() -> None:
    """No policy can do that: a step lasts until nothing is in flight. So the network is tampered with."""
    run = case_of(ExpertCentric(), "two GPUs")
    nothing_in_flight(run)
    run.cluster.flows.add(np.array([[0]], dtype=np.int32), np.array([1e9]))
    with pytest.raises(AssertionError, match="1 flows are left"):
        nothing_in_flight(run)


@pytest.mark.parametrize(("column", "who"), [("far_bytes", "machine"), ("bytes", "rank")])
def test_an_all_to_all_that_beats_its_port_is_caught(column: str, who: str) -> None:
    """Nor that: the network shares out what there is. So the spans are tampered with."""
    run = case_of(ExpertCentric(), "2 x 8, balanced")
    no_all_to_all_beats_its_port(run)
    lies = {**run.spans, column: run.spans[column] * 1000}
    told = SimpleNamespace(name=run.name, cluster=run.cluster, spans=lies)
    with pytest.raises(AssertionError, match=f"{who} 0 took"):
        no_all_to_all_beats_its_port(told)  # type: ignore[arg-type]


def test_the_whole_check_catches_them_too_and_names_the_case() -> None:
    with pytest.raises(AssertionError, match="two GPUs: "):
        check_policy(broken.DropsAnExpert())
    with pytest.raises(AssertionError, match="two GPUs: "):
        check_policy(broken.SendsTwice())


def test_the_contract_can_be_looked_into() -> None:
    run = rehearse(ExpertCentric(), "two GPUs", steps=2)
    assert len(run.steps) == len(run.records) == 2
    assert not run.sent
    assert len(CLAUSES) + len(COMPARISONS) == 10
    assert set(SMALL + ALONE) <= set(CASES)
    assert replace(run, name="other").end == run.end > 0
