"""Every mistake is told, with its path into the file and the right word."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from janus_sim.errors import InputError
from janus_sim.topology import Topology

NO_NVLINK = {"nvlink": {"type": "none"}}
CASES = {
    "an unknown word": (
        {"machine": {"nics": {"bandwith": "1 GB/s"}}},
        ["machine.nics.bandwith", 'did you mean "bandwidth"?'],
    ),
    "a wrong unit": (
        {"machine": {"nics": {"bandwidth": "200 Gbps/s"}}},
        ["machine.nics.bandwidth", "200 Gbit/s"],
    ),
    "no unit": (
        {"machine": {"pcie": {"lane": {"bandwidth": 25}}}},
        ["machine.pcie.lane.bandwidth", "no unit"],
    ),
    "zero": ({"machine": {"nics": {"bandwidth": "0 GB/s"}}}, ["machine.nics.bandwidth", "not above zero"]),
    "negative": (
        {"machine": {"host": {"bandwidth": "-1 GB/s"}}},
        ["machine.host.bandwidth", "not above zero"],
    ),
    "NaN": (
        {"machine": {"nvlink": {"bandwidth": "nan GB/s"}}},
        ["machine.nvlink.bandwidth", "not a bandwidth"],
    ),
    "a NaN efficiency": ({"machine": {"nics": {"efficiency": float("nan")}}}, ["machine.nics.efficiency"]),
    "too efficient": ({"machine": {"nics": {"efficiency": 1.2}}}, ["machine.nics.efficiency"]),
    "no machines": ({"machines": 0}, ["machines"]),
    "a slip of the pen": ({"machines": 100_000}, ["machines", "400,000 GPUs"]),
    "both": ({"mixed": [{"machines": 1}]}, ["machines", "stands beside mixed"]),
    "no NICs": ({"machine": {"nics": {"count": 0}}}, ["machine.nics", "cannot reach each other"]),
    "an unknown GPU": (
        {"machine": {"gpus": {"kind": "a100-sxm4-80g"}}},
        ["machine.gpus.kind", 'did you mean "a100-sxm4-80gb"?'],
    ),
    "too few places": ({"machine": {"pcie": {"gpus": [0, 1]}}}, ["machine.pcie.gpus", "2 places for 4 GPUs"]),
    "no such switch": ({"machine": {"nics": {"switches": [0, 2]}}}, ["machine.nics.switches", "no switch 2"]),
    "no such pair": (
        {"machine": {"nvlink": {"type": "pairs", "pairs": [{"gpus": [0, 4]}]}}},
        ["machine.nvlink.pairs.0.gpus", "no GPU 4"],
    ),
    "a pair twice": (
        {"machine": {"nvlink": {"type": "pairs", "pairs": [{"gpus": [0, 1]}, {"gpus": [1, 0]}]}}},
        ["machine.nvlink.pairs.1.gpus", "stands twice"],
    ),
    "a pair of one": (
        {"machine": {"nvlink": {"type": "pairs", "pairs": [{"gpus": [1, 1]}]}}},
        ["machine.nvlink.pairs.0.gpus", "no pair with itself"],
    ),
    "pairs of a switch": (
        {"machine": {"nvlink": {"pairs": [{"gpus": [0, 1]}]}}},
        ["machine.nvlink", "write type: pairs"],
    ),
    "sockets apart": ({"machine": {"sockets": {"count": 2}}}, ["machine.sockets", "bandwidth of the link"]),
    "an unknown fabric": ({"fabric": {"type": "rail"}}, ["fabric.type", 'did you mean "rails"?']),
    "leaves of a switch": ({"fabric": {"oversubscription": 2.0}}, ["fabric", "write type: leaf_spine"]),
    "leaves of no size": ({"fabric": {"type": "leaf_spine"}}, ["fabric", "machines_per_leaf"]),
    "no lines": (
        {"machine": NO_NVLINK, "transfers": {"all_to_all": {"pcie": []}}},
        ["transfers.all_to_all.pcie", "is missing"],
    ),
    "a line without a rate": (
        {"transfers": {"pull": {"rdma": [{"start": "1 us"}, {"start": "2 us"}]}}},
        ["transfers.pull.rdma", "only the last line"],
    ),
    "no such link": (
        {"overrides": [{"links": "m0.nic9.*", "scale": 0.5}]},
        ["overrides.0.links", "matches no link"],
    ),
    "no such rank": (
        {"overrides": [{"gpus": [8], "speed": 0.5}]},
        ["overrides.0.gpus", "ranks go from 0 to 7"],
    ),
    "a speed of links": (
        {"overrides": [{"links": "*", "speed": 0.5}]},
        ["overrides.0", "bandwidth or a scale"],
    ),
    "links and GPUs": ({"overrides": [{"links": "*", "gpus": [1], "scale": 0.5}]}, ["overrides.0", "either"]),
    "no GPU": ({"overrides": [{"gpus": [], "speed": 0.5}]}, ["overrides.0", "names no GPU"]),
    "all SMs": (
        {"communication": {"sms": {"all_reduce": 108}}},
        ["communication.sms.all_reduce", "of the 108 SMs"],
    ),
    "all of a NIC lost": ({"communication": {"overlap_loss": 1.0}}, ["communication.overlap_loss"]),
    "a standstill": ({"overrides": [{"links": "*", "scale": 0.0}]}, ["overrides.0.scale"]),
}


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_is_told_with_its_path(case: str, small: Callable[..., Topology]) -> None:
    changes, words = CASES[case]
    with pytest.raises(InputError) as caught:
        small(changes)
    mistakes = caught.value.mistakes
    assert len(mistakes) == 1
    assert mistakes[0].where == f"cluster.yaml: {words[0]}"
    for word in words[1:]:
        assert word in mistakes[0].message


def test_all_mistakes_at_once(small: Callable[..., Topology]) -> None:
    with pytest.raises(InputError) as caught:
        small({"machines": 1.5, "machine": {"nics": {"count": -1}, "host": {"memory": "1 TBit"}}})
    paths = {mistake.path for mistake in caught.value.mistakes}
    assert paths == {"machines", "machine.nics.count", "machine.host.memory"}


def test_a_mistake_in_a_kind_of_mixed_machines() -> None:
    kinds = [{"machines": 1}, {"machines": 1, "machine": {"nics": {"count": 1, "switches": [7]}}}]
    with pytest.raises(InputError, match=r"mixed\.1\.machine\.nics\.switches +there is no switch 7"):
        Topology.load({"base": "a100", "mixed": kinds})
    with pytest.raises(InputError, match=r'mixed\.0\.base +no preset "h10" in topologies'):
        Topology.load({"base": "a100", "mixed": [{"base": "h10", "machines": 1}]})


def test_a_name_that_is_no_preset() -> None:
    with pytest.raises(InputError, match='did you mean "a100_4x8"'):
        Topology.load("a100_4x9")


def test_a_gpu_of_ones_own_lies_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "slow.yaml").write_text("base: a100-sxm4-80gb\nname: slow\nsms: 54\n")
    (tmp_path / "mine.yaml").write_text("base: two_gpus\nmachine: {gpus: {kind: slow.yaml}}\n")
    assert Topology.load("mine.yaml", beside=tmp_path).gpus[1].kind.sms == 54


def test_a_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("base: a100_4x8\nmachine: {nics: {count: four}}\n")
    with pytest.raises(InputError) as caught:
        Topology.load("mine.yaml", beside=tmp_path)
    assert caught.value.mistakes[0].where == f"{path}: machine.nics.count"


def test_lines_that_nothing_needed_are_missed_when_asked_for() -> None:
    topology = Topology.load("v100_2x8_pcie")
    with pytest.raises(InputError, match=r"transfers\.pull\.nvlink +is missing"):
        topology.start("pull", "nvlink", topology.capacity[:1])
