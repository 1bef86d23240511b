"""OperatorService over mutual TLS: who may have a node backed up, one at a time, and what happens when nobody waits for it."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import grpc
import grpc.aio
import pytest
from huzheng.v1 import operator_service_pb2 as pb
from huzheng.v1.operator_service_pb2_grpc import OperatorServiceStub

from ledger.errors import Code, HuzhengError
from node.backup import OnProgress
from node.errors import from_rpc
from node.identity import Caller, Role
from tests.integration.test_ledger_service import Server, play

OPERATOR = Caller("planning", Role.OPERATOR, "li")


async def back_up(server: Server, directory: str, caller: Caller = OPERATOR) -> list[pb.BackupResponse]:
    async with server.channel(caller) as channel:
        stub = OperatorServiceStub(channel)
        return [answer async for answer in stub.Backup(pb.BackupRequest(directory=directory), timeout=20)]


async def refused(server: Server, directory: str, caller: Caller = OPERATOR) -> Code:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await back_up(server, directory, caller)
    return from_rpc(raised.value).code


def test_an_operator_is_told_how_far_it_is_and_gets_the_manifest(tmp_path: Path) -> None:
    asked: list[Path] = []

    def make(target: Path, on_progress: OnProgress) -> bytes:
        asked.append(target)
        on_progress("chain", 3, 7)
        return b"manifest"

    async def scenario(server: Server) -> None:
        server.make_backup = make
        *steps, last = await back_up(server, "/backup/one")
        assert asked == [Path("/backup/one")]
        assert last.manifest == b"manifest"
        assert (steps[-1].step, steps[-1].done, steps[-1].total) == ("chain", 3, 7)

    play(tmp_path, scenario)


def test_only_operators_of_the_node_s_own_department_may(tmp_path: Path) -> None:
    asked: list[Path] = []

    def make(target: Path, on_progress: OnProgress) -> bytes:
        asked.append(target)
        return b""

    async def scenario(server: Server) -> None:
        server.make_backup = make
        for caller in (
            Caller("tax", Role.OPERATOR, "li"),
            Caller("planning", Role.CLERK, "li"),
            Caller("planning", Role.SYSTEM, "li"),
            Caller("planning", Role.AUDITOR, "li"),
            Caller("planning", Role.REPLICA, "1"),
        ):
            assert await refused(server, "/backup/one", caller) is Code.CALLER_NOT_ALLOWED
        assert asked == []

    play(tmp_path, scenario)


@pytest.mark.parametrize("directory", ["", "backup", "./x", "/x\0y", "/" + "x" * 5_000])
def test_what_is_no_absolute_path_is_refused(tmp_path: Path, directory: str) -> None:
    async def scenario(server: Server) -> None:
        assert await refused(server, directory) is Code.INVALID_REQUEST

    play(tmp_path, scenario)


def test_one_backup_is_made_at_a_time_and_given_up_with_its_caller(tmp_path: Path) -> None:
    begun, may_end = threading.Event(), threading.Event()
    ended: list[HuzhengError] = []

    def make(target: Path, on_progress: OnProgress) -> bytes:
        begun.set()
        try:
            while not may_end.wait(0.01):
                on_progress("chain", 1, 0)
        except HuzhengError as error:
            ended.append(error)
            raise
        return b"manifest"

    async def scenario(server: Server) -> None:
        server.make_backup = make
        first = asyncio.ensure_future(back_up(server, "/backup/one"))
        await asyncio.to_thread(begun.wait, 10)
        assert await refused(server, "/backup/two") is Code.OVERLOADED
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        async with asyncio.timeout(10):
            while not ended:
                await asyncio.sleep(0.01)
        assert ended[0].code is Code.INTERRUPTED
        may_end.set()
        async with asyncio.timeout(10):
            while True:
                try:
                    assert (await back_up(server, "/backup/three"))[-1].manifest == b"manifest"
                    return
                except grpc.aio.AioRpcError as failure:
                    # The thread has ended; that is told a moment later.
                    assert from_rpc(failure).code is Code.OVERLOADED

    play(tmp_path, scenario)


def test_what_fails_is_told_with_its_code(tmp_path: Path) -> None:
    def make(target: Path, on_progress: OnProgress) -> bytes:
        raise HuzhengError(Code.BACKUP_TARGET_USED, str(target))

    async def scenario(server: Server) -> None:
        server.make_backup = make
        assert await refused(server, "/backup/one") is Code.BACKUP_TARGET_USED
        # And does not stand in the way of the next.
        assert await refused(server, "/backup/one") is Code.BACKUP_TARGET_USED

    play(tmp_path, scenario)
