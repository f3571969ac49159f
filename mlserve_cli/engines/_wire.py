"""Messages between driver and worker: a length and a pickle, over a pair of sockets that only these two hold."""

from __future__ import annotations

import pickle
import socket
import struct

_LENGTH = struct.Struct("!Q")


def send(channel: socket.socket, message: object) -> None:
    """Raises OSError where nobody is there any more."""
    content = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    channel.sendall(_LENGTH.pack(len(content)) + content)


def receive(channel: socket.socket) -> object:
    """The next message. EOFError where the other side is gone, in the middle of a message included."""
    (length,) = _LENGTH.unpack(_exactly(channel, _LENGTH.size))
    return pickle.loads(_exactly(channel, length))


def _exactly(channel: socket.socket, size: int) -> bytearray:
    content = bytearray(size)
    view = memoryview(content)
    while view:
        try:
            count = channel.recv_into(view)
        except ConnectionError:
            count = 0
        if count == 0:
            raise EOFError
        view = view[count:]
    return content
