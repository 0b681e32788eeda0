from collections.abc import Collection
from dataclasses import replace

from resourced.collectors.network import InterfaceSample, Link, NetworkSample, Traffic
from resourced.snapshot.network import derive_network
from tests.collectors.host_fakes import taken

START = Traffic(1000, 10, 0, 0, 500, 5, 0, 0)


def sample(interfaces: dict[str, Traffic], state: str = "up", physical: Collection[str] = ()) -> NetworkSample:
    found = {n: InterfaceSample(t, Link(8000, 1500, n in physical), state) for n, t in interfaces.items()}
    return NetworkSample(found, None)


def test_rates_and_the_busier_directions_share_of_the_link() -> None:
    now = replace(START, receive_bytes=1400, transmit_bytes=600, receive_drops=4)

    network = derive_network(taken(sample({"eth0": START}), 0), taken(sample({"eth0": now}), 2), None)
    eth0 = network.interfaces["eth0"]

    assert (eth0.receive_bytes_per_second, eth0.transmit_bytes_per_second) == (200, 50)
    assert (eth0.receive_drops_per_second, eth0.utilization) == (2, 0.2)
    assert network.sockets is None


def test_a_reset_counter_and_a_new_interface_are_unknown_alone() -> None:
    before = sample({"eth0": START, "lo": START})
    now = sample({"eth0": replace(START, receive_bytes=0, transmit_bytes=700), "lo": START, "usb0": START})

    network = derive_network(taken(before, 0), taken(now, 1), None)

    assert network.interfaces["eth0"].receive_bytes_per_second is None
    assert network.interfaces["eth0"].utilization is None
    assert network.interfaces["usb0"].transmit_bytes_per_second is None
    assert (network.receive_bytes_per_second, network.transmit_bytes_per_second) == (None, 200)


def test_what_passes_a_bond_or_a_bridge_is_counted_once() -> None:
    names, physical = ("bond0", "br0", "eth0", "eth1", "lo"), ("eth0", "eth1")
    before = sample(dict.fromkeys(names, START), physical=physical)
    now = sample(dict.fromkeys(names, replace(START, receive_bytes=1300, transmit_bytes=600)), physical=physical)

    network = derive_network(taken(before, 0), taken(now, 1), None)

    assert (network.receive_bytes_per_second, network.transmit_bytes_per_second) == (600, 200)


def test_a_link_that_is_down_has_no_speed_and_the_first_sample_no_rates() -> None:
    network = derive_network(None, taken(sample({"eth0": START}, "down")), None)

    assert network.interfaces["eth0"].link_speed_bits_per_second is None
    assert network.receive_bytes_per_second is None
