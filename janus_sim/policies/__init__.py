"""Policies: how tokens and experts meet in one MoE layer, on one GPU."""

from __future__ import annotations

from janus_sim.policies.base import Deciding, Outcome, Policy
from janus_sim.policies.data_centric import DataCentric
from janus_sim.policies.expert_centric import ExpertCentric
from janus_sim.policies.fsdp import Fsdp
from janus_sim.policies.janus import Janus
from janus_sim.policies.least_loaded import LeastLoaded
from janus_sim.policies.modifier import Modifier
from janus_sim.policies.node_limited import NodeLimited
from janus_sim.policies.pipelined import Pipelined
from janus_sim.policies.replicate import Replicate

#: Every policy by the name that files use.
POLICIES: dict[str, type[Policy]] = {
    "expert_centric": ExpertCentric,
    "data_centric": DataCentric,
    "janus": Janus,
    "pipelined": Pipelined,
    "node_limited": NodeLimited,
    "fsdp": Fsdp,
    "replicate": Replicate,
    "least_loaded": LeastLoaded,
}

__all__ = [
    "POLICIES",
    "DataCentric",
    "Deciding",
    "ExpertCentric",
    "Fsdp",
    "Janus",
    "LeastLoaded",
    "Modifier",
    "NodeLimited",
    "Outcome",
    "Pipelined",
    "Policy",
    "Replicate",
]
