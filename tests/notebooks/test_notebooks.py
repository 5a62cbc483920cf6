"""The notebooks run from top to bottom in a kernel of their own, with parameters as Papermill puts them in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
SMALL = {
    "01_first_run": 'topology, workload = "two_gpus", "moe_bert"',
    "02_write_a_policy": 'topology, patience, cases = "two_gpus", ["20 us"], ["two GPUs"]',
    "03_the_paper": 'topology, workloads, precisions = "two_gpus", ["moe_bert"], ["fp16"]\n'
    'batch_workload, batch_sizes = "moe_bert", [16, 32]',
    "04_your_own_trace": "micro_batch_size, steps = 4, 1",
}
#: What the outputs say, if all is well.
SAID = {
    "01_first_run": ["data_centric is", "critical path", "is as fast as|faster than|slower than"],
    "02_write_a_policy": ["lazy 20 us", "pipelined|LazyFetch"],
    "03_the_paper": ["moe_bert", "bound +traffic_divided_by"],
    "04_your_own_trace": [r"counts\.csv", r"\[(\[[\d.]+\]), \1\]"],
}


def test_each_notebook_is_tested() -> None:
    assert sorted(SMALL) == [path.stem for path in sorted(FOLDER.glob("*.ipynb"))]


def read(name: str) -> Any:
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", 4)
    nbformat.validate(notebook)
    return notebook


def parameters(notebook: Any) -> int:
    """Return the place of the one cell with the tag that Papermill looks for."""
    (place,) = (
        place for place, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", ())
    )
    return int(place)


@pytest.mark.parametrize("name", SMALL)
def test_it_is_stored_without_outputs_and_names_no_machine(name: str) -> None:
    """Outputs hang on versions, and each run would be a change to review; CI makes them anew."""
    notebook = read(name)
    assert notebook.cells[parameters(notebook)].cell_type == "code"
    for cell in notebook.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
        assert not re.search(r"/(home|tmp|root|Users|work)/", cell.source)


@pytest.mark.parametrize("name", SMALL)
def test_it_runs_in_a_clean_kernel(name: str, tmp_path: Path) -> None:
    notebook = read(name)
    notebook.cells.insert(parameters(notebook) + 1, nbformat.v4.new_code_cell(SMALL[name]))
    told = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=told).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    words = "\n".join(
        output.get("text", "") or "\n".join(map(str, output.get("data", {}).values())) for output in outputs
    )
    for said in SAID[name]:
        assert re.search(said, words), f"{name} does not say {said}"
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == {"01_first_run": 2, "03_the_paper": 1}.get(name, 0)
