"""Over any sequence of operations a vault is what a plain dictionary would be, from several threads too, and when the disk is full."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ledger.errors import Code, HuzhengError
from node.vault import layout
from node.vault.secrets import VaultEntry
from tests.vaults import entry_of, new_vault, open_vault, places_in, record_id

ROOT = Path(__file__).resolve().parents[2]
NUMBERS = range(6)
TIMES = range(1, 5)

number = st.sampled_from(NUMBERS)
numbers = st.sets(number)


class VaultMachine(RuleBasedStateMachine):
    """A vault beside a dictionary of its entries and a set of what was erased."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._directory = Path(self._folder.name)
        self._vault = new_vault(self._directory)
        self._entries: dict[int, VaultEntry] = {}
        self._erased: set[int] = set()

    def teardown(self) -> None:
        self._vault.close()
        self._folder.cleanup()

    @rule(number=number, expires_ms=st.sampled_from([0, *TIMES]))
    def put(self, number: int, expires_ms: int) -> None:
        try:
            self._vault.put(record_id(number), entry_of(number, expires_ms=expires_ms))
        except HuzhengError as error:
            assert error.code is Code.VAULT_ERASED
            assert number in self._erased
            return
        assert number not in self._erased
        old = self._entries.get(number)
        if old is not None:
            expires_ms = max(old.expires_ms, expires_ms) if old.expires_ms and expires_ms else 0
        self._entries[number] = entry_of(number, expires_ms=expires_ms)

    @rule(numbers=numbers)
    def confirm(self, numbers: set[int]) -> None:
        self._vault.confirm(map(record_id, numbers))
        self._entries |= {number: entry_of(number) for number in numbers & self._entries.keys()}

    @rule(now_ms=st.sampled_from(TIMES))
    def expire(self, now_ms: int) -> None:
        due = {number for number, entry in self._entries.items() if 0 < entry.expires_ms <= now_ms}
        assert set(self._vault.expire(now_ms)) == set(map(record_id, due))
        self._entries = {number: entry for number, entry in self._entries.items() if number not in due}

    @rule(numbers=numbers)
    def erase(self, numbers: set[int]) -> None:
        assert self._vault.erase(map(record_id, numbers)) == len(numbers & self._entries.keys())
        self._erased |= numbers
        self._entries = {number: entry for number, entry in self._entries.items() if number not in numbers}

    @rule()
    def reopen(self) -> None:
        self._vault.close()
        self._vault = open_vault(self._directory)

    @invariant()
    def it_is_what_the_dictionary_is(self) -> None:
        for number in NUMBERS:
            assert self._vault.get(record_id(number)) == self._entries.get(number)
            assert self._vault.is_erased(record_id(number)) is (number in self._erased)


VaultMachine.TestCase.settings = settings(max_examples=15, stateful_step_count=12, deadline=None)
TestVaultAgainstADictionary = VaultMachine.TestCase


def test_threads_do_not_get_in_each_others_way(tmp_path: Path) -> None:
    with new_vault(tmp_path) as vault:

        def work(thread: int) -> None:
            for step in range(10):
                place = thread * 100 + step
                vault.put(record_id(place), entry_of(place))
                assert vault.get(record_id(place)) == entry_of(place)
                if step == 5:
                    vault.erase([record_id(place)])
                vault.persons.person_id("ID_CARD", f"TEST{step}", "样本")

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))
        snapshot, _ = vault._entries.snapshot()
        with snapshot:
            found = list(snapshot.scan(layout.PERSON, layout.after(layout.RECORD)))
        indices = [layout.parse(key, value).index for key, value in found]
        assert len(found) == len(set(indices)) == 4 * 9 + 10


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from ledger.errors import HuzhengError
from tests.vaults import entry_of, open_vault, record_id

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with open_vault(Path(sys.argv[1])) as vault:
    # Room for what the database notes, none for the keyring.
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    try:
        vault.erase([record_id(1)])
    except HuzhengError as error:
        print(error.code, vault.get(record_id(1)) == entry_of(1))
    try:
        for number in range(1000, 1100):
            vault.put(record_id(number), entry_of(number))
    except HuzhengError as error:
        print(error.code)
"""


def test_a_full_disk_is_said_so_and_what_was_begun_is_finished_when_there_is_room(tmp_path: Path) -> None:
    with new_vault(tmp_path, 200) as vault:
        vault.erase([record_id(number) for number in range(0, 200, 2)])
    assert places_in(tmp_path).keyring_file.stat().st_size > 4096 - 37 * 32
    with open_vault(tmp_path) as vault:
        vault.put_all({record_id(number): entry_of(number) for number in range(300, 500)})
        vault.erase([record_id(number) for number in range(300, 500, 2)])
    assert places_in(tmp_path).keyring_file.stat().st_size > 4096 + 500
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'proto'}"},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.stdout.splitlines() == ["STORE_DISK_FULL True", "STORE_DISK_FULL"], done.stderr
    with open_vault(tmp_path) as vault:
        assert vault.is_erased(record_id(1))
        assert vault.get(record_id(1)) is None
        assert vault.get(record_id(3)) == entry_of(3)
