"""The printed page: what it says, in which words, and that it is the same each time (node/certificate/page.py)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pylopdf_fonts_zh_cn
import pypdfium2
import pytest
import segno
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from huzheng.v1 import catalogue_pb2
from hypothesis import given
from hypothesis import strategies as st

from ledger.catalogue import CompiledResource
from ledger.errors import Code, HuzhengError
from ledger.statement import Question, StatementVerdict, verify_statement
from node.catalogue_file import Title
from node.certificate import fonts
from node.certificate.codes import to_codes
from node.certificate.content import OWNERSHIP, property_content
from node.certificate.line_breaking import break_lines
from node.certificate.page import property_certificate_pdf
from node.certificate.sheet import QUIET_ZONE, qr_modules
from node.certificate.words import code_title
from tests.builders import UNIT, Consortium, unit_code
from tests.certificates import ALL_FIELDS, CERTIFICATE_NUMBER, MORTGAGE, SEIZURE, Property

MM_PER_POINT = 25.4 / 72


@pytest.fixture(scope="module")
def owned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Property]:
    made = Property(tmp_path_factory.mktemp("page") / "db", ALL_FIELDS)
    yield made
    made.store.close()


@pytest.fixture(scope="module")
def page(owned: Property) -> bytes:
    return printed(owned, owned.among(20))


def printed(owned: Property, statement: bytes, font: Path | None = None) -> bytes:
    return property_certificate_pdf(verify_statement(statement, owned.genesis), owned.genesis, statement, font)


def texts(pdf: bytes) -> list[str]:
    """What is written on each page, without spaces and line ends."""
    with pypdfium2.PdfDocument(pdf) as document:
        return ["".join(page.get_textpage().get_text_bounded().split()) for page in document]


def test_all_that_a_statement_says_is_on_one_page_that_can_be_searched(owned: Property, page: bytes) -> None:
    [text] = texts(page)
    verdict = verify_statement(owned.among(20), owned.genesis)
    assert "不动产权证书核验页" in text
    assert CERTIFICATE_NUMBER in text
    assert "110108001003GB00012F00070349" * 2 in text, "grouped and plain"
    for value in ALL_FIELDS.values():
        assert value in text
    for spec in owned.genesis.catalogue[OWNERSHIP].message.fields:
        assert spec.title_zh in text
    for words in (
        "成套住宅（11）",
        "按份共有（2）",
        "国有建设用地使用权/房屋所有权（4）",
        "抵押权有查封登记无异议登记无预告登记无",
    ):
        assert words in text
    for identifier in (verdict.chain_id, verdict.block_hash, verdict.answers[Question(OWNERSHIP, UNIT)].record_id):
        assert identifier.hex() in text
    assert "2020年09月13日20时26分41秒（北京时间），第3区块之后" in text
    assert "housing、planning、police（4个节点中的3个）" in text
    assert "huzhengverify" in text


def test_the_same_statement_makes_the_same_file(owned: Property, page: bytes) -> None:
    assert printed(owned, owned.among(20)) == page
    assert b"20200913202641" in page.replace(b"\0", b""), "made at the time of the block, and not now"


def test_it_is_a_small_a4_page_with_its_fonts_in_it(page: bytes) -> None:
    assert len(page) < 200_000
    with pypdfium2.PdfDocument(page) as document:
        assert [round(side * MM_PER_POINT) for side in document[0].get_size()] == [210, 297]
    assert page.count(b"/FontFile3") == 2


def test_without_a_mortgage_it_says_that_there_is_none(tmp_path: Path) -> None:
    free = Property(tmp_path / "db", mortgaged=False)
    [text] = texts(printed(free, free.statement()))
    assert "抵押权无查封登记无" in text
    free.store.close()


def test_what_a_statement_leaves_open_is_called_not_stated(owned: Property) -> None:
    raw = owned.store.statement([Question(OWNERSHIP, UNIT), Question(SEIZURE, UNIT)], with_records=True)
    [text] = texts(printed(owned, raw))
    assert "抵押权未载明查封登记无异议登记未载明预告登记未载明" in text


def refusal(owned: Property, raw: bytes) -> tuple[Code, str]:
    with pytest.raises(HuzhengError) as caught:
        property_content(verify_statement(raw, owned.genesis), owned.genesis)
    return caught.value.code, caught.value.detail


def test_a_statement_that_shows_no_ownership_makes_no_certificate(owned: Property, tmp_path: Path) -> None:
    ask = owned.store.statement
    code, detail = refusal(owned, owned.statement(with_records=False))
    assert (code, "lacks its record" in detail) == (Code.BAD_FILE, True)
    code, detail = refusal(owned, ask([Question(MORTGAGE, UNIT)], with_records=True))
    assert (code, "says nothing" in detail) == (Code.BAD_FILE, True)
    code, detail = refusal(
        owned, ask([Question(OWNERSHIP, UNIT), Question(OWNERSHIP, unit_code(9))], with_records=True)
    )
    assert (code, "more than one" in detail) == (Code.BAD_FILE, True)
    code, detail = refusal(owned, ask([Question(OWNERSHIP, unit_code(9))], with_records=True))
    assert (code, "never was registered" in detail) == (Code.NOT_FOUND, True)
    sold = Property(tmp_path / "db", sold=True)
    code, detail = refusal(sold, sold.statement())
    assert (code, "was revoked" in detail) == (Code.NOT_FOUND, True)
    sold.store.close()


# --- the codes on it ---


@pytest.mark.parametrize("note", ["", "注" * 100, "注" * 250], ids=["large", "smaller", "on the next page"])
def test_codes_are_at_least_so_large_that_a_telephone_reads_them(owned: Property, note: str) -> None:
    """Measured on the page, which has less room for them the more the record says."""
    raw = owned.among(21)
    with pypdfium2.PdfDocument(with_values(owned, {"YWH": note or "1"}, statement=raw)) as document:
        areas = [
            o.get_bounds() for page in document for o in page.get_objects() if o.type == pypdfium2.raw.FPDF_PAGEOBJ_PATH
        ]
    sides = [
        (right - left) * MM_PER_POINT for left, bottom, right, top in areas if abs(right - left - top + bottom) < 1
    ]
    codes = [side for side in sides if side > 20]
    assert len(codes) == 2
    for side, text in zip(codes, to_codes(raw), strict=True):
        assert 0.40 <= side / len(qr_modules(text)) < 0.70


def test_codes_are_as_segno_makes_them_with_error_correction_m(owned: Property) -> None:
    text = to_codes(owned.statement())[0]
    code = segno.make_qr(text, error="m", mode="alphanumeric", boost_error=False)
    assert (code.error, code.mode) == ("M", "alphanumeric")
    assert [list(row) for row in qr_modules(text)] == [list(row) for row in code.matrix]
    assert QUIET_ZONE == 4


# --- long and odd values ---


def with_values(
    owned: Property, values: dict[str, str], network: str = "test", statement: bytes | None = None
) -> bytes:
    """The page of a statement whose record said something else."""
    raw = statement or owned.statement()
    verdict = verify_statement(raw, owned.genesis)
    question = Question(OWNERSHIP, UNIT)
    answer = verdict.answers[question]
    assert answer.record is not None
    assert answer.record.values is not None
    record = replace(answer.record, values=answer.record.values | values)
    changed: StatementVerdict = replace(verdict, answers={**verdict.answers, question: replace(answer, record=record)})
    return property_certificate_pdf(changed, replace(owned.genesis, name=network), raw)


def test_long_values_wrap_and_take_as_many_pages_as_they_need(owned: Property) -> None:
    address = "某市某区某街道某小区" * 60
    pages = texts(with_values(owned, {"YWH": address, "DJJG": "X" * 400}))
    assert len(pages) == 2
    assert address in pages[0]
    assert "X" * 400 in pages[0]
    assert UNIT in pages[1], "its other pages say whose they are"
    assert "码一" in pages[1]
    right = 194 / MM_PER_POINT + 1
    with pypdfium2.PdfDocument(with_values(owned, {"YWH": address})) as document:
        for page in document:
            written = [o.get_bounds() for o in page.get_objects() if o.type == pypdfium2.raw.FPDF_PAGEOBJ_TEXT]
            assert max(bounds[2] for bounds in written) <= right
            assert min(bounds[1] for bounds in written) > 10 / MM_PER_POINT


def test_a_character_that_the_font_lacks_is_seen_to_be_missing(owned: Property) -> None:
    [text] = texts(with_values(owned, {"YWH": "甲\U0001f600乙\u0001丙"}, network="网\u0600络"))
    assert "甲〓乙〓丙" in text
    assert "网〓络" in text


def ideographs(text: str) -> float:
    """The width of a text in a font whose other characters have half of an ideograph's."""
    return sum(1.0 if ord(c) > 0x2E7F else 0.5 for c in text)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("不动产权", ["不动产权"]),
        ("不动产权证书", ["不动产权", "证书"]),
        ("不动产权，证书", ["不动产", "权，证书"]),
        ("见（不动产）证", ["见（不动", "产）证"]),
        ("不动产（见证）", ["不动产", "（见证）"]),
        ("ab cd ef gh ij", ["ab cd ef", "gh ij"]),
        ("不动产 huzheng", ["不动产", "huzheng"]),
        ("0123456789abcdef", ["01234567", "89abcdef"]),
        ("一\n二", ["一", "二"]),
        ("", [""]),
    ],
)
def test_lines_break_as_chinese_is_set(text: str, lines: list[str]) -> None:
    assert break_lines(text, 4.0, ideographs) == lines


@given(st.text(), st.floats(3, 20))
def test_breaking_lines_loses_nothing_but_spaces(text: str, width: float) -> None:
    lines = break_lines(text, width, ideographs)
    assert all(ideographs(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


# --- words ---


def test_codes_are_put_into_words_only_where_they_surely_mean_that() -> None:
    resource = Consortium().genesis.catalogue[OWNERSHIP].message
    use = next(spec for spec in resource.fields if spec.name == "GHYT")
    assert code_title(OWNERSHIP, use, "11") == Title("成套住宅", "self-contained dwelling")
    assert code_title(OWNERSHIP, use, "12345") is None
    assert code_title("property.mortgage", use, "11") is None
    other = catalogue_pb2.FieldSpec.FromString(use.SerializeToString())
    other.codes.append("99")
    assert code_title(OWNERSHIP, other, "11") is None
    area = next(spec for spec in resource.fields if spec.name == "JZMJ")
    assert code_title(OWNERSHIP, area, "11") is None


def test_a_code_without_words_is_shown_bare(owned: Property) -> None:
    resource = catalogue_pb2.Resource.FromString(owned.genesis.catalogue[OWNERSHIP].message.SerializeToString())
    next(spec for spec in resource.fields if spec.name == "GHYT").title_zh = "用途"
    catalogue = dict(owned.genesis.catalogue) | {OWNERSHIP: CompiledResource(resource)}
    genesis = replace(owned.genesis, catalogue=catalogue)
    content = property_content(verify_statement(owned.statement(), owned.genesis), genesis)
    assert [field.value for field in content.fields if field.title == "用途"] == ["11"]


# --- fonts ---


def test_a_font_can_be_named(owned: Property, page: bytes) -> None:
    [text] = texts(printed(owned, owned.statement(), pylopdf_fonts_zh_cn.sans_path()))
    assert CERTIFICATE_NUMBER in text


def test_a_font_without_chinese_is_refused(owned: Property, tmp_path: Path) -> None:
    builder = FontBuilder(1000)
    builder.setupGlyphOrder([".notdef", "A"])
    builder.setupCharacterMap({65: "A"})
    builder.setupGlyf({name: TTGlyphPen(None).glyph() for name in (".notdef", "A")})
    builder.setupHorizontalMetrics(dict.fromkeys((".notdef", "A"), (600, 0)))
    builder.setupHorizontalHeader()
    builder.setupPost()
    builder.save(tmp_path / "latin.ttf")
    with pytest.raises(HuzhengError) as caught:
        printed(owned, owned.statement(), tmp_path / "latin.ttf")
    assert caught.value.code is Code.BAD_FILE
    assert "lacks" in caught.value.detail


@pytest.mark.parametrize("name", ["font.otf", "font.ttf", "font.ttc", "font.txt"])
def test_a_file_that_is_no_font_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"OTTO" + bytes(100))
    with pytest.raises(HuzhengError) as caught:
        fonts.find_fonts(tmp_path / name)
    assert caught.value.code is Code.BAD_FILE
    with pytest.raises(HuzhengError) as caught:
        fonts.find_fonts(tmp_path / f"no {name}")
    assert caught.value.code is (Code.BAD_FILE if name.endswith("txt") else Code.FILE_ACCESS)


def test_without_the_packaged_fonts_those_of_the_system_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    sans = pylopdf_fonts_zh_cn.sans_path()
    monkeypatch.setitem(sys.modules, "pylopdf_fonts_zh_cn", None)
    monkeypatch.setattr(fonts, "SYSTEM_FONTS", (Path("/nowhere.ttc"), sans))
    assert fonts.find_fonts().serif.path == sans
    monkeypatch.setattr(fonts, "SYSTEM_FONTS", ())
    with pytest.raises(HuzhengError) as caught:
        fonts.find_fonts()
    assert caught.value.code is Code.EXTRA_MISSING
