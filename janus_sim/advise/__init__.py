"""Which paradigm for this model on this cluster, how sure that is, and where the answer flips."""

from __future__ import annotations

from janus_sim.advise.advice import BOTH, CLOSE, Advice, Fit, LayerAdvice, advise
from janus_sim.advise.crossover import Crossover
from janus_sim.advise.origins import Constant
from janus_sim.advise.runner import EXPERTS, TOKENS

__all__ = [
    "BOTH",
    "CLOSE",
    "EXPERTS",
    "TOKENS",
    "Advice",
    "Constant",
    "Crossover",
    "Fit",
    "LayerAdvice",
    "advise",
]
