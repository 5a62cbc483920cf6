"""Makes docs/images/real_routing.png: a recorded trace against balanced routing, under two policies.

python docs/examples/real_routing_figure.py [TRACE... --workload W --topology T --steps N]

By default the trace of SmartMoE, looked for under $JANUS_SIM_DATA.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from janus_sim import Result, Scenario, simulate
from janus_sim.results import figures, figures_routing
from janus_sim.traces import read_traces

SMARTMOE = [f"routing/smartmoe/trace_mb0_iter{span}.npz" for span in ("0001-2491", "2501-5001")]


def run(policy: str, topology: str, workload: dict[str, object]) -> pd.DataFrame:
    """Return step_time_s and cross_machine_bytes of each step."""
    result: Result = simulate(Scenario(topology=topology, workload=workload, policy=policy))
    moved = result.layers.groupby("step")["expert_cross_machine_bytes"].sum()
    return pd.DataFrame(
        {"policy": policy, "step": moved.index, "step_time_s": result.steps["step_time_s"].to_numpy(),
         "cross_machine_bytes": moved.to_numpy()}
    )  # fmt: skip


def main() -> None:
    """Run four scenarios and draw them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("trace", nargs="*", default=SMARTMOE)
    parser.add_argument("--workload", default="smartmoe_gpt")
    parser.add_argument("--topology", default="a100_2x8")
    parser.add_argument("--out", default="docs/images/real_routing.png")
    parser.add_argument("--steps", type=int, default=6)
    asked = parser.parse_args()
    routing = {"trace": asked.trace, "iterations": asked.steps}
    tables, balanced = [], {}
    for policy in ("expert_centric", "data_centric"):
        tables.append(
            run(policy, asked.topology, {"base": asked.workload, "routing": routing, "steps": asked.steps})
        )
        even = run(policy, asked.topology, {"base": asked.workload, "routing": "balanced"})
        balanced[policy] = even[["step_time_s", "cross_machine_bytes"]].iloc[0].to_dict()
    table = pd.concat(tables, ignore_index=True)
    print(table.to_string(), balanced, flush=True)
    numbers = read_traces(asked.trace, spread=asked.steps, where="routing").info.steps
    figure = figures_routing.draw(table, balanced, numbers)
    print(figures.write(figure, Path(asked.out).with_suffix(""), forms=(".png",))[0])


if __name__ == "__main__":
    main()
