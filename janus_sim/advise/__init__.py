"""Which paradigm for this model on this cluster, how sure that is, and where the answer flips."""

from __future__ import annotations

from janus_sim.advise.advice import BOTH, CLOSE, advise
from janus_sim.advise.crossover import Crossover
from janus_sim.advise.origins import Constant
from janus_sim.advise.runner import EXPERTS, OTHERS, TOKENS
from janus_sim.advise.values import Advice, Fit, LayerAdvice, Other

__all__ = [
    "BOTH",
    "CLOSE",
    "EXPERTS",
    "OTHERS",
    "TOKENS",
    "Advice",
    "Constant",
    "Crossover",
    "Fit",
    "LayerAdvice",
    "Other",
    "advise",
]
