"""Draws of constants, and the shipped experiment that has them."""

from __future__ import annotations

import pandas as pd
import pytest

from janus_sim import Experiment
from janus_sim.errors import InputError
from janus_sim.ranges import Range, read_ranges
from janus_sim.results import tables
from janus_sim.uncertainty import DRAW, Draws, draws_of, latin_hypercube, plan, told


def test_each_kind_of_range_keeps_its_ends_and_its_middle() -> None:
    uniform = Range("a", "a", "uniform", (2.0, 4.0))
    assert [uniform.value(q) for q in (0.0, 0.5, 1.0)] == [2.0, 3.0, 4.0]
    log = Range("a", "a", "log_uniform", (1.0, 100.0))
    assert [log.value(q) for q in (0.0, 0.5, 1.0)] == pytest.approx([1.0, 10.0, 100.0])
    triangular = Range("a", "a", "triangular", (0.0, 1.0, 4.0))
    assert [triangular.value(q) for q in (0.0, 0.25, 1.0)] == pytest.approx([0.0, 1.0, 4.0])
    whole = Range("a", "a", "uniform", (0, 3))
    assert [whole.value(q) for q in (0.0, 0.24, 0.26, 0.99, 1.0)] == [0, 0, 1, 3, 3]
    words = Range("a", "a", "choice", ("eager", "fused"))
    assert [words.value(q) for q in (0.0, 0.49, 0.5, 1.0)] == ["eager", "eager", "fused", "fused"]


def test_draws_hang_on_the_seed_alone() -> None:
    assert latin_hypercube(3, 5, 1) == latin_hypercube(3, 5, 1) != latin_hypercube(3, 5, 2)


def test_the_headline_has_the_ranges_of_the_model() -> None:
    told = {drawn.name: drawn for drawn in read_ranges(Experiment.load("janus_uncertainty")).ranges}
    assert {name: drawn.ends for name, drawn in told.items()} == {
        "NIC efficiency": (0.72, 0.92),
        "PCIe uplink": (20e9, 26e9),
        "HBM efficiency": (0.70, 0.88),
        "GEMM time": (0.95, 1.25),
        "kernel launch": (3e-6, 8e-6),
        "All-to-All start": (100e-6, 250e-6),
        "NVLink All-to-All": (180e9, 250e9),
        "all-reduce efficiency": (0.60, 0.95),
        "pull latency": (20e-6, 200e-6),
        "host gap": (0.0, 30e-6),
        "SM tax": (0, 16),
        "kernels": ("eager", "fused"),
        "routing max/mean": (1.0, 1.3),
    }


def test_each_draw_of_the_headline_runs_the_eight_rows_under_both_paradigms() -> None:
    planned = plan(Experiment.load("janus_uncertainty"), 2)
    assert planned.per_draw == 8 * 2
    assert len(planned.scenarios) == 16 * 3
    first, drawn = planned.scenarios[0], planned.scenarios[16]
    assert first.build_topology().communication.sms["all_to_all"] == 16
    topology = drawn.build_topology()
    launch = topology.machines[0].host.launch
    quantile = planned.quantiles[0][[drawn.name for drawn in planned.ranges.ranges].index("kernel launch")]
    assert launch == pytest.approx(3e-6 + 5e-6 * quantile)
    assert 20e-6 <= topology.start("pull", "rdma", [1.0])[0][0] <= 200e-6
    assert drawn.topology_name == "a100_4x8"
    assert drawn.workload_spec().routing.kind == "dirichlet"


def test_values_of_other_policies_are_left_alone() -> None:
    experiment = Experiment(
        topology="two_gpus",
        workload="moe_bert",
        policies={"expert_centric": {}, "janus": {}},
        uncertainty={"policies.janus.threshold": (0.5, 1.5), "draws": 2},
    )
    planned = plan(experiment)
    assert "threshold" not in planned.scenarios[2].policy
    assert 0.5 <= planned.scenarios[3].policy["threshold"] <= 1.5


def test_a_value_is_drawn_once() -> None:
    launch = "topology.machine.host.launch"
    experiment = Experiment(
        topology="two_gpus",
        workload="moe_bert",
        policies={"janus": {}},
        uncertainty={
            launch: ("3 us", "8 us"),
            "workload.training_slowdown": {"uniform": (1.0, 1.2), "with": {launch: ("3 us", "8 us")}},
        },
    )
    with pytest.raises(InputError, match="is drawn twice"):
        read_ranges(experiment)


def test_ranges_are_told_apart_by_their_names() -> None:
    nics, uplink = "topology.machine.nics.efficiency", "topology.machine.pcie.uplink.efficiency"

    def block(written: object) -> Experiment:
        return Experiment(
            topology="two_gpus",
            workload="moe_bert",
            policies={"janus": {}},
            uncertainty={nics: (0.7, 0.9), uplink: written},
        )

    with pytest.raises(InputError, match='is called "efficiency" as another range is'):
        read_ranges(block((0.6, 0.9)))
    named = read_ranges(block({"uniform": (0.6, 0.9), "name": "uplink"}))
    assert [drawn.name for drawn in named.ranges] == ["efficiency", "uplink"]


def _swept(failed: int) -> tuple[Draws, pd.DataFrame]:
    """A plan of three draws of two policies, and a table in which one of its runs has failed."""
    experiment = Experiment(
        topology="two_gpus",
        workload="moe_bert",
        policies={"expert_centric": {}, "janus": {}},
        baseline="expert_centric",
        uncertainty={"topology.machine.host.launch": ("3 us", "8 us"), "draws": 3},
    )
    planned = plan(experiment)
    rows = [
        (scenario.described(), {"error": "broken"} if index == failed else {"step_time_s": 1.0 + index})
        for index, scenario in enumerate(planned.scenarios)
    ]
    return planned, tables.frame(rows)


def test_a_draw_in_which_a_run_failed_is_left_out() -> None:
    planned, table = _swept(failed=5)  # of draw 1
    draws = draws_of(planned, table)
    assert draws[DRAW].tolist() == [-1, -1, 0, 0, 2, 2]
    assert draws["step_time_s"].tolist() == [1.0, 2.0, 3.0, 4.0, 7.0, 8.0]
    assert draws["quantile: launch"].notna().tolist() == [False, False, True, True, True, True]


def test_without_the_constants_as_written_nothing_is_told() -> None:
    planned, table = _swept(failed=1)
    experiment = Experiment(topology="two_gpus", workload="moe_bert", policies={})
    with pytest.raises(InputError, match="too many runs failed to tell anything: broken"):
        told(planned, experiment, table)
