"""setup.cfg and constraints.txt keep up with the project: every package and data file is shipped, every version locked."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from fnmatch import fnmatch
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
SOURCES = {
    "consensus": ROOT / "consensus",
    "huzheng": ROOT / "proto/huzheng",
    "ledger": ROOT / "ledger",
    "node": ROOT / "node",
}
SETUP = ConfigParser(interpolation=None)
SETUP.read(ROOT / "setup.cfg", encoding="utf-8")


def lines(section: str, option: str) -> list[str]:
    """The values of an option of setup.cfg that has one a line."""
    return [line for line in SETUP[section][option].splitlines() if line and not line.startswith("#")]


def packages_on_disk() -> Iterator[tuple[str, Path]]:
    """Every package under the rooms, with its folder."""
    for name, folder in SOURCES.items():
        for module in folder.rglob("__init__.py"):
            yield ".".join((name, *module.parent.relative_to(folder).parts)), module.parent


def declared() -> list[Requirement]:
    """What setup.cfg asks for, to run, to develop, to fuzz and for certificates."""
    extras = [line for extra in SETUP["options.extras_require"] for line in lines("options.extras_require", extra)]
    requirements = [Requirement(line) for line in lines("options", "install_requires") + extras]
    # One extra may ask for another.
    return [requirement for requirement in requirements if requirement.name != "huzheng"]


def pins() -> dict[str, str]:
    """The locked version of every package, by its canonical name."""
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    return {canonicalize_name(name): version for name, version in re.findall(r"^([\w.-]+)==(\S+)$", text, re.MULTILINE)}


def needed(requirement: Requirement) -> Iterator[Requirement]:
    """What a requirement brings along on this machine, as the installed packages say."""
    try:
        lines_of_metadata = requires(requirement.name) or []
    except PackageNotFoundError:
        return
    for line in lines_of_metadata:
        found = Requirement(line)
        if found.marker is None or any(found.marker.evaluate({"extra": extra}) for extra in ("", *requirement.extras)):
            yield found


def test_every_package_is_shipped() -> None:
    assert sorted(lines("options", "packages")) == sorted(name for name, _ in packages_on_disk())


def test_every_data_file_is_shipped() -> None:
    patterns = {name: re.split(r"[,\s]+", value.strip()) for name, value in SETUP["options.package_data"].items()}
    forgotten = []
    packages = dict(packages_on_disk())
    folders = {folder: name for name, folder in packages.items()}
    for room in SOURCES.values():
        for path in room.rglob("*"):
            if not path.is_file() or path.suffix in {".py", ".pyc"}:
                continue
            owner = next(folder for folder in path.parents if folder in folders)
            inside = path.relative_to(owner).as_posix()
            if not any(fnmatch(inside, pattern) for pattern in patterns.get(folders[owner], [])):
                forgotten.append(str(path.relative_to(ROOT)))
    assert not forgotten


def test_the_lock_fits_the_declared_ranges() -> None:
    locked = pins()
    misfits = [
        str(requirement)
        for requirement in declared()
        if not requirement.specifier.contains(locked.get(canonicalize_name(requirement.name), "0"), prereleases=True)
    ]
    assert not misfits


def test_the_lock_names_all_that_is_installed_and_nothing_else() -> None:
    seen: set[str] = set()
    waiting = declared()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name not in seen:
            seen.add(name)
            waiting.extend(needed(requirement))
    # typing_extensions and the like: newer Pythons need fewer packages, so a lock for all of them may name more.
    missing, superfluous = seen - pins().keys(), pins().keys() - seen
    assert not missing
    assert sys.version_info >= (3, 12) or not superfluous


def test_generated_code_comes_from_the_locked_generator() -> None:
    generator = next(requirement for requirement in declared() if requirement.name == "grpcio-tools")
    assert str(generator.specifier) == f"=={pins()['grpcio-tools']}"
    stubs = (ROOT / "proto/huzheng/v1/ledger_service_pb2_grpc.py").read_text(encoding="utf-8")
    assert f"GRPC_GENERATED_VERSION = '{pins()['grpcio-tools']}'" in stubs
