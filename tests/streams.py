"""Calls whose requests are streamed to a server that may end them at any moment.

grpc.aio reports INTERNAL instead of what the server said if a request could not be written any more since the server
had ended the call (https://github.com/grpc/grpc/issues/36066). gRPC's blocking client always reports the server's.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import grpc


def unlimited(options: Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """A channel's options, of a connection that nothing else uses and which sends and takes messages of any size."""
    return [
        *options,
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", -1),
    ]


def stream_end(
    channel: grpc.Channel, method: str, messages: Sequence[bytes], timeout_s: float = 20, half_close: bool = False
) -> None:
    """Sends messages to a method that streams both ways, or these and no more, and waits until the server ends the call.

    Raises:
        grpc.RpcError: how it ended, if not well.
    """
    ended = threading.Event()

    def requests() -> Iterator[bytes]:
        yield from messages
        if not half_close:
            ended.wait()

    try:
        for _ in channel.stream_stream(method, None, None)(requests(), timeout=timeout_s):
            pass
    finally:
        ended.set()
