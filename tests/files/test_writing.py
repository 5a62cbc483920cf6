"""Files and result folders are there whole, or as they were."""

from __future__ import annotations

from pathlib import Path

import pytest

from janus_sim.errors import InputError
from janus_sim.files import replace_folder, write_whole


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    write_whole(path, b"old")

    def fail(temporary: Path) -> None:
        temporary.write_bytes(b"half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_whole(path, fail)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def result(folder: Path) -> None:
    (folder / "provenance.json").write_text("{}")
    (folder / "new.csv").write_text("x")


def test_an_earlier_result_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "results" / "x"
    replace_folder(target, result)
    (target / "leftover.csv").write_text("old")
    replace_folder(target, result)
    assert sorted(path.name for path in target.iterdir()) == ["new.csv", "provenance.json"]
    assert [path.name for path in target.parent.iterdir()] == ["x"]


def test_any_other_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("three years of work")
    with pytest.raises(InputError, match="something else"):
        replace_folder(tmp_path, result)
    with pytest.raises(InputError, match="not a folder"):
        replace_folder(tmp_path / "thesis.tex", result)
    assert (tmp_path / "thesis.tex").read_text() == "three years of work"


def test_a_failed_fill_leaves_the_earlier_result(tmp_path: Path) -> None:
    target = tmp_path / "x"
    replace_folder(target, result)

    def fail(folder: Path) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        replace_folder(target, fail)
    assert (target / "new.csv").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
