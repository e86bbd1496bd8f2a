"""Fixtures: a server for each module, fresh servers for tests that need their own, and fresh queues."""

import itertools
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from process import SERVER, Server  # noqa: E402


def pytest_sessionstart(session):
    if not os.access(SERVER, os.X_OK):
        pytest.exit(f"no server at {SERVER}: build it, or set RINGMQ_SERVER", returncode=2)


@pytest.fixture
def folder():
    """A short path: the name of a Unix socket has at most 107 bytes."""
    path = tempfile.mkdtemp(prefix="ringmq-")
    yield Path(path)
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def server():
    """One server for all tests of a module: each of them uses queues of its own."""
    path = tempfile.mkdtemp(prefix="ringmq-")
    running = Server(path)
    yield running
    try:
        running.stop()
    finally:
        shutil.rmtree(path)


@pytest.fixture
def start_server():
    """Starts servers that are stopped, and must stop well, after the test."""
    started = []

    def start(*flags, **options):
        path = tempfile.mkdtemp(prefix="ringmq-")
        started.append([path, None])
        started[-1][1] = Server(path, *flags, **options)
        return started[-1][1]

    yield start
    failures = []
    for path, running in started:
        try:
            if running is not None:
                running.stop()
        except AssertionError as failure:
            failures.append(failure)
        shutil.rmtree(path)
    if failures:
        raise failures[0]


@pytest.fixture
def wire(server):
    """A connection to the module's server."""
    with server.connect() as connection:
        yield connection


@pytest.fixture
def other(server):
    """A second connection to the module's server."""
    with server.connect() as connection:
        yield connection


numbers = itertools.count(1)


@pytest.fixture
def queue(wire):
    """The name of a new, empty queue with default attributes."""
    name = f"queue-{next(numbers)}"
    assert wire.call("queue.create", name) == {"created": True}
    return name


@pytest.fixture
def new_queue(wire):
    """Creates queues with attributes."""

    def create(**attributes):
        name = f"queue-{next(numbers)}"
        assert wire.call("queue.create", name, attributes) == {"created": True}
        return name

    return create
