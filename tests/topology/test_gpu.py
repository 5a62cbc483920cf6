"""GPU kinds: the presets hold the data sheets, and mistakes are told."""

from __future__ import annotations

import pytest

from janus_sim.errors import InputError
from janus_sim.files import names
from janus_sim.topology import Topology
from janus_sim.topology.gpu import GpuKind

PRESETS = ("a100-sxm4-80gb", "h100-sxm5-80gb", "v100-pcie-32gb", "v100-sxm2-32gb")


def test_the_presets() -> None:
    assert set(PRESETS) <= set(names("topologies/gpus"))


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_has_its_name_and_source(name: str) -> None:
    kind = GpuKind.load(name)
    assert kind.name == name
    assert "ata sheet" in kind.source
    assert kind.peak("fp16") > 4 * kind.peak("fp32")
    assert 0 < kind.gemm.peak <= 1


@pytest.mark.parametrize("name", ["a100-sxm4-80gb", "h100-sxm5-80gb"])
def test_tf32_is_half_of_fp16_and_said_to_be_inferred(name: str) -> None:
    kind = GpuKind.load(name)
    assert kind.peak("tf32") == pytest.approx(kind.peak("fp16") / 2, rel=2e-3)
    assert "inferred" in kind.source


def test_the_a100() -> None:
    kind = GpuKind.load("a100-sxm4-80gb")
    assert (kind.sms, kind.hbm_bandwidth, kind.hbm_size) == (108, 2.039e12, 80e9)
    assert [kind.peak(p) for p in ("bf16", "tf32", "fp32")] == [312e12, 156e12, 19.5e12]


def test_a_precision_without_units_is_refused() -> None:
    with pytest.raises(InputError, match='v100-pcie-32gb has no "bf16"; write one of fp16, fp32'):
        GpuKind.load("v100-pcie-32gb").peak("bf16")


def test_a_kind_may_be_based_on_another() -> None:
    kind = GpuKind.load({"base": "a100-sxm4-80gb", "name": "a100-40gb", "hbm_size": "40 GB"})
    assert (kind.name, kind.hbm_size, kind.sms) == ("a100-40gb", 40e9, 108)


def test_all_mistakes_are_told_at_once() -> None:
    wrong = {"base": "a100-sxm4-80gb", "smss": 1, "hbm_bandwidth": "2039 GB", "flops": {"fp16": 312e12}}
    with pytest.raises(InputError) as told:
        GpuKind.load(wrong, where="x.yaml: gpu")
    assert len(told.value.mistakes) == 3
    assert {m.path for m in told.value.mistakes} == {"gpu.smss", "gpu.hbm_bandwidth", "gpu.flops.fp16"}


def test_an_unknown_kind_names_the_nearest() -> None:
    with pytest.raises(InputError, match="a100-sxm4-80gb"):
        GpuKind.load("a100-sxm4-80g")


def test_a_topology_may_say_what_share_of_the_hbm_is_reached() -> None:
    changed = {"base": "two_gpus", "machine": {"gpus": {"hbm_efficiency": 0.7}}}
    assert {gpu.kind.hbm_efficiency for gpu in Topology.load(changed).gpus} == {0.7}
    assert {gpu.kind.hbm_efficiency for gpu in Topology.load("two_gpus").gpus} == {0.82}
