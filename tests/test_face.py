"""The face of the package: these names, no others, and nothing heavy before they are used."""

from __future__ import annotations

import subprocess
import sys

import janus_sim

FACE = """
    simulate sweep open_results Scenario Experiment Result Topology Workload RoutingTrace Policy Modifier
    POLICIES Schedule SCHEDULES Pass Plan Outcome Copies MoELayer RoutedLayer Gpu Steps JanusSimError
""".split()  # noqa: SIM905


def test_the_face_is_these_names() -> None:
    assert sorted(janus_sim.__all__) == sorted(FACE)
    assert sorted(janus_sim._HOMES) == sorted(FACE)


def test_every_name_can_be_had() -> None:
    for name in FACE:
        assert getattr(janus_sim, name) is not None
    assert set(FACE) <= set(dir(janus_sim))


def test_simulate_and_sweep_are_functions_even_after_their_modules_are_imported() -> None:
    code = (
        "import janus_sim.sweep, janus_sim.simulate, janus_sim;"
        "assert callable(janus_sim.sweep) and callable(janus_sim.simulate);"
        "from janus_sim import simulate, sweep; assert callable(sweep) and callable(simulate)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_import_brings_nothing_heavy() -> None:
    heavy = [
        "pandas",
        "scipy",
        "matplotlib",
        "numba",
        "numpy",
        "networkx",
        "simpy",
        "pydantic",
        "yaml",
        "typer",
    ]
    code = f"import sys, janus_sim; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
