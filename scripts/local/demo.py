"""Four departments, one chain: what one registers the others rely on, in under a minute.

Everything is real: four daemons with a database each, mutual TLS on loopback, PBFT, kill -9.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from scripts.local.demo_sharing import Sharing
from scripts.local.network import HUZHENG, ROOT, LocalNetwork, NetworkFailure, run_huzheng, wait_until

RECORDS = 1_000
MORE_RECORDS = 200
CATCH_UP_TIMEOUT_S = 30.0
RESOURCES = ("property.ownership", "property.mortgage", "property.seizure")


@dataclass
class Story:
    """Tells what happens, and how long each part took."""

    console: Console
    started: float = field(default_factory=time.monotonic)

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """One step of the story."""
        self.console.print(f"[bold]{title}[/bold]")
        begun = time.monotonic()
        yield
        self.console.print(f"  [dim]{time.monotonic() - begun:.1f} s[/dim]\n")

    def say(self, text: str) -> None:
        """What was seen."""
        self.console.print(f"  {text}", highlight=False)


class Demo:
    """The demo's steps, in order."""

    def __init__(self, directory: Path, story: Story) -> None:
        self.directory = directory
        self.story = story
        self.samples = directory / "samples"

    def run(self) -> LocalNetwork:
        """The whole story; the network is still up at its end."""
        story = self.story
        with story.step("1  A consortium of four departments: keys, certificates, genesis"):
            self.network = LocalNetwork.create(self.directory / "network")
            story.say(run_huzheng("--version").stdout.strip())
        try:
            self._with_network()
        except BaseException:
            self._kill_all()
            raise
        return self.network

    def _with_network(self) -> None:
        story, network = self.story, self.network
        with story.step("2  Four daemons: 规自委 planning, 税务 tax, 住建 housing, 公安 police"):
            network.start()
            story.say("all linked by mutual TLS and ready")
        with story.step(f"3  {RECORDS:,} synthetic records, submitted by the departments that own them"):
            self._submit("first", seed=1, count=RECORDS)
        with story.step(
            "4  The tax office checks what planning registered: offline, with nothing but the genesis file"
        ):
            receipts = self._fetch_and_verify()
        with story.step("5  A forged copy"):
            self._forge(receipts[0])
        with story.step(
            "6  Is it hers, and is nothing against it? A statement, proved under one block; then offline again"
        ):
            self._state()
        self._share()
        with story.step("12  kill -9 of a node; work goes on"):
            self._kill_one()
            self._compare()
        with story.step("13  All four databases, re-checked from the genesis"):
            network.stop()
            self._verify_databases()

    def _share(self) -> None:
        story, sharing = self.story, Sharing(self.network, self.directory, self.story.say)
        with story.step("7  Who owns it is nobody's business: confidential fields stay in planning's vault"):
            sharing.register()
        with story.step("8  The tax office applies for the owner's name, for the deed tax; planning grants it"):
            sharing.grant()
        with story.step("9  It reads one flat, on record; another one is refused"):
            sharing.read()
            sharing.refuse()
        with story.step("10  An auditor sees who read what, when, and on which grounds"):
            sharing.audit()
        with story.step("11  The person's data are erased, and the chain still verifies"):
            sharing.erase()

    def _submit(self, name: str, seed: int, count: int) -> None:
        directory = self.samples / name
        run_huzheng("sample-data", "--seed", str(seed), "--count", str(count), "--out", directory)
        begun = time.monotonic()
        # The tax office's records rely on planning's.
        self._submit_at_once(directory, ["planning"])
        self._submit_at_once(directory, [name for name in self.network.nodes if name != "planning"])
        seconds = time.monotonic() - begun
        self.story.say(f"{count:,} records final on four nodes in {seconds:.1f} s: {count / seconds:,.0f} a second")

    def _submit_at_once(self, directory: Path, departments: list[str]) -> None:
        running = {
            department: subprocess.Popen(
                [
                    *HUZHENG,
                    "--profile",
                    str(self.network.profile(department, "system")),
                    "submit",
                    str(directory / f"{department}.jsonl"),
                ],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                cwd=ROOT,
            )
            for department in departments
        }
        for department, process in running.items():
            output, errors = process.communicate()
            if process.returncode != 0:
                raise NetworkFailure(f"submit by {department}: exit {process.returncode}\n{output}{errors}")
            self.story.say(f"{department:9} {output.strip()}")

    def _fetch_and_verify(self) -> list[Path]:
        clerk = self.network.profile("tax", "clerk")
        receipts = []
        for resource in RESOURCES:
            listed = run_huzheng("--profile", clerk, "--output", "json", "record", "list", resource, "--limit", "1")
            record = json.loads(listed.stdout)["records"][0]
            path = self.directory / f"{resource}.receipt"
            run_huzheng("--profile", clerk, "receipt", "get", record["record_id"], "--out", path)
            verdict = run_huzheng("verify", path, "--genesis", self.network.genesis)
            self.story.say(
                f"{resource} of {record['subject']}, {path.stat().st_size} bytes: {first_line(verdict.stdout)}"
            )
            receipts.append(path)
        self._show_reliance(clerk)
        return receipts

    def _show_reliance(self, clerk: Path) -> None:
        listed = run_huzheng("--profile", clerk, "--output", "json", "record", "list", "tax.deed_tax", "--limit", "1")
        (relied,) = json.loads(listed.stdout)["records"][0]["relies_on"]
        found = run_huzheng("--profile", clerk, "--output", "json", "reliance", "list", relied["record_id"])
        reliance = json.loads(found.stdout)
        if not reliance["in_force"]:
            raise NetworkFailure("the tax office relies on what is not in force")
        for record in reliance["records"]:
            self.story.say(
                f"{record['resource']} of {record['department']} relies on {relied['resource']} of {relied['subject']}, in force"
            )

    def _forge(self, receipt: Path) -> None:
        forged = receipt.with_suffix(".forged")
        raw = bytearray(receipt.read_bytes())
        raw[len(raw) // 2] ^= 1
        forged.write_bytes(raw)
        verdict = run_huzheng("verify", forged, "--genesis", self.network.genesis, check=False)
        if verdict.returncode == 0:
            raise NetworkFailure("a forged receipt was accepted")
        self.story.say(
            f"one bit changed, exit status {verdict.returncode}: {first_line(verdict.stderr or verdict.stdout)}"
        )

    def _state(self) -> None:
        clerk, path = self.network.profile("tax", "clerk"), self.directory / "flat.statement"
        listed = run_huzheng(
            "--profile", clerk, "--output", "json", "record", "list", "property.ownership", "--limit", "1"
        )
        subject = json.loads(listed.stdout)["records"][0]["subject"]
        run_huzheng("--profile", clerk, "statement", "get", "property", subject, "--out", path)
        checked = run_huzheng("--output", "json", "verify", path, "--genesis", self.network.genesis, "--max-age", "10m")
        verdict = json.loads(checked.stdout)
        self.story.say(f"{subject}, {path.stat().st_size} bytes, as of block {verdict['height']}:")
        for answer in verdict["answers"]:
            what = f"in force, version {answer['version']}" if answer["in_force"] else "there is none"
            self.story.say(f"  {answer['resource']:24} {what}")

    def _compare(self) -> None:
        clerk = self.network.profile("tax", "clerk")
        found = json.loads(run_huzheng("--profile", clerk, "--output", "json", "chain", "compare").stdout)
        if not all(node["same_chain"] for node in found["nodes"]):
            raise NetworkFailure("the nodes do not have the same chain")
        self.story.say(
            f"{len(found['nodes'])} nodes prove that they have the same chain, up to block {found['height']}"
        )

    def _kill_one(self) -> None:
        victim = self.network.nodes["police"]
        victim.kill()
        self.story.say("the node of police is gone")
        directory = self.samples / "second"
        run_huzheng("sample-data", "--seed", "2", "--count", str(MORE_RECORDS), "--out", directory)
        profile = self.network.profile("planning", "system")
        submitted = run_huzheng("--profile", profile, "submit", directory / "planning.jsonl")
        self.story.say(f"planning  {submitted.stdout.strip()}")
        victim.start()
        victim.wait_ready()
        wait_until(self._equal_heights, CATCH_UP_TIMEOUT_S, "police catches up")
        self.story.say(f"police is back and has caught up: height {victim.height()}")

    def _equal_heights(self) -> bool:
        return len({node.height() for node in self.network.nodes.values()}) == 1

    def _verify_databases(self) -> None:
        tips = set()
        for department, node in self.network.nodes.items():
            checked = run_huzheng("--output", "json", "chain", "verify", "--home", node.directory)
            summary = json.loads(checked.stdout)
            tips.add((summary["height"], summary["block_hash"]))
            self.story.say(
                f"{department:9} height {summary['height']}, {summary['records']:,} records, "
                f"newest block {summary['block_hash'][:16]}…: verified"
            )
        if len(tips) != 1:
            raise NetworkFailure("the databases do not agree")
        self.story.say("all four agree")

    def _kill_all(self) -> None:
        for node in self.network.nodes.values():
            node.kill()


def first_line(text: str) -> str:
    """The line that says what came out."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def tell_what_next(network: LocalNetwork, console: Console) -> None:
    """Commands to try on a network that stays up, each whole on a line of its own, to be copied."""
    operator = network.profile("tax", "operator")
    daemons = " ".join(str(node.process.pid) for node in network.nodes.values() if node.process)
    console.print("The network is up. Try:", style="italic")
    for command, purpose in (
        (
            f"export PATH={Path(sys.executable).parent}:$PATH HUZHENG_PROFILE={operator}",
            "be an operator of the tax office",
        ),
        ("huzheng node status --all", "how the nodes are"),
        ("huzheng chain info", "departments, resources"),
        ("huzheng chain tail", "new blocks as they come, until Ctrl-C"),
        ("huzheng record list property.seizure", "what is seized"),
        ("huzheng chain compare", "have all nodes the same chain?"),
        (f"huzheng verify {network.directory.parent}/*.receipt -g {network.genesis}", "verify offline"),
        (f"kill {daemons}", "stop the daemons"),
    ):
        console.print(f"  # {purpose}", style="dim", markup=False, highlight=False)
        console.print(f"  {command}", markup=False, highlight=False)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the network up, with commands to try next")
    arguments = parser.parse_args()
    console = Console(soft_wrap=True)
    story = Story(console)
    directory = Path(tempfile.mkdtemp(prefix="huzheng-demo-"))
    try:
        network = Demo(directory, story).run()
    except NetworkFailure as failure:
        console.print(f"[red]FAILED[/red]: {failure}\nLogs are in {directory}", highlight=False)
        return 1
    console.print(f"[green]Done[/green] in {time.monotonic() - story.started:.1f} s. Files are in {directory}")
    if arguments.keep:
        network.start()
        tell_what_next(network, console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
