"""Reads printed codes from a PDF, a scan or a photograph.

What is read is what can be seen: pages are rendered, and attachments, forms and texts are not looked at. Files come from
strangers: their size, pages and pixels are bounded, and whatever is wrong with one is one clear error.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pypdfium2
import zxingcpp
from PIL import Image

from ledger.errors import Code, HuzhengError
from node.certificate.codes import PREFIX
from node.printed import is_pdf

MAX_FILE_BYTES = 32 << 20
MAX_PAGES = 20
MAX_PIXELS = 64_000_000
"""Of one page or picture. An A4 page at 600 dpi has 35 million, a large telephone's photograph 50 million."""
PICTURE_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF")
"""Others are not even looked at: Pillow has readers that nobody has looked at for years, and one that starts a program."""
_DPI = 300
_POINTS_PER_INCH = 72
_QR, _PLAIN = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode), zxingcpp.TextMode.Plain
_CODES_OF_A_PAGE = 2
_ENLARGED_PIXELS = 16_000_000
"""Pictures up to this size are tried enlarged, too."""


def read_codes(source: Path | bytes) -> list[str]:
    """The texts of all QR codes of ours in a PDF or picture, each once, in the order in which they were found.

    Codes of others on the same paper are passed over. None at all is an empty list.

    Raises:
        HuzhengError: FILE_ACCESS; TOO_LARGE (bytes, pages, pixels); BAD_FILE if it is encrypted, broken, or something else.
    """
    raw = _read(source) if isinstance(source, Path) else source
    if len(raw) > MAX_FILE_BYTES:
        raise HuzhengError(Code.TOO_LARGE, f"a PDF or picture of more than {MAX_FILE_BYTES >> 20} MiB")
    found: dict[str, None] = {}
    for picture in _pages(raw) if is_pdf(raw) else _frames(raw):
        found.update(dict.fromkeys(_codes_in(picture)))
    return list(found)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise HuzhengError(Code.FILE_ACCESS, f"{path}: {error.strerror}") from None


def _pages(raw: bytes) -> Iterator[Image.Image]:
    with _refused("a PDF that can't be read: broken or encrypted"):
        document = pypdfium2.PdfDocument(raw)
    with closing(document):
        count = len(document)
        if count > MAX_PAGES:
            raise HuzhengError(Code.TOO_LARGE, f"a PDF of {count} pages, at most {MAX_PAGES}")
        for number in range(count):
            with _refused(f"page {number + 1} of a PDF that can't be shown"), closing(document[number]) as page:
                picture = _render(page)
            yield picture


def _render(page: pypdfium2.PdfPage) -> Image.Image:
    """At 300 dpi; a page that is too large for that, such as a photograph put into a PDF, as large as it may be."""
    width, height = page.get_size()
    scale = min(_DPI / _POINTS_PER_INCH, (MAX_PIXELS / max(width * height, 1)) ** 0.5)
    with closing(page.render(scale=scale, grayscale=True)) as bitmap:
        picture: Image.Image = bitmap.to_pil().copy()
    return picture


def _frames(raw: bytes) -> Iterator[Image.Image]:
    """The pictures of a file: a scanner's TIFF has one for each page."""
    with _open(raw) as file:
        for number in range(MAX_PAGES + 1):
            with _refused("a picture that can't be read: broken or cut off"):
                try:
                    file.seek(number)
                except EOFError:
                    return
                if number == MAX_PAGES:
                    raise HuzhengError(Code.TOO_LARGE, f"a file with more than {MAX_PAGES} pictures")
                if file.width * file.height > MAX_PIXELS:
                    raise _too_many_pixels()
                picture = _on_white(file)
            yield picture


def _open(raw: bytes) -> Image.Image:
    """Reads no more than the head."""
    with _refused(f"neither a PDF nor a picture ({', '.join(PICTURE_FORMATS)})"):
        try:
            return Image.open(io.BytesIO(raw), formats=PICTURE_FORMATS)
        except Image.DecompressionBombError:
            raise _too_many_pixels() from None


def _too_many_pixels() -> HuzhengError:
    return HuzhengError(Code.TOO_LARGE, f"a picture of more than {MAX_PIXELS // 1_000_000} million pixels")


def _on_white(file: Image.Image) -> Image.Image:
    """In shades of grey, with white where the picture is transparent."""
    if not file.has_transparency_data:
        return file.convert("L")
    picture = file.convert("LA")
    return Image.composite(picture.getchannel("L"), Image.new("L", picture.size, 255), picture.getchannel("A"))


def _codes_in(picture: Image.Image) -> list[str]:
    """A picture with few dots for a module may be read, or its codes even be seen, only when it is enlarged."""
    found, all_read = _scan(picture)
    if not (len(found) >= _CODES_OF_A_PAGE and all_read) and picture.width * picture.height <= _ENLARGED_PIXELS:
        found += _scan(picture.resize((picture.width * 2, picture.height * 2), Image.Resampling.BICUBIC))[0]
    return found


def _scan(picture: Image.Image) -> tuple[list[str], bool]:
    """The codes of ours, and whether no code was seen that could not be read."""
    seen = zxingcpp.read_barcodes(picture, _QR, text_mode=_PLAIN, return_errors=True)
    return [code.text for code in seen if code.valid and code.text.startswith(PREFIX)], all(code.valid for code in seen)


@contextmanager
def _refused(reason: str) -> Iterator[None]:
    """Whatever a library raises over a hostile file: there is no end of it, from struct.error to RecursionError.

    Its warnings would only repeat that, of large pictures too: our own limit is lower, and looked at before pixels are read.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except HuzhengError:
        raise
    except Exception:
        raise HuzhengError(Code.BAD_FILE, reason) from None
