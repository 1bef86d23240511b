"""Finds fonts with Chinese characters: one that was named, those of the extra `certificates`, or the system's."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path

from fontTools.ttLib import TTFont
from fontTools.ttLib.ttCollection import TTCollection

from ledger.errors import Code, HuzhengError

MAX_FONT_BYTES = 128 << 20
SUFFIXES = (".otf", ".ttf", ".otc", ".ttc")
SYSTEM_FONTS = (
    # Debian: fonts-noto-cjk, fonts-wqy-zenhei, fonts-wqy-microhei.
    Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc"),
    Path("/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc"),
    Path("/usr/share/fonts/truetype/wqy/wqy-microhei.ttc"),
)


@dataclass(frozen=True, slots=True)
class Font:
    """A font that was looked into."""

    path: Path
    number: int
    """Its place in a collection; 0 otherwise."""
    characters: Set[int]
    """The code points that it has."""


@dataclass(frozen=True, slots=True)
class Fonts:
    """What a page is set in. Both may be the same font."""

    serif: Font
    """For what is stated."""
    sans: Font
    """For names of fields and for notes."""


def find_fonts(named: Path | None = None) -> Fonts:
    """The fonts for a page.

    Raises:
        HuzhengError: EXTRA_MISSING if there is none; for the named one FILE_ACCESS, and BAD_FILE if it is no font.
    """
    if named is not None:
        font = load_font(named)
        return Fonts(font, font)
    try:
        import pylopdf_fonts_zh_cn as packaged
    except ImportError:
        found = next((path for path in SYSTEM_FONTS if path.is_file()), None)
        if found is None:
            raise HuzhengError(Code.EXTRA_MISSING, "a font with Chinese characters") from None
        font = load_font(found)
        return Fonts(font, font)
    return Fonts(load_font(packaged.serif_path()), load_font(packaged.sans_path()))


def load_font(path: Path) -> Font:
    """Looks into a font file; of a collection that for simplified Chinese is taken, or else the first one.

    Raises:
        HuzhengError: FILE_ACCESS, BAD_FILE.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise HuzhengError(Code.BAD_FILE, f"{path}: not a font ({', '.join(SUFFIXES)})")
    try:
        if path.stat().st_size > MAX_FONT_BYTES:
            raise HuzhengError(Code.BAD_FILE, f"{path}: too large for a font")
        number = _simplified_chinese(path) if path.suffix.lower() in (".otc", ".ttc") else 0
        with TTFont(path, fontNumber=number, lazy=True) as font:
            characters = frozenset(font.getBestCmap() or ())
    except HuzhengError:
        raise
    except OSError as error:
        raise HuzhengError(Code.FILE_ACCESS, f"{path}: {error.strerror}") from None
    except Exception:
        # fontTools has no one way to say that a file is no font.
        characters = frozenset()
    if not characters:
        raise HuzhengError(Code.BAD_FILE, f"{path}: not a font that can be read")
    return Font(path, number, characters)


def _simplified_chinese(path: Path) -> int:
    with TTCollection(str(path), lazy=True) as collection:
        names = [font["name"].getDebugName(1) or "" for font in collection.fonts]
    return next((number for number, name in enumerate(names) if name.endswith(" SC")), 0)
