"""Single transfers: routes, sharing, priorities, start times, and links that change."""

from __future__ import annotations

import pytest

from janus_sim.engine.fabric import Device
from janus_sim.engine.gpu import Gpu
from janus_sim.engine.time import Steps
from janus_sim.errors import PolicyError
from tests.engine.lab import FLOPS, GB, Lab, Story, nothing, topology


def pull(source: Device, gigabytes: float = 1.0, label: str = "pull", priority: int = 0) -> Story:
    return lambda gpu: (yield gpu.pull(source, int(gigabytes * GB), label, priority=priority))


def together(*stories: Story) -> Story:
    def story(gpu: Gpu) -> Steps:
        yield gpu.all([gpu.start(one(gpu)) for one in stories])

    return story


@pytest.mark.parametrize("source", [1, 2, ("host", 0)], ids=["a mate", "another machine", "the host"])
def test_1_gb_over_1_gb_per_s_takes_1_s(source: Device) -> None:
    lab = Lab(topology(2, 2)).run([pull(source)])
    assert lab.times("pull") == (0, 0, 1)


def test_the_start_and_the_latency_come_on_top() -> None:
    slow = topology(2, 1, start="250 ms", changes={"machine": {"nics": {"latency": "125 ms"}}})
    lab = Lab(slow).run([pull(1)])
    assert lab.times("pull") == (0, 0, 1.5)  # out of a NIC and into one


def test_a_line_of_the_envelope_caps_the_rate() -> None:
    lines = {"pull": {"nvlink": [{"start": "0 s", "rate": "0.5 GB/s"}, {"start": "10 s"}]}}
    lab = Lab(topology(1, 2, changes={"transfers": lines})).run([pull(1)])
    assert lab.end("pull") == 2
    assert lab.span("pull")["resource"] == ""  # no link held it back


def test_two_pulls_over_one_port_share_it() -> None:
    lab = Lab(topology(1, 3)).run([together(pull(1, 1, "short"), pull(2, 2, "long"))])
    assert (lab.end("short"), lab.end("long")) == (2, 3)
    assert lab.span("long")["resource"] == "m0.gpu0.nvlink.in"


def test_two_pulls_over_two_ports_do_not() -> None:
    lab = Lab(topology(1, 4)).run([pull(1, 1, "a"), nothing, pull(3, 1, "b")])
    assert (lab.end("a"), lab.end("b")) == (1, 1)


def test_the_pull_that_can_wait_yields_whole() -> None:
    lab = Lab(topology(1, 3)).run([together(pull(1, 1, "far", 2), pull(2, 1, "near", 1))])
    assert (lab.end("near"), lab.end("far")) == (1, 2)


def test_it_yields_in_the_middle_too() -> None:
    def late(gpu: Gpu) -> Steps:
        yield gpu.think(0.5)
        yield gpu.pull(2, GB, "near")

    lab = Lab(topology(1, 3)).run([together(pull(1, 1, "far", 1), late)])
    assert (lab.times("near"), lab.times("far")) == ((0.5, 0.5, 1.5), (0, 0, 2))


def test_gpus_behind_one_nic_share_it() -> None:
    lab = Lab(topology(2, 2)).run([pull(2, 1, "a"), pull(3, 1, "b")])
    assert (lab.end("a"), lab.end("b")) == (2, 2)
    lab = Lab(topology(2, 2, nics=2)).run([pull(2, 1, "a"), pull(3, 1, "b")])
    assert (lab.end("a"), lab.end("b")) == (1, 1)


@pytest.mark.parametrize(("duplex", "end"), [("full", 1), ("half", 2)])
def test_both_ways_share_a_port_that_is_half_duplex(duplex: str, end: float) -> None:
    where = topology(2, 1, changes={"machine": {"nics": {"duplex": duplex}}})
    lab = Lab(where).run([pull(1, 1, "there"), pull(0, 1, "back")])
    assert (lab.end("there"), lab.end("back")) == (end, end)


def test_copies_take_no_sms() -> None:
    def story(gpu: Gpu) -> Steps:
        yield gpu.compute(FLOPS, "kernel") & gpu.pull(1, GB, "pull") & gpu.push(1, GB, "push")

    lab = Lab(topology(1, 2)).run([story])
    assert (lab.end("kernel"), lab.end("pull"), lab.end("push")) == (1, 1, 1)


def test_a_copy_of_nothing_takes_its_start() -> None:
    lab = Lab(topology(2, 1, start="250 ms")).run([pull(1, 0)])
    assert lab.times("pull") == (0, 0, 0.25)
    assert lab.cluster.flows.in_flight == 0


@pytest.mark.parametrize("size", [0, GB])
def test_a_copy_to_itself_moves_nothing_and_takes_its_start(size: int) -> None:
    lab = Lab(topology(2, 1, start="250 ms")).run([lambda gpu: (yield gpu.pull(gpu.rank, size, "pull"))])
    assert lab.times("pull") == (0, 0, 0.25)
    assert not any(moved.any() for moved in lab.cluster.fabric.carried.values())


def test_a_machine_without_nvlink_copies_over_pcie() -> None:
    none = {"machine": {"nvlink": {"type": "none"}}}
    lab = Lab(topology(1, 2, changes=none)).run([pull(1)])
    assert lab.end("pull") == 1
    assert lab.span("pull")["resource"].startswith("m0.gpu")
    assert ".pcie." in lab.span("pull")["resource"]


def test_a_link_that_degrades_in_the_middle_of_a_transfer() -> None:
    change = {"overrides": [{"links": "m1.nic0.out", "scale": 0.5, "at": "500 ms"}]}
    lab = Lab(topology(2, 1, changes=change)).run([pull(1)])
    assert lab.end("pull") == 1.5
    assert lab.span("pull")["resource"] == "m1.nic0.out"


def test_a_link_that_degrades_while_nothing_moves_has_the_right_rate_afterwards() -> None:
    def story(gpu: Gpu) -> Steps:
        yield gpu.think(2.0)
        yield gpu.pull(1, GB, "pull")

    change = {"overrides": [{"links": "m1.nic0.out", "scale": 0.5, "at": "1 s"}]}
    assert Lab(topology(2, 1, changes=change)).run([story]).end("pull") == 4


def test_a_link_that_degrades_after_all_is_over_does_not() -> None:
    change = {"overrides": [{"links": "*", "scale": 0.5, "at": "1 h"}]}
    lab = Lab(topology(2, 1, changes=change)).run([pull(1)])
    assert lab.cluster.timeline.now == pytest.approx(1.0)


def test_bytes_are_counted_whole_on_every_link_and_once_where_they_leave() -> None:
    odd = GB + 7
    lab = Lab(topology(2, 1)).run([lambda gpu: (yield gpu.pull(1, odd, "a") & gpu.push(("host", 1), 3, "b"))])
    carried = lab.cluster.fabric.carried
    names = {link.name: int(carried["expert"][link.index]) for link in lab.cluster.topology.links}
    assert {name: moved for name, moved in names.items() if moved} == {
        "m1.gpu0.pcie.up": odd, "m1.nic0.out": odd, "m0.nic0.in": odd, "m0.gpu0.pcie.down": odd,
        "m0.gpu0.pcie.up": 3, "m0.nic0.out": 3, "m1.nic0.in": 3, "m1.switch0.uplink.up": 3,
        "m1.socket0.memory.write": 3,
    }  # fmt: skip
    assert not carried["dense"].any()
    assert (lab.span("a")["far_bytes"], lab.span("b")["far_bytes"]) == (odd, 3)
    assert (lab.cluster.flows.carried == carried["expert"]).all()


def test_a_copy_for_the_machine_is_nobodys() -> None:
    lab = Lab(topology(2, 1)).run([lambda gpu: (yield gpu.copy(1, gpu.machine.host, GB, "stage"))])
    span = lab.span("stage")
    assert (span["rank"], span["machine"], span["stream"], span["far_bytes"]) == (-1, 0, "copy", GB)


@pytest.mark.parametrize("size", [-1, 1.5, None, "1 GB"])
def test_what_is_no_number_of_bytes_is_told(size: object) -> None:
    with pytest.raises(PolicyError, match="bytes from 1 to 0; give a whole number"):
        Lab(topology(1, 2)).run([lambda gpu: (yield gpu.pull(1, size, "pull"))])  # type: ignore[arg-type]


@pytest.mark.parametrize("source", [9, -1, ("host", 4), ("disk", 0), "gpu1"])
def test_what_is_no_device_is_told(source: object) -> None:
    with pytest.raises(PolicyError, match="is no device to copy from or to; name a rank below 2 or"):
        Lab(topology(1, 2)).run([lambda gpu: (yield gpu.pull(source, GB, "pull"))])  # type: ignore[arg-type]
