import dataclasses
import socket
from collections.abc import Iterator

import pytest

from local.ports import BLOCK, SERVICES, Ports, PortTaken, free_block


@pytest.fixture
def ports() -> Ports:
    return free_block()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        yield listening


def test_each_service_has_the_port_of_its_place() -> None:
    ports = Ports(4000)
    assert [getattr(ports, service) for service in SERVICES] == [4000, 4001, 4002, 4003, 4004, 4005]


def test_ports_do_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Ports(4000).base = 5000  # type: ignore[misc]  # what the test is about


@pytest.mark.parametrize("base", [-1, 0, 80, 1023, 65_527, 70_000])
def test_a_base_without_ten_unprivileged_ports_is_refused(base: int) -> None:
    with pytest.raises(ValueError, match="PORT must be from 1024 to 65526"):
        Ports(base)


def test_a_free_block_is_free(ports: Ports) -> None:
    ports.check_free()


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_a_port_in_use_is_named_with_who_wants_it_and_what_to_do(
    ports: Ports, listener: socket.socket, service: str, address: str
) -> None:
    listener.bind((address, getattr(ports, service)))
    listener.listen()
    with pytest.raises(PortTaken) as taken:
        ports.check_free()
    message = str(taken.value)
    assert f"Port {getattr(ports, service)} " in message
    assert f"needs for {service}," in message
    assert f"make run PORT={ports.base + BLOCK}" in message


def test_the_port_of_a_service_that_is_not_started_may_be_in_use(ports: Ports, listener: socket.socket) -> None:
    listener.bind(("127.0.0.1", ports.oidc))
    listener.listen()
    ports.check_free([service for service in SERVICES if service != "oidc"])


def test_the_suggested_block_exists_also_at_the_end_of_the_range(listener: socket.socket) -> None:
    listener.bind(("127.0.0.1", 65_526))
    listener.listen()
    with pytest.raises(PortTaken, match="PORT=65516"):
        Ports(65_526).check_free()


def test_connections_in_time_wait_do_not_take_a_port(ports: Ports, listener: socket.socket) -> None:
    listener.bind(("127.0.0.1", ports.api))
    listener.listen()
    with socket.create_connection(("127.0.0.1", ports.api)) as client:
        served, _ = listener.accept()
        served.close()  # who closes first has the TIME_WAIT: the server's port
        assert client.recv(1) == b""
    listener.close()
    # The case is there: without SO_REUSEADDR, the port is taken.
    with socket.socket() as strict, pytest.raises(OSError, match="in use"):
        strict.bind(("127.0.0.1", ports.api))
    ports.check_free(["api"])


def test_no_free_block_is_said_rather_than_searched_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.ports._is_free", lambda _port: False)
    with pytest.raises(PortTaken, match="No 10 free ports"):
        free_block()


def test_a_block_is_found_once_even_before_its_ports_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    found = free_block()
    monkeypatch.setattr("secrets.randbelow", lambda _end: (found.base - 11_000) // BLOCK)
    found.check_free()
    with pytest.raises(ConnectionRefusedError):  # held, and nobody listens
        socket.create_connection(("127.0.0.1", found.base + BLOCK - 1))
    with pytest.raises(PortTaken, match="No 10 free ports"):
        free_block()


def test_blocks_start_at_random() -> None:
    assert len({free_block().base for _ in range(8)}) > 1
