"""Noise: random bytes, and good requests with random damage. Whatever the server makes of them, it lives on."""

import contextlib
import random
import socket

import msgpack
import pytest
from wire import pack, until

SLACK_BYTES = 256 * 1024  # blocks that the server keeps for the next time


def send_noise(server, data):
    """Sends it on a connection of its own and reads to the end; whatever comes back must be well formed."""
    with server.connect() as wire:
        wire.send_bytes(data)
        wire.sock.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := wire.sock.recv(1 << 20):
            answer += piece
    unpacker = msgpack.Unpacker(strict_map_key=False)
    unpacker.feed(answer)
    for value in unpacker:
        assert (value[0], len(value)) in ((1, 4), (2, 3)), value
    assert unpacker.tell() == len(answer)


def used_bytes(control):
    return control.call("server.info", "memory")["memory"]["used_bytes"]


@contextlib.contextmanager
def alive(server):
    """After noise that may by chance say something right: the server answers, and descriptors and memory are back."""
    with server.connect() as control:
        until(lambda: control.call("server.info", "clients")["clients"]["connections"] == 1)
        descriptors, memory = server.descriptors(), used_bytes(control)
        yield
        for row in control.call("queue.list", {"max": 1000})["queues"]:
            control.call("queue.purge", row["name"])
        until(lambda: server.descriptors() == descriptors, "descriptors back")
        until(lambda: used_bytes(control) <= memory + SLACK_BYTES, "counted memory back")


@pytest.mark.parametrize("seed", range(4))
def test_random_bytes(server, seed):
    """Nothing that a generator of random bytes says harms the server."""
    generator = random.Random(seed)
    with alive(server):
        for _ in range(100):
            send_noise(server, generator.randbytes(generator.choice((1, 7, 100, 5000))))


@pytest.mark.parametrize("seed", range(4))
def test_requests_with_random_damage(server, seed):
    """Good requests in which some bytes are changed, removed, doubled."""
    with server.connect() as setup:
        setup.call("queue.create", "noise")
    generator = random.Random(seed)
    message = ["b", {"headers": {"k": 1}, "group": "g"}]
    good = pack(
        [0, 1, "hello", [{"client": "noise"}]],
        [0, 2, "publish", ["noise", ["a", message]]],
        [0, 3, "receive", ["noise", {"max": 3, "visibility": 1000}]],
        [0, 4, "ack", [[1, 2, 3], {"multiple": True}]],
        [0, 5, "peek", ["noise", {"from": 1, "max": 5}]],
        [0, 6, "nack", [[5], {"delay": 10}]],
        [0, 7, "kick", ["noise", 5]],
        [0, 8, "queue.update", ["noise", {"visibility": 5000}]],
        [0, 9, "queue.info", ["noise"]],
        [0, 10, "help", []])
    with alive(server):
        for _ in range(150):
            data = bytearray(good)
            for _ in range(generator.randint(1, 6)):
                place, size = generator.randrange(len(data)), generator.randint(1, 5)
                damage = generator.choice((generator.randbytes(size), b"", data[place:place + size] * 2))
                data[place:place + size] = damage
            send_noise(server, bytes(data))
