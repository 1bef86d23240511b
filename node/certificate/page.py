"""The property certificate as a printable PDF: what a statement says, and the codes that prove it."""

from __future__ import annotations

import re
from pathlib import Path

from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis
from ledger.statement import StatementVerdict
from node.certificate.codes import to_codes
from node.certificate.content import Content, Encumbrance, Field, property_content
from node.certificate.fonts import Font, find_fonts
from node.certificate.sheet import BOTTOM, GREY, LEFT, MISSING, QUIET_ZONE, RED, RIGHT, Cell, Sheet, Style, qr_modules

MODULE_MM = 0.40
"""The least side of a code's module: half of it is still two dots of a poor printer, and a telephone reads it."""
LARGEST_CODE_MM = 78.0
_BELOW_CODES, _BETWEEN_NOTES = 1.5, 0.5

_TITLE = "不动产权证书核验页"
_TITLE_EN = "PROPERTY CERTIFICATE · VERIFICATION PAGE"
_UNIT_CODE = "不动产单元号"
_NETWORK = "账本网络"
_CHAIN, _BLOCK, _RECORD = "链标识", "区块哈希", "记录标识"
_OWNERSHIP, _OWNERSHIP_EN = "权利登记", "Ownership as registered"
_ENCUMBRANCES, _ENCUMBRANCES_EN = "权利限制", "Encumbrances"
_STATE, _STATE_EN = "登记状态", "State of the register"
_AS_OF, _SEALED_BY, _VERSION = "截止时间", "签章部门", "登记版本"
_TIME = "{:%Y年%m月%d日 %H时%M分%S秒}（北京时间），第 {} 区块之后"
_SEALS = "{}（{} 个节点中的 {} 个）"
_NTH = "第 {} 版，现行有效"
_YES, _NO, _NOT_STATED = "有", "无", "未载明"
_CAPTIONS = (("码一 证明", "Code 1: proof"), ("码二 记录", "Code 2: record"))
_NOTES = (
    "核验方法：执行 huzheng verify 文件 --genesis genesis.bin，文件为本页的 PDF、扫描件或照片，须含全部两个码；无需联网。",
    "本页文字仅在与二维码核验结果一致时可信，以核验结果为准。所载为截止时间的登记状态，此后的变化请另行查询。",
    "自然人以随机标识表示，本页及二维码均不含姓名和证件号码。",
    "Check it offline: huzheng verify FILE --genesis genesis.bin; FILE is this PDF, a scan or a photograph with both codes. "
    "What is printed counts only as far as the codes confirm it. Persons appear by random ids.",
)
_HEADING = Style("serif", 10.5, RED)
_HEADING_EN = Style("sans", 7, GREY, "right")
_LABEL = Style("sans", 7.5, GREY)
_VALUE = Style("serif", 9)
_ID = Style("sans", 8.2)
_IS_ID = re.compile(r"[0-9a-f]{32,}")
_SMALL = Style("sans", 6.8, GREY)
_LABEL_WIDTH = 29.0


def property_certificate_pdf(
    verdict: StatementVerdict, genesis: Genesis, statement: bytes, font: Path | None = None
) -> bytes:
    """The page of a statement about a property, on A4. The same input and fonts make the same bytes.

    Args:
        verdict: What `verify_statement` found `statement` to prove.
        font: A font file to set it in, instead of those that are installed.

    Raises:
        HuzhengError: as `property_content`, `to_codes` and `find_fonts`; BAD_FILE if the font lacks Chinese characters.
    """
    content = property_content(verdict, genesis)
    codes = to_codes(statement)
    fonts = find_fonts(font)
    for used in (fonts.serif, fonts.sans):
        _check_font(used)
    sheet = Sheet(
        fonts,
        title=f"{_TITLE} {content.certificate_number or content.unit_code}",
        subject=f"{content.unit_code}, block {content.height}",
        author=content.network,
        created=content.time,
        running_title=f"{_TITLE} · {_UNIT_CODE} {content.unit_code}",
    )
    _head(sheet, content)
    _ownership(sheet, content)
    _encumbrances(sheet, content.encumbrances)
    _state(sheet, content)
    _codes_and_notes(sheet, codes)
    return sheet.to_pdf()


def _check_font(font: Font) -> None:
    """One that has all characters of these texts is one for Chinese."""
    lacking = {ord(c) for c in "".join((_TITLE, _UNIT_CODE, MISSING, *_NOTES))} - font.characters
    if lacking:
        raise HuzhengError(Code.BAD_FILE, f"{font.path}: the font lacks {len(lacking)} of the characters needed")


def _head(sheet: Sheet, content: Content) -> None:
    sheet.write(_TITLE, Style("serif", 21, RED, "center"))
    sheet.write(_TITLE_EN, Style("sans", 7.5, GREY, "center"))
    sheet.skip(2.5)
    if content.certificate_number:
        sheet.write(content.certificate_number, Style("serif", 13, align="center"))
        sheet.skip(1.5)
    sheet.rule()
    sheet.skip(2)
    value = RIGHT - LEFT - _LABEL_WIDTH
    grouped = Cell(value * 0.56, content.grouped_unit_code, Style("serif", 11.5))
    plain = Cell(value * 0.44, content.unit_code, Style("sans", 8, GREY, "center"))
    sheet.row([Cell(_LABEL_WIDTH, _UNIT_CODE, _LABEL, is_tinted=True), grouped, plain])
    sheet.row([Cell(_LABEL_WIDTH, _NETWORK, _LABEL, is_tinted=True), Cell(value, content.network, _VALUE)])


def _heading(sheet: Sheet, chinese: str, english: str, height_below: float) -> None:
    """A heading, on the same page as what follows."""
    sheet.need(height_below + 10)
    sheet.skip(2.6)
    top = sheet.y
    sheet.write(english, _HEADING_EN)
    sheet.y = top
    sheet.write(chinese, _HEADING)
    sheet.skip(0.8)


def _ownership(sheet: Sheet, content: Content) -> None:
    _heading(sheet, f"{_OWNERSHIP} · {content.record_title}", _OWNERSHIP_EN, 12)
    waiting: list[Field] = []
    for field in content.fields:
        if not _fits_half(sheet, field):
            _field_row(sheet, waiting)
            _field_row(sheet, [field])
            waiting = []
            continue
        waiting.append(field)
        if len(waiting) == 2:
            _field_row(sheet, waiting)
            waiting = []
    _field_row(sheet, waiting)


def _fits_half(sheet: Sheet, field: Field) -> bool:
    return sheet.fits_on_a_line(field.value, _style(field), (RIGHT - LEFT) / 2 - _LABEL_WIDTH - 3)


def _style(field: Field) -> Style:
    """Random ids are compared digit by digit, and there are two in a row."""
    return _ID if _IS_ID.fullmatch(field.value) else _VALUE


def _field_row(sheet: Sheet, fields: list[Field]) -> None:
    if not fields:
        return
    width = (RIGHT - LEFT) / len(fields) - _LABEL_WIDTH
    cells = []
    for field in fields:
        # What a title has in brackets goes on a line of its own, if it can't be on the same.
        fits = sheet.fits_on_a_line(field.title, _LABEL, _LABEL_WIDTH - 3)
        title = field.title if fits else field.title.replace("(", "\n(", 1)
        cells += [Cell(_LABEL_WIDTH, title, _LABEL, is_tinted=True), Cell(width, field.value, _style(field))]
    sheet.row(cells)


def _encumbrances(sheet: Sheet, encumbrances: tuple[Encumbrance, ...]) -> None:
    if not encumbrances:
        return
    _heading(sheet, _ENCUMBRANCES, _ENCUMBRANCES_EN, 10)
    width = (RIGHT - LEFT) / len(encumbrances)
    cells = []
    for encumbrance in encumbrances:
        word, ink = {True: (_YES, RED), False: (_NO, _VALUE.ink), None: (_NOT_STATED, GREY)}[encumbrance.is_in_force]
        cells += [
            Cell(width * 0.5, encumbrance.title, _LABEL, is_tinted=True),
            Cell(width * 0.5, word, Style("serif", 10, ink, "center")),
        ]
    sheet.row(cells)


def _state(sheet: Sheet, content: Content) -> None:
    _heading(sheet, _STATE, _STATE_EN, 20)
    rows = (
        (_AS_OF, _TIME.format(content.time, content.height), _VALUE),
        (_SEALED_BY, _SEALS.format("、".join(content.sealed_by), content.replicas, content.quorum), _VALUE),
        (_CHAIN, content.chain_id.hex(), _SMALL),
        (_BLOCK, content.block_hash.hex(), _SMALL),
        (_RECORD, f"{content.record_id.hex()}（{_NTH.format(content.record_version)}）", _SMALL),
    )
    for label, text, style in rows:
        sheet.row(
            [Cell(_LABEL_WIDTH, label, _LABEL, is_tinted=True), Cell(RIGHT - LEFT - _LABEL_WIDTH, text, style)], 0.7
        )


def _codes_and_notes(sheet: Sheet, codes: list[str]) -> None:
    """Codes side by side, as large as the page has room for, on the next page if they would become too small."""
    caption = Style("sans", 7.5, GREY, "center")
    notes = sum(sheet.height_of(note, _SMALL, RIGHT - LEFT) + _BETWEEN_NOTES for note in _NOTES)
    beside = caption.line_height + _BELOW_CODES + notes
    drawn = [qr_modules(text) for text in codes]
    sheet.need(max(len(modules) + 2 * QUIET_ZONE for modules in drawn) * MODULE_MM + beside)
    side = min(LARGEST_CODE_MM, sheet.room - beside)
    between = (RIGHT - LEFT - side * len(codes)) / (len(codes) + 1)
    top, left = sheet.y + (sheet.room - side - beside) / 2, LEFT + between
    for modules, (chinese, english) in zip(drawn, _CAPTIONS, strict=True):
        sheet.code(modules, left, top, side)
        sheet.y = top + side
        sheet.write(f"{chinese} · {english}", caption, left, left + side)
        left += side + between
    sheet.y = BOTTOM - notes
    for note in _NOTES:
        sheet.write(note, _SMALL)
        sheet.skip(_BETWEEN_NOTES)
