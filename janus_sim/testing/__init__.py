"""The contract that every policy answers, for authors of policies: `check_policy(MyPolicy())`.

Clauses look at one small run each (`CLAUSES`), or compare several (`COMPARISONS`). Where experts travel they
go by labels: kernels of an expert begin with "expert E", those of its weight gradient are "expert E weights",
transfers that bring it say "expert E" somewhere, and those that carry its gradient begin with "gradient E".
"""

from __future__ import annotations

from janus_sim.testing.check import COMPARISONS, check_policy
from janus_sim.testing.clauses import CLAUSES, expected_flops
from janus_sim.testing.rehearsal import CASES, Rehearsal, Sent, rehearse, rehearse_on

__all__ = [
    "CASES",
    "CLAUSES",
    "COMPARISONS",
    "Rehearsal",
    "Sent",
    "check_policy",
    "expected_flops",
    "rehearse",
    "rehearse_on",
]
