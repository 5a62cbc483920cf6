"""Draw the figure of experiments/tokens_or_experts.yaml, and tell where the lines cross.

janus-sim run tokens_or_experts
python benchmarks/tokens_or_experts.py results/tokens_or_experts docs/images/tokens_or_experts
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from janus_sim.results.figures import write
from janus_sim.results.figures_crossing import crossing, crossings

SKEW = "workload.routing.max_over_mean"
NAMES = {
    "flat": "flat All-to-All",
    "deepep_bf16": "DeepEP, bf16",
    "deepep (lossy)": "DeepEP, fp8",
    "replicate": "UltraEP",
    "least_loaded": "LLEP",
    "fsdp": "FSDP",
    "janus": "Janus (host)",
    "janus_gpu": "Janus (GPU)",
}
AGAINST = "janus_gpu"
#: With one GPU of a group in each machine UltraEP has no mate to replicate to.
WORKLOADS = {
    "deepseek_v3_layer": ("DeepSeek-V3: 256 experts, top-8 on 4 machines, EP 64", ()),
    "mixtral_8x7b_layer": ("Mixtral 8x7B: 8 experts, top-2, EP 8 across machines", ("replicate",)),
}
ROWS = (
    ("forward_machine_bytes_per_layer", "leaving a machine,\nforward, balanced [GB]", 1.0),
    ("step_time_s", "a step of the layer,\nbalanced [ms]", 1.0),
    ("step_time_s", "a step of the layer, busiest\nexpert 3 x the mean [ms]", 3.0),
)
FINDING = (
    "Tokens should travel up to about 20k of them a GPU for DeepSeek-V3, up to 30k for Mixtral; with skew "
    "up to 14k and 9k. Above, experts that are pulled into GPU memory are faster"
)


def tell(table: pd.DataFrame) -> None:
    """Print where each line crosses those of Janus, for bytes and for time."""
    table = table.assign(tokens=(table["tokens_per_s_per_gpu"] * table["step_time_s"]).round())
    for (workload, skew), rows in table.groupby(["workload", SKEW]):
        for column in ("forward_machine_bytes_per_layer", "step_time_s"):
            lines = rows.pivot_table(index="tokens", columns="policy", values=column)
            x = lines.index.to_numpy(float)
            for policy in NAMES:
                for janus in ("janus", AGAINST):
                    found = crossings(x, lines[policy].to_numpy(float), lines[janus].to_numpy(float))
                    if places := ", ".join(f"{at:,.0f}" for at, _ in found):
                        print(f"{workload} skew {skew} {column}: {policy} crosses {janus} at {places} tokens")


def main() -> None:
    """Read the results, print the crossings, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("figure", type=Path, help="path without ending")
    options = parser.parse_args()
    table = pd.read_csv(options.results / "summary.csv")
    tell(table)
    figure = crossing(
        table, skew=SKEW, rows=ROWS, against=AGAINST, names=NAMES, workloads=WORKLOADS, finding=FINDING
    )
    print(*write(figure, options.figure), sep="\n")


if __name__ == "__main__":
    main()
