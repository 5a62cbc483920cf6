"""What a hand would write is read; what it would not is refused, with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from janus_sim.errors import InputError
from janus_sim.files import parse_yaml, read_yaml


def refusal(text: str) -> str:
    with pytest.raises(InputError) as caught:
        parse_yaml(text, "x.yaml:")
    return str(caught.value)


def test_plain_words_are_those_of_yaml_1_2() -> None:
    text = "{a: no, b: 1e-3, c: 1:30, d: true, e: ~, f: '1', g: 007, h: -4, i: 2024-01-01, j: [1, [2]]}"
    values = {"a": "no", "b": 1e-3, "c": "1:30", "d": True, "e": None, "f": "1", "g": "007", "h": -4}
    assert parse_yaml(text) == values | {"i": "2024-01-01", "j": (1, (2,))}


def test_a_small_alias_is_written_out() -> None:
    assert parse_yaml("{a: &x {b: 1}, c: *x}") == {"a": {"b": 1}, "c": {"b": 1}}


def test_a_billion_laughs_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i + 1}: &a{i + 1} [{', '.join([f'*a{i}'] * 10)}]" for i in range(9)]
    assert "unfolds to more than" in refusal("\n".join(lines))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: &x [*x]", "cycle"),
        ("a: &x {b: *x}", "cycle"),
        ("a: *y", "alias"),
        ("a: !!python/object/apply:os.system [ls]", "tag"),
        ("a: 1\na: 2", 'line 2: the key "a" stands twice'),
        ("a: 1\n---\nb: 2", "second document"),
        ("? [1, 2]\n: 3", "plain word"),
        ("a: {b: 1}\nc: {<<: {d: 1}}", "merge keys"),
        ("a: [1, 2", "is not YAML"),
        ("a:\n\t- b", "is not YAML"),
        ("a: \x00", "is not YAML"),
        ("[" * 5000, "nested too deeply"),
        ("a: " + "{a: " * 5000, "nested too deeply"),
    ],
)  # fmt: skip
def test_what_no_hand_writes_is_refused(text: str, said: str) -> None:
    assert said in refusal(text)
    assert refusal(text).startswith("x.yaml:")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe\x00garbage", "not text"),
        (b"x" * 10_000_000, "larger than"),
        (b"", "is empty"),
        (b"- 1\n", "holds no mapping"),
        (b"word", "holds no mapping"),
    ],
)
def test_files_that_are_no_mapping_are_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said):
        read_yaml(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.yaml"):
        with pytest.raises(InputError, match="cannot be read"):
            read_yaml(path)
