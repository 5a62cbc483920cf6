"""`janus-sim new` writes what runs as it stands; `janus-sim schema` prints JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.cli.conftest import Run


def test_a_new_experiment_is_a_valid_one(janus_sim: Run, tmp_path: Path) -> None:
    assert janus_sim("new", "experiment", "lab").stdout == "lab.yaml\n"
    done = janus_sim("run", "lab.yaml", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "2 scenarios" in done.stdout
    again = janus_sim("new", "experiment", "lab")
    assert again.returncode == 2
    assert "is there already" in again.stderr


def test_a_new_policy_runs_and_its_test_passes(janus_sim: Run, tmp_path: Path, tiny: Path) -> None:
    assert janus_sim("new", "policy", "my_policy").stdout == "my_policy.py\ntest_my_policy.py\n"
    tiny.write_text(tiny.read_text() + "  mine: {type: 'my_policy:MyPolicy', patience: 1 ms}\n")
    done = janus_sim("run", tiny, "--no-figures", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[-1]["policy"] == "mine"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_my_policy.py"]
    tested = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stdout


def test_names_that_are_none_are_refused(janus_sim: Run) -> None:
    for kind, name in (("policy", "My-Policy"), ("policy", "class"), ("experiment", "../lab")):
        done = janus_sim("new", kind, name)
        assert done.returncode == 2
        assert "is no name" in done.stderr


def test_a_schema_is_json(janus_sim: Run) -> None:
    assert json.loads(janus_sim("schema", "experiment").stdout)["title"] == "janus-sim experiment"
    assert janus_sim("schema", "recipe").returncode == 2
