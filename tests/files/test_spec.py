"""Specs are frozen, hashable and strict, and tell every mistake with its path."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import Field

from janus_sim.errors import InputError
from janus_sim.files import Bandwidth, Bytes, FlopRate, Fraction, Positive, Seconds, Spec, validate


class Nic(Spec):
    bandwidth: Bandwidth
    latency: Seconds = 0.0
    efficiency: Fraction = 1.0


class Machine(Spec):
    gpus: Positive = 8
    nics: tuple[Nic, ...] = ()
    memory: Bytes = 0.0
    peak: dict[str, FlopRate] = Field(default_factory=dict)
    kind: Literal["full", "half"] = "full"
    experts: int | tuple[int, ...] = 1
    fast: bool = False


def mistakes(data: object) -> list[str]:
    with pytest.raises(InputError) as caught:
        validate(Machine, data, "x.yaml: machine")
    return [f"{mistake.path}  {mistake.message}" for mistake in caught.value.mistakes]


def test_words_become_si_floats() -> None:
    machine = validate(
        Machine, {"nics": [{"bandwidth": "200 Gbit/s", "latency": "5 us"}], "peak": {"fp16": "312 TFLOP/s"}}
    )
    assert machine.nics == (Nic(bandwidth=25e9, latency=5e-6),)
    assert machine.peak == {"fp16": 312e12}


def test_python_may_pass_si_floats_and_lists() -> None:
    assert Machine(nics=[Nic(bandwidth=1.0)]).nics[0].bandwidth == 1.0  # type: ignore[list-item,arg-type]
    with pytest.raises(ValueError, match="above zero"):
        Nic(bandwidth=float("nan"))


def test_equal_values_hash_alike_and_are_frozen() -> None:
    assert hash(Machine(peak={"a": 1.0, "b": 2.0})) == hash(Machine(peak={"b": 2.0, "a": 1.0}))
    with pytest.raises(ValueError, match="frozen"):
        Machine().gpus = 4  # type: ignore[misc]
    assert Machine().change(gpus=4).gpus == 4


def test_all_mistakes_come_at_once_with_their_paths() -> None:
    found = mistakes(
        {
            "gpsu": 4,
            "nics": [{"bandwidth": 200, "latency": "5 GB"}, {"bandwidth": "0 GB/s", "efficiency": 1.5}, {}],
            "peak": {"fp16": "fast"},
            "kind": "ful",
            "experts": "many",
            "fast": 1,
            "gpus": True,
        }
    )
    assert found == [
        "machine.gpus  true is wrong; write a valid integer",
        'machine.nics.0.bandwidth  200 has no unit; write a bandwidth like "200 Gbit/s"',
        'machine.nics.0.latency  "5 GB" is not a time; write "50 us"',
        'machine.nics.1.bandwidth  "0 GB/s" is not above zero; write a bandwidth like "200 Gbit/s"',
        "machine.nics.1.efficiency  1.5 is wrong; write a number less than or equal to 1",
        "machine.nics.2.bandwidth  is missing",
        'machine.peak.fp16  "fast" is not a rate of computation; write "312 TFLOP/s"',
        'machine.kind  "ful" is not known; write "full" or "half"; did you mean "full"?',
        'machine.experts  "many" is wrong; write a valid integer, or a valid tuple',
        "machine.fast  1 is wrong; write a valid boolean",
        'machine.gpsu  unknown; did you mean "gpus"?',
    ]


def test_a_file_that_is_no_mapping() -> None:
    assert "write a mapping" in mistakes(("a",))[0]


def test_a_mapping_is_called_a_mapping() -> None:
    class Outer(Spec):
        inner: Spec

    for value, told in (
        (None, "inner  is empty; write a mapping"),
        (3, "inner  3 is wrong; write a mapping"),
    ):
        with pytest.raises(InputError, match=told):
            validate(Outer, {"inner": value})
