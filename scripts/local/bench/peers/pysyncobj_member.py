"""One member of a pysyncobj cluster, which loads it when told: a line of JSON on standard input, latencies in seconds on standard output."""

from __future__ import annotations

import json
import sys
import threading
import time

from pysyncobj import SyncObj, SyncObjConf, replicated

from scripts.local.bench.peers.peer import VALUE_BYTES

READY = "ready"


class Values(SyncObj):  # type: ignore[misc]
    """What all members have."""

    def __init__(self, journal: str, address: str, others: list[str]) -> None:
        # Otherwise each write waits for the next heartbeat: 380 a second instead of 2,300.
        super().__init__(address, others, SyncObjConf(journalFile=journal, appendEntriesUseBatch=False))
        self._values: dict[str, str] = {}

    @replicated  # type: ignore[untyped-decorator]
    def put(self, key: str, value: str) -> None:
        """Keeps a value."""
        self._values[key] = value


class Client:
    """So many writes under way until time is up. Each answer, on the library's own thread, starts the next write."""

    def __init__(self, values: Values, seconds: float, outstanding: int) -> None:
        self._values = values
        self._end_s = time.monotonic() + seconds
        self._under_way = outstanding
        self._ended = threading.Event()
        self.latencies_s: list[float] = []

    def run(self) -> None:
        """Returns when all are answered."""
        for _ in range(self._under_way):
            self._write()
        self._ended.wait()

    def _write(self) -> None:
        since_s = time.monotonic()

        def answered(_: object, problem: int) -> None:
            now_s = time.monotonic()
            if problem == 0:
                self.latencies_s.append(now_s - since_s)
            if now_s < self._end_s:
                self._write()
            else:
                self._under_way -= 1
                if self._under_way == 0:
                    self._ended.set()

        self._values.put(f"{self._values.selfNode}:{time.monotonic_ns()}", "x" * VALUE_BYTES, callback=answered)


def main() -> None:
    """Arguments: the journal's file, the own address, those of the others."""
    values = Values(sys.argv[1], sys.argv[2], sys.argv[3:])
    values.waitReady()
    print(READY, flush=True)
    for line in sys.stdin:
        client = Client(values, **json.loads(line))
        client.run()
        print(json.dumps(client.latencies_s), flush=True)


if __name__ == "__main__":
    main()
