"""A grid: rows in order, speedups over the baseline of the same point, all mistakes first."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from janus_sim import Experiment, Scenario, open_results, sweep
from janus_sim.errors import InputError
from janus_sim.sweep import check, provenance


def test_each_row_is_compared_with_the_baseline_at_its_own_point(tiny: Path) -> None:
    table = sweep(tiny, ["workload.micro_batch_size=2,64", "policies.data_centric.credits=1,2"])
    assert table["scenario"].tolist()[:4] == [
        "expert_centric micro_batch_size=2",
        "data_centric micro_batch_size=2 credits=1",
        "janus micro_batch_size=2",
        "data_centric micro_batch_size=2 credits=2",
    ]
    base = table[table["policy"] == "expert_centric"].set_index("micro_batch_size")["step_time_s"]
    expected = [
        base[size] / seconds
        for size, seconds in zip(table["micro_batch_size"], table["step_time_s"], strict=True)
    ]
    assert table["speedup"].tolist() == expected


def test_without_a_baseline_there_is_no_speedup(tiny: Path) -> None:
    tiny.write_text(tiny.read_text().replace("baseline: expert_centric\n", ""))
    assert sweep(tiny, ["policies=janus"])["speedup"].isna().all()


def test_progress_is_told_after_each_run(tiny: Path) -> None:
    told: list[tuple[int, str]] = []
    sweep(tiny, progress=lambda done, scenario: told.append((done, scenario.name)))
    assert told == [(1, "expert_centric"), (2, "data_centric"), (3, "janus")]


def test_all_mistakes_of_all_scenarios_are_told_before_anything_runs(tiny: Path) -> None:
    started: list[str] = []
    with pytest.raises(InputError) as caught:
        sweep(
            tiny,
            ["topology=two_gpus,two_gpu", "policies.janus.by=chance", "workload.model.top_k=1,9"],
            progress=lambda _, scenario: started.append(scenario.name),
        )
    assert started == []
    text = str(caught.value)
    assert 'did you mean "two_gpus"' in text
    assert "policies.janus.by" in text
    assert "workload.model.top_k" in text


def test_a_wrong_axis_or_baseline_hides_no_other_mistake(tiny: Path) -> None:
    with pytest.raises(InputError) as caught:
        sweep(tiny, ["topology=two_gpu", "baseline=janis", "policies.mine.x=1,2"])
    text = str(caught.value)
    for part in ('did you mean "two_gpus"', "baseline", "vary.policies.mine.x"):
        assert part in text, part


def test_results_can_be_opened_again(tiny: Path, tmp_path: Path) -> None:
    table = sweep(tiny, out=tmp_path / "out")
    results = open_results(tmp_path / "out")
    assert [result.scenario["policy"] for result in results] == table["policy"].tolist()
    assert [result.summary()["step_time_s"].iloc[0] for result in results] == table["step_time_s"].tolist()


def test_the_provenance_changes_with_the_inputs_alone(tiny: Path, tmp_path: Path) -> None:
    def told(*changes: str) -> str:
        experiment = Experiment.load(tiny, changes)
        return provenance(experiment, experiment.scenarios())

    first = told()
    assert told() == first
    assert told("seed=1") != first
    assert str(tmp_path) not in first
    keys = set(json.loads(first)["scenarios"].values())
    assert len(keys) == 3


def test_an_estimate_grows_with_the_number_of_gpus(tiny: Path) -> None:
    workload = Experiment.load(tiny).workload
    few, many = (
        Scenario(
            topology={"base": "a100", "machines": machines},
            workload=workload,
            policy={"type": "data_centric"},
        )
        for machines in (1, 2)
    )
    estimates = check([few, many]).estimates
    assert [estimate.gpus for estimate in estimates] == [8, 16]
    assert estimates[0].seconds < estimates[1].seconds


def test_a_wrong_baseline_does_not_hide_the_other_mistakes() -> None:
    experiment = Experiment(
        topology="two_gpus", workload="moe_bert", policies={"janus": {"treshold": 2}}, baseline="janos"
    )
    with pytest.raises(InputError) as told:
        sweep(experiment)
    assert [mistake.path for mistake in told.value.mistakes] == ["baseline", "policies.janus.treshold"]
