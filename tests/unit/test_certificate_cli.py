"""`huzheng certificate`: from a statement file to a page, or a clear reason why not (node/cli/certificate.py)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from huzheng.v1 import ledger_service_pb2 as pb

from ledger.statement import Question
from node.catalogue import Catalogue
from node.certificate.codes import from_codes
from node.certificate.content import OWNERSHIP
from node.certificate.scanning import read_codes
from node.cli.output import Output, OutputFormat
from node.cli.show import located_pairs
from node.cli.texts import Texts
from node.queries import Queries
from tests.builders import UNIT, Consortium
from tests.certificates import CERTIFICATE_NUMBER, MORTGAGE, Property
from tests.command_line import CommandLine


@pytest.fixture
def huzheng(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CommandLine:
    for name in ("LANG", "LC_ALL", "LC_MESSAGES", "HUZHENG_PROFILE", "HUZHENG_GENESIS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return CommandLine(capsys)


@pytest.fixture(scope="module")
def owned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Property]:
    made = Property(tmp_path_factory.mktemp("cli") / "db")
    yield made
    made.store.close()


@pytest.fixture(autouse=True)
def files(owned: Property, tmp_path: Path) -> None:
    (tmp_path / "genesis.bin").write_bytes(owned.genesis.raw)
    (tmp_path / "flat.statement").write_bytes(owned.statement())


MAKE = ("certificate", "--statement", "flat.statement", "-g", "genesis.bin", "--out", "page.pdf")


def test_a_statement_file_becomes_a_page_that_carries_it(huzheng: CommandLine, owned: Property) -> None:
    ran = huzheng(*MAKE)
    assert ran.status == 0, ran.err
    assert "Certificate written to page.pdf" in ran.out
    assert from_codes(read_codes(Path("page.pdf"))) == owned.statement()
    first = Path("page.pdf").read_bytes()
    view = huzheng(*MAKE, "-o", "json").json
    assert (view["file"], view["subject"], view["certificate_number"]) == ("page.pdf", UNIT, CERTIFICATE_NUMBER)
    assert view["bytes"] == len(first)
    assert Path("page.pdf").read_bytes() == first


@pytest.mark.parametrize(("language", "word"), [("en", "current"), ("zh", "现势")])
@pytest.mark.parametrize("kind", ["statement", "receipt", "as a node tells it"])
def test_codes_are_shown_on_the_terminal_with_what_they_mean_too(
    huzheng: CommandLine,
    owned: Property,
    capsys: pytest.CaptureFixture[str],
    kind: str,
    language: Literal["en", "zh"],
    word: str,
) -> None:
    reader = Queries(owned.genesis, owned.store)
    located = reader.record(pb.GetRecordRequest(resource=OWNERSHIP, subject=UNIT)).record
    receipt = reader.receipt(pb.GetReceiptRequest(record_id=located.record_id)).receipt
    Path("flat.receipt").write_bytes(receipt)
    if kind == "as a node tells it":
        out = Output(OutputFormat.TABLE, Texts(language))
        out.pairs("", located_pairs(out, Catalogue(owned.genesis), located))
        shown = capsys.readouterr().out
    else:
        shown = huzheng("verify", f"flat.{kind}", "-g", "genesis.bin", "--lang", language).out
    found = [line.split()[-2:] for line in shown.splitlines() if "(QSZT)" in line]
    # A statement shows the mortgage's too.
    assert found == [["1", word]] * (2 if kind == "statement" else 1)
    assert huzheng("verify", "flat.receipt", "-g", "genesis.bin", "-o", "json").json["record"]["fields"]["QSZT"] == "1"


@pytest.mark.parametrize("change", ["altered", "no record", "no ownership", "no statement"])
def test_what_proves_no_ownership_makes_no_page(huzheng: CommandLine, owned: Property, change: str) -> None:
    raw = owned.statement()
    wrong, status, code = {
        "altered": (raw[:300] + bytes([raw[300] ^ 1]) + raw[301:], 4, "BAD_CERTIFICATE"),
        "no record": (owned.statement(with_records=False), 3, "BAD_FILE"),
        "no ownership": (owned.store.statement([Question(MORTGAGE, UNIT)], with_records=True), 3, "BAD_FILE"),
        "no statement": (b"hello", 3, "NOT_STRICT"),
    }[change]
    Path("flat.statement").write_bytes(wrong)
    ran = huzheng(*MAKE)
    assert (ran.status, code in ran.err) == (status, True), ran.err
    assert not Path("page.pdf").exists()


def test_an_ownership_that_is_not_in_force_makes_no_page(huzheng: CommandLine, tmp_path: Path) -> None:
    sold = Property(tmp_path / "db", sold=True)
    Path("flat.statement").write_bytes(sold.statement())
    ran = huzheng(*MAKE)
    assert (ran.status, "NOT_FOUND" in ran.err, "was revoked" in ran.err) == (6, True, True)
    sold.store.close()


def test_a_statement_of_another_chain_makes_no_page(huzheng: CommandLine) -> None:
    Path("genesis.bin").write_bytes(Consortium(n=7).genesis.raw)
    assert huzheng(*MAKE).status != 0
    assert not Path("page.pdf").exists()


def test_a_font_that_is_none_is_named(huzheng: CommandLine) -> None:
    Path("font.otf").write_bytes(b"no font")
    ran = huzheng(*MAKE, "--font", "font.otf")
    assert (ran.status, "font.otf: not a font" in ran.err) == (3, True)


def test_without_the_libraries_it_says_which_extra_to_install(
    huzheng: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [name for name in sys.modules if name.startswith("node.certificate.")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "segno", None)
    ran = huzheng(*MAKE)
    assert ran.status == 9
    assert "EXTRA_MISSING" in ran.err
    assert "(the library segno)" in ran.err
    assert "huzheng[certificates]" in ran.err


def test_other_commands_do_not_load_these_libraries() -> None:
    """`huzheng --help` starts fast, and works without the extra."""
    program = (
        "import sys\n"
        "from node.cli.main import run\n"
        "assert run(['certificate', '--help']) == 0\n"
        "loaded = {'fpdf', 'segno', 'PIL', 'pypdfium2', 'zxingcpp', 'base45', 'fontTools'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr
