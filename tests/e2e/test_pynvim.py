"""A MessagePack-RPC client that nobody here wrote: the one of Debian's python3-pynvim, made for talking to Neovim.

It opens each session with a notification of its own, and knows nothing of ringmq.
"""

import pytest

msgpack_rpc = pytest.importorskip("pynvim.msgpack_rpc")


@pytest.fixture(params=["tcp", "socket"])
def session(request, server):
    if request.param == "tcp":
        session = msgpack_rpc.tcp_session(server.address[0], server.port)
    else:
        session = msgpack_rpc.socket_session(server.socket_path)
    session.error_wrapper = msgpack_rpc.ErrorResponse  # what to raise for an error answer is the user's choice there
    yield session
    session.close()


def test_publish_receive_and_ack(session, request):
    """A message goes in, comes out and is gone."""
    queue = request.node.name.replace("[", "-").replace("]", "")
    assert session.request("queue.create", queue) == {"created": True}
    assert session.request("publish", queue, ["hello", ["world", {"headers": {"n": 1}}]]) == [1, 2]
    first, second = session.request("receive", queue, {"max": 10})
    assert first[1:] == [1, 1, b"hello"] and second[1:] == [2, 1, b"world", {"headers": {"n": 1}}]
    assert session.request("ack", [first[0]]) == 1
    session.request("ack", [second[0]], async_=True)
    assert session.request("queue.info", queue)["total"] == 0


def test_errors_arrive_as_errors(session):
    """An error answer is what that library raises for one."""
    with pytest.raises(msgpack_rpc.ErrorResponse, match="QUEUE_NOT_FOUND"):
        session.request("publish", "no-such-queue", ["x"])


def test_deliveries_arrive_as_notifications(session, request):
    """What the server pushes is a notification like any other."""
    queue = request.node.name.replace("[", "-").replace("]", "")
    session.request("queue.create", queue)
    consumer = session.request("consume", queue, {"prefetch": 10})
    session.request("publish", queue, ["pushed"])
    kind, name, (who, ((receipt, *rest),)) = session.next_message()
    assert (kind, name, who, rest) == ("notification", "deliver", consumer, [1, 1, b"pushed"])
    assert session.request("ack", [receipt]) == 1


def test_its_opening_notification_is_ignored_and_counted(session):
    """nvim_set_client_info is not ours; the server goes on."""
    assert session.request("server.stats")["ignored"] >= 1
    assert session.request("ping") == "pong"
