"""Two machines of two GPUs, four experts, eight tokens a GPU: a case whose rows and bytes are written out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from janus_sim.policies import Policy
from janus_sim.testing import Rehearsal, rehearse_on
from janus_sim.topology import Topology

#: Rows of each GPU for each expert; the experts live at GPUs 0 to 3 and have 20, 2, 6 and 4 rows.
ROWS = ((4, 0, 2, 2), (6, 2, 0, 0), (8, 0, 0, 0), (2, 0, 4, 2))
ROW = 64 * 2  # bytes of a row, either way: 64 elements of two bytes
COUNTS = 4 * 4 * 8  # bytes of all counts, of which each GPU has a quarter
MODEL: dict[str, Any] = {
    "layers": 1, "moe_layers": "all", "experts": 4, "top_k": 1, "hidden": 64, "ffn": {"width": 256},
    "heads": 4, "vocabulary": 100, "bias": False,
}  # fmt: skip
EXPERT = 2 * 64 * 256 * 2  # bytes of an expert, and of its gradient


def step(policy: Policy, folder: Path) -> Rehearsal:
    """Run one step, forward and backward through one MoE layer."""
    lines = ["step,micro_batch,layer,rank,expert,count"]
    lines += [
        f"0,0,0,{rank},{expert},{many}" for rank, row in enumerate(ROWS) for expert, many in enumerate(row)
    ]
    (folder / "rows.csv").write_text("\n".join(lines) + "\n")
    about = {
        "model": MODEL, "precision": "fp16", "micro_batch_size": 1, "seq_length": 8,
        "routing": {"trace": str(folder / "rows.csv")},
    }  # fmt: skip
    topology = Topology.load({"base": "two_gpus", "machine": {"gpus": {"count": 2}}})
    return rehearse_on(topology, about, policy, name="four")


def all_to_all(one: Rehearsal) -> dict[str, tuple[list[int], int]]:
    """Rows that each GPU sends in each All-to-All, and those of them that leave machines."""
    spans, found = one.spans, {}
    for label in ("dispatch", "combine", "combine backward", "dispatch backward"):
        mine = np.flatnonzero((spans["kind"] == "all_to_all") & (spans["label"] == label))
        mine = mine[np.argsort(spans["rank"][mine])]
        sizes, far = spans["bytes"][mine], spans["far_bytes"][mine]
        assert not (sizes % ROW).any()
        found[label] = ((sizes // ROW).tolist(), int(far.sum()) // ROW)
    return found
