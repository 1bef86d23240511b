"""Codes are read from PDFs, scans and bad photographs, and no file makes a reader do more than refuse (node/certificate/scanning.py)."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from struct import pack

import pypdfium2
import pytest
import segno
from fpdf import FPDF
from fpdf.enums import AccessPermission
from PIL import Image, ImageDraw, ImageFilter

from ledger.errors import Code, HuzhengError
from ledger.statement import verify_statement
from node.certificate import scanning
from node.certificate.codes import from_codes, to_codes
from node.certificate.page import property_certificate_pdf
from node.certificate.scanning import MAX_FILE_BYTES, MAX_PAGES, read_codes
from node.printed import looks_printed
from tests.certificates import ALL_FIELDS, Property

Change = Callable[[Image.Image], Image.Image]


@pytest.fixture(scope="module")
def owned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Property]:
    made = Property(tmp_path_factory.mktemp("scanning") / "db", ALL_FIELDS)
    yield made
    made.store.close()


@pytest.fixture(scope="module")
def statement(owned: Property) -> bytes:
    """The largest that is to be expected: among two million keys."""
    return owned.among(21)


@pytest.fixture(scope="module")
def pdf(owned: Property, statement: bytes) -> bytes:
    return property_certificate_pdf(verify_statement(statement, owned.genesis), owned.genesis, statement)


@pytest.fixture(scope="module", params=[200, 300], ids=lambda dpi: f"{dpi} dpi")
def scan(request: pytest.FixtureRequest, pdf: bytes) -> Image.Image:
    """The page as a scanner sees it."""
    with pypdfium2.PdfDocument(pdf) as document:
        picture: Image.Image = document[0].render(scale=request.param / 72).to_pil().convert("RGB")
    return picture


def to_file(picture: Image.Image, kind: str = "PNG", **options: int) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


# --- what is read ---


def test_a_printed_page_says_what_the_statement_said(pdf: bytes, statement: bytes, tmp_path: Path) -> None:
    codes = read_codes(pdf)
    assert sorted(codes) == sorted(to_codes(statement))
    assert from_codes(codes) == statement
    path = tmp_path / "certificate.pdf"
    path.write_bytes(pdf)
    assert read_codes(path) == codes


def rotated(degrees: float) -> Change:
    return lambda picture: picture.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor="grey")


def blurred(picture: Image.Image) -> Image.Image:
    return picture.filter(ImageFilter.GaussianBlur(1.2))


def halved(picture: Image.Image) -> Image.Image:
    return picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.BILINEAR)


def small(picture: Image.Image) -> Image.Image:
    """Less than two dots for a module."""
    width = 1_080
    return picture.resize((width, picture.height * width // picture.width), Image.Resampling.BOX)


def as_jpeg(picture: Image.Image) -> Image.Image:
    return Image.open(io.BytesIO(to_file(picture, "JPEG", quality=40)))


def in_shadow(picture: Image.Image) -> Image.Image:
    """Light from one side only."""
    light = Image.linear_gradient("L").rotate(90).point(lambda value: 70 + value * 185 // 255).resize(picture.size)
    return Image.composite(picture, Image.new("RGB", picture.size), light)


def aslant(picture: Image.Image) -> Image.Image:
    """As if held at an angle: a side is shorter than the other."""
    width, height = picture.size
    corners = (-0.02 * width, 0, 0.03 * width, height, 1.01 * width, 0.97 * height, 1.04 * width, 0.04 * height)
    return picture.transform(picture.size, Image.Transform.QUAD, corners, Image.Resampling.BICUBIC, fillcolor="grey")


def noisy(picture: Image.Image) -> Image.Image:
    return Image.blend(picture, Image.effect_noise(picture.size, 90).convert("RGB"), 0.25)


BAD_PICTURES: dict[str, list[Change]] = {
    "as it is": [],
    "a little askew": [rotated(4)],
    "on its side": [rotated(93)],
    "on its head": [rotated(178)],
    "blurred": [blurred],
    "JPEG of quality 40": [as_jpeg],
    "half the size": [halved],
    "in shadow": [in_shadow],
    "aslant": [aslant],
    "noisy": [noisy],
    "a bad photograph": [rotated(-3), aslant, in_shadow, blurred, as_jpeg],
    "small, askew and out of focus": [
        rotated(20),
        small,
        lambda picture: picture.filter(ImageFilter.GaussianBlur(0.5)),
    ],
    "half of a bad photograph": [rotated(3), halved, as_jpeg],
}


@pytest.mark.parametrize("changes", BAD_PICTURES.values(), ids=BAD_PICTURES)
def test_a_bad_picture_says_what_the_statement_said(scan: Image.Image, statement: bytes, changes: list[Change]) -> None:
    picture = scan
    for change in changes:
        picture = change(picture)
    assert from_codes(read_codes(to_file(picture))) == statement


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF"])
def test_pictures_of_all_usual_kinds_are_read(scan: Image.Image, statement: bytes, kind: str) -> None:
    file = to_file(halved(scan) if scan.width > 2_000 else scan, kind)
    assert looks_printed(file)
    assert from_codes(read_codes(file)) == statement


def code_picture(text: str) -> Image.Image:
    file = io.BytesIO()
    segno.make_qr(text, error="m").save(file, kind="png", scale=4)
    return Image.open(file)


def test_a_transparent_picture_is_read_as_on_white_paper() -> None:
    """Whatever colour it has where it can't be seen."""
    code = code_picture("HZ1:BB8").convert("L")
    picture = Image.new("RGBA", code.size, "black")
    picture.putalpha(code.point(lambda value: 255 - value))
    assert read_codes(to_file(picture)) == ["HZ1:BB8"]


def test_the_pages_of_a_scan_are_read_together(statement: bytes) -> None:
    """One code a page, one of them twice."""
    first, second = (code_picture(text).convert("L") for text in to_codes(statement))
    file = io.BytesIO()
    first.save(file, "TIFF", save_all=True, append_images=[second, first])
    assert from_codes(read_codes(file.getvalue())) == statement


def test_codes_of_others_are_passed_over() -> None:
    paper = Image.new("L", (1_000, 400), 255)
    paper.paste(code_picture("https://example.org/"), (20, 20))
    paper.paste(code_picture("HZ1:BB8"), (520, 20))
    assert read_codes(to_file(paper)) == ["HZ1:BB8"]
    assert read_codes(to_file(Image.new("L", (300, 300), 255))) == []


def test_a_code_that_was_drawn_over_is_not_read_as_another(scan: Image.Image, statement: bytes) -> None:
    """Some damage is repaired, more is refused; never does something else come out."""
    codes = to_codes(statement)
    spot = scan.width // 60
    outcomes = set()
    for number in (1, 5, 14):
        damaged, random = scan.copy(), Random(number)
        draw = ImageDraw.Draw(damaged)
        for _ in range(number * number):
            x, y = random.randrange(scan.width), random.randrange(scan.height * 3 // 5, scan.height * 9 // 10)
            draw.rectangle((x, y, x + spot, y + spot), fill=random.choice(("black", "white")))
        found = read_codes(to_file(damaged))
        assert set(found) <= set(codes)
        outcomes.add(len(found))
    assert 2 in outcomes
    assert outcomes & {0, 1}


def test_an_altered_statement_in_a_sound_code_is_refused(owned: Property, statement: bytes) -> None:
    """Whoever can print can print any code; what is in it is what is verified."""
    for position in range(10, len(statement), 97):
        altered = statement[:position] + bytes([statement[position] ^ 1]) + statement[position + 1 :]
        try:
            codes = to_codes(altered)
        except HuzhengError as error:
            assert error.code is Code.NOT_STRICT
            continue
        with pytest.raises(HuzhengError):
            verify_statement(from_codes(codes), owned.genesis)


@pytest.mark.parametrize(("left", "read"), [(410, []), (100, ["HZ1:QED8WEX0"])], ids=["beside", "on"])
def test_only_what_a_page_shows_is_read(left: float, read: list[str]) -> None:
    """Not an attachment, a text, or a code beside the paper."""
    pdf = FPDF(unit="pt", format=(400, 400))
    pdf.add_page()
    pdf.set_font("helvetica", size=9)
    pdf.text(20, 20, "HZ1:BB8")
    pdf.embed_file(bytes=to_file(code_picture("HZ1:UJCLQE7W581")), basename="code.png")
    pdf.image(code_picture("HZ1:QED8WEX0"), left, 100)
    assert read_codes(bytes(pdf.output())) == read


# --- what is refused ---


def refusal(raw: bytes) -> tuple[Code, str]:
    with pytest.raises(HuzhengError) as caught:
        read_codes(raw)
    return caught.value.code, caught.value.detail


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\nshowpage\n%%EOF\n"
"""Pillow would hand this to a program."""


@pytest.mark.parametrize(
    "raw",
    [b"", b"hello", bytes(1_000), b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\0\0\0\0WEBP", EPS, b"P5 1 1 255\n\0"],
)
def test_what_is_neither_pdf_nor_picture_is_refused(raw: bytes) -> None:
    assert refusal(raw) == (Code.BAD_FILE, f"neither a PDF nor a picture ({', '.join(scanning.PICTURE_FORMATS)})")


def test_a_broken_pdf_is_refused(pdf: bytes) -> None:
    for raw in (b"%PDF-", b"%PDF-1.7\n%%EOF", pdf[:20] + bytes(2_000)):
        assert looks_printed(raw)
        assert refusal(raw) == (Code.BAD_FILE, "a PDF that can't be read: broken or encrypted")


def test_an_encrypted_pdf_is_refused() -> None:
    pdf = FPDF()
    pdf.add_page()
    pdf.set_encryption(owner_password="owner", user_password="user", permissions=AccessPermission.none())
    assert refusal(bytes(pdf.output())) == (Code.BAD_FILE, "a PDF that can't be read: broken or encrypted")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(HuzhengError) as caught:
        read_codes(tmp_path / "nowhere.pdf")
    assert caught.value.code is Code.FILE_ACCESS


def test_files_that_are_too_large_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    for source in (path, bytes(MAX_FILE_BYTES + 1)):
        with pytest.raises(HuzhengError) as caught:
            read_codes(source)
        assert caught.value.code is Code.TOO_LARGE


def test_too_many_pages_are_refused() -> None:
    pdf = FPDF()
    for _ in range(MAX_PAGES + 1):
        pdf.add_page()
    assert refusal(bytes(pdf.output())) == (Code.TOO_LARGE, f"a PDF of {MAX_PAGES + 1} pages, at most {MAX_PAGES}")
    frames = [Image.new("L", (8, 8), number) for number in range(MAX_PAGES + 1)]
    file = io.BytesIO()
    frames[0].save(file, "TIFF", save_all=True, append_images=frames[1:])
    assert refusal(file.getvalue())[0] is Code.TOO_LARGE


def png_of(width: int, height: int) -> bytes:
    """A PNG that says it is so large, and has nothing in it."""
    head = pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)

    def chunk(name: bytes, content: bytes) -> bytes:
        return pack(">I", len(content)) + name + content + pack(">I", zlib.crc32(name + content))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [8_001, 9_600, 12_000, 30_000, 2**31 - 1])
@pytest.mark.filterwarnings("error")
def test_a_small_file_with_a_huge_picture_is_refused_before_it_is_unpacked(side: int) -> None:
    assert refusal(png_of(side, side)) == (Code.TOO_LARGE, "a picture of more than 64 million pixels")


def test_a_huge_page_is_shown_as_large_as_a_picture_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "MAX_PIXELS", 1_000_000)
    pdf = FPDF(unit="pt", format=(14_000, 14_000))
    pdf.add_page()
    pdf.image(code_picture("HZ1:BB8"), 1_000, 1_000, 9_000)
    rendered = [picture.size for picture in scanning._pages(bytes(pdf.output()))]
    assert rendered == [(1_000, 1_000)]
    assert read_codes(bytes(pdf.output())) == ["HZ1:BB8"]


def test_a_picture_that_is_cut_off_is_refused(scan: Image.Image) -> None:
    for kind in ("PNG", "JPEG", "WEBP", "TIFF"):
        file = to_file(scan, kind)
        assert refusal(file[: len(file) // 2])[0] is Code.BAD_FILE, kind


@pytest.mark.parametrize("kind", ["PDF", "PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF"])
def test_altered_files_are_read_or_refused_and_nothing_else(pdf: bytes, kind: str) -> None:
    random = Random(kind)
    sound = pdf if kind == "PDF" else to_file(code_picture("HZ1:BB8").convert("L"), kind)
    for _ in range(60):
        raw = bytearray(sound)
        for _ in range(random.choice((1, 3, 30))):
            raw[random.randrange(len(raw)) if random.random() < 0.5 else random.randrange(100)] = random.randrange(256)
        try:
            read_codes(bytes(raw))
        except HuzhengError as error:
            assert error.code in (Code.BAD_FILE, Code.TOO_LARGE)
