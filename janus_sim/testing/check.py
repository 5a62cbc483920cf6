"""The contract as a whole, and what can only be said of several runs."""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np

from janus_sim.policies.base import Policy
from janus_sim.testing.clauses import CLAUSES
from janus_sim.testing.rehearsal import CASES, Rehearsal, rehearse, rehearse_on
from janus_sim.topology import Topology


def check_policy(policy: Policy, *, cases: Collection[str] | None = None) -> None:
    """Check that a policy keeps the contract; call it in a test of yours.

    Parameters
    ----------
    policy : Policy
    cases : collection of str, optional
        Names of `CASES`; all by default.

    Raises
    ------
    AssertionError
        Names the clause, the case and the figures.
    DeadlockError, PolicyError
        See `janus_sim.simulate`.

    Examples
    --------
    >>> from janus_sim.policies import ExpertCentric
    >>> check_policy(ExpertCentric(), cases=["two GPUs"])
    """
    for case in CASES if cases is None else cases:
        run = rehearse(policy, case)
        for clause in CLAUSES:
            clause(run)
        for comparison in COMPARISONS:
            comparison(policy, run)
    more_bandwidth_is_not_slower(policy)


def same_again(policy: Policy, run: Rehearsal) -> None:
    """The same run gives the same spans, to the last bit."""
    again = rehearse(policy, run.name).spans
    for name, column in run.spans.items():
        assert np.array_equal(column, again[name]), f"{run.name}: {name} differs from run to run"


def prefetch_does_not_see_the_gate(policy: Policy, run: Rehearsal) -> None:
    """What runs beside the step moves the same bytes whatever the gates will choose, but for a bound."""
    if policy.bound:
        return
    other = rehearse(policy, run.name, changes={"routing": {"kind": "zipf", "exponent": 2.0, "seed": 1}})
    assert _beside(run) == _beside(other), (
        f"{run.name}: what is fetched beside the step depends on what the gates will choose"
    )


def _beside(run: Rehearsal) -> list[tuple[object, ...]]:
    columns, beside = ("rank", "machine", "layer", "label", "bytes"), run.spans["lane"] == "beside"
    return sorted(zip(*(run.spans[name][beside].tolist() for name in columns), strict=True))


COMPARISONS: tuple[Callable[[Policy, Rehearsal], None], ...] = (same_again, prefetch_does_not_see_the_gate)


def more_bandwidth_is_not_slower(policy: Policy) -> None:
    """On two GPUs with one MoE layer, doubling all bandwidths does not make the step longer."""
    name, about = CASES["two GPUs"]
    slow = rehearse_on(Topology.load(name), about, policy)
    fast = rehearse_on(
        Topology.load({"base": name, "overrides": [{"links": "*", "scale": 2.0}]}), about, policy
    )
    assert fast.end <= slow.end * (1 + 1e-9), f"{fast.end} s with twice the bandwidth, {slow.end} s without"
