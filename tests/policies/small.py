"""Small clusters and models for stories about policies, and what their runs moved."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from janus_sim.policies import Policy
from janus_sim.testing import Rehearsal, Sent, rehearse_on
from janus_sim.topology import Topology

#: Name -> (topology, machines, GPUs a machine, GPUs a PCIe switch).
CLUSTERS: dict[str, tuple[Any, int, int, int]] = {
    "two_gpus": ("two_gpus", 2, 1, 1),
    "2 x 2": ({"base": "two_gpus", "machine": {"gpus": {"count": 2}}}, 2, 2, 2),
    "a100_2x8": ("a100_2x8", 2, 8, 2),
}
TOKENS, TOP_K, HIDDEN, WIDTH = 256, 2, 256, 2  # of a rank; a row has HIDDEN elements of WIDTH bytes
MODEL: dict[str, Any] = {
    "layers": 4,
    "moe_layers": "every 2",
    "experts_per_rank": 1,
    "top_k": TOP_K,
    "hidden": HIDDEN,
    "ffn": {"width": 4 * HIDDEN},
    "heads": 4,
    "vocabulary": 1000,
}
LAYERS = 2  # with experts


def run(
    policy: Policy,
    cluster: str = "a100_2x8",
    *,
    model: dict[str, Any] | None = None,
    steps: int = 1,
    **workload: Any,
) -> Rehearsal:
    """Run a policy on one of the clusters; balanced and drop-less unless `workload` says otherwise."""
    about = {"precision": "fp16", "micro_batch_size": 4, "seq_length": 64, **workload}
    about["model"] = {**MODEL, **(model or {})}
    return rehearse_on(Topology.load(CLUSTERS[cluster][0]), about, policy, steps=steps, name=cluster)


def weights(one: Rehearsal) -> int:
    """Bytes of an expert, which are those of its gradient."""
    visit = one.visits("forward")[0]
    assert visit.weight_bytes == visit.gradient_bytes
    return visit.weight_bytes


def crossed(one: Rehearsal) -> int:
    """Bytes of experts and tokens that left machines."""
    return carried(one, lambda link: link.crosses)


def carried(one: Rehearsal, which: Callable[[Any], bool]) -> int:
    """Bytes of experts and tokens that the links of a kind carried."""
    links = one.cluster.topology.links
    return sum(int(one.cluster.fabric.carried["expert"][link.index]) for link in links if which(link))


def uplink(one: Rehearsal, way: str) -> int:
    """Bytes of experts that went up to, or down from, host memory over the PCIe uplinks."""
    return carried(one, lambda link: link.kind == "uplink" and link.name.endswith(way))


def fetches(one: Rehearsal) -> list[Sent]:
    """Transfers of weights."""
    return [sent for sent in one.sent if re.search(r"\bexpert \d", sent.label)]


def gradients(one: Rehearsal) -> list[Sent]:
    """Transfers of gradients."""
    return [sent for sent in one.sent if sent.label.startswith("gradient")]


def expert_of(sent: Sent) -> int:
    """Which expert it carries."""
    found = re.search(r"(?:expert|gradient) (\d+)", sent.label)
    assert found
    return int(found[1])
