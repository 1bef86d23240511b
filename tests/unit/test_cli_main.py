"""How commands end: exit statuses, usage errors, unexpected errors, closed pipes, and a quick start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from node.cli import verify
from tests.command_line import CommandLine

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("LANG", "LC_ALL", "LC_MESSAGES", "HUZHENG_PROFILE", "HUZHENG_DEBUG", "HUZHENG_GENESIS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def huzheng(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys)


def test_help_names_every_exit_status(huzheng: CommandLine) -> None:
    ran = huzheng("--help")
    assert ran.status == 0
    assert "Exit status: 0 done" in ran.out
    assert "130 interrupted" in " ".join(ran.out.split())


def test_help_is_chinese_and_never_cut_off(huzheng: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "72")
    ran = huzheng("--lang", "zh", "--help")
    assert ran.status == 0
    assert "用法：" in ran.out
    assert "显示帮助并退出。" in ran.out
    assert "…" not in ran.out
    assert "Usage" not in ran.out
    assert "Options" not in ran.out


@pytest.mark.parametrize("width", [72, 79, 80, 81, 100, 120])
@pytest.mark.parametrize("path", ["", "submit", "verify", "chain tail", "chain export", "network init", "keys new"])
def test_chinese_help_is_whole_at_every_width(
    huzheng: CommandLine, monkeypatch: pytest.MonkeyPatch, path: str, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    ran = huzheng("--lang", "zh", *path.split(), "--help")
    assert "…" not in ran.out
    # Lines of a cell stand below one another: what is left of one cell's text is enough to see that it is there.
    assert "显示帮助" in ran.out
    assert "HUZHENG_PROFILE" in ran.out or path in ("verify", "network init", "keys new")


def test_a_flag_is_not_shown_as_if_it_took_a_value(huzheng: CommandLine) -> None:
    assert "<bool>" not in huzheng("submit", "--help").out + huzheng("--help").out


def test_help_is_english_again_after_chinese(huzheng: CommandLine) -> None:
    huzheng("--lang", "zh", "record", "get", "--help")
    ran = huzheng("record", "get", "--help")
    assert "Usage:" in ran.out
    assert "Options" in ran.out


def test_without_a_command_help_is_shown(huzheng: CommandLine) -> None:
    ran = huzheng()
    assert ran.status == 2
    assert "verify" in ran.out + ran.err


def test_the_version_is_shown(huzheng: CommandLine) -> None:
    ran = huzheng("--version")
    assert ran.status == 0
    assert ran.out.startswith("huzheng ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["chain", "tx"], "Missing: ID."),
        (["--nope"], "There is no option --nope."),
        (["recrod"], "Did you mean 'record'"),
        (["submit", "x", "--batch", "0"], "--batch does not accept this value"),
        (["record", "get", "--output", "xml"], "--output does not accept this value"),
    ],
)
def test_wrong_usage_is_one_clear_error(huzheng: CommandLine, arguments: list[str], words: str) -> None:
    ran = huzheng(*arguments)
    assert ran.status == 2
    assert ran.err.startswith("error USAGE: ")
    assert words in ran.err
    assert "--help" in ran.err
    assert not ran.out


@pytest.mark.parametrize(
    "arguments",
    [
        ["certificate"],
        ["chain", "verify"],
        ["chain", "tx", "xyz"],
        ["record", "get", "a", "b", "--at", "someday"],
        ["record", "get", "a", "b", "--at", "7", "--version", "1"],
    ],
)
def test_wrong_usage_that_a_command_finds_itself_ends_with_the_same_status(
    huzheng: CommandLine, arguments: list[str]
) -> None:
    ran = huzheng(*arguments, "-o", "json")
    assert (ran.status, ran.error["code"]) == (2, "INVALID_REQUEST")


def test_wrong_usage_in_chinese_and_as_json(huzheng: CommandLine) -> None:
    assert "错误 USAGE: 缺少：ID。" in huzheng("chain", "tx", "--lang", "zh").err
    ran = huzheng("chain", "tx", "--output", "json")
    assert ran.status == 2
    assert ran.error["code"] == "USAGE"


def test_a_missing_profile_is_said_with_where_it_was_looked_for(huzheng: CommandLine, tmp_path: Path) -> None:
    ran = huzheng("node", "status")
    assert ran.status == 9
    assert "CONFIG_MISSING" in ran.err
    assert str(tmp_path / "client.toml") in ran.err
    assert "--profile" in ran.err


def test_an_error_as_json_has_code_message_detail_and_hint(huzheng: CommandLine) -> None:
    ran = huzheng("node", "status", "-o", "json", "--lang", "zh")
    assert set(ran.error) == {"code", "message", "detail", "hint"}
    assert ran.error["code"] == "CONFIG_MISSING"
    assert not ran.out


def test_options_may_stand_before_the_command(huzheng: CommandLine, tmp_path: Path) -> None:
    ran = huzheng("--output", "json", "--profile", tmp_path / "nowhere.toml", "node", "status")
    assert ran.error["code"] == "CONFIG_MISSING"
    assert "nowhere.toml" in ran.error["detail"]


def test_an_unexpected_error_shows_no_traceback_and_no_value(
    huzheng: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def break_down(*_: object) -> None:
        raise RuntimeError("a secret value")

    monkeypatch.setattr(verify, "chosen_genesis", break_down)
    ran = huzheng("verify", tmp_path / "x")
    assert ran.status == 1
    assert "error INTERNAL" in ran.err
    assert "HUZHENG_DEBUG=1" in ran.err
    assert "secret" not in ran.err
    assert "Traceback" not in ran.err
    monkeypatch.setenv("HUZHENG_DEBUG", "1")
    assert "Traceback" in huzheng("verify", tmp_path / "x").err


def test_ctrl_c_ends_with_130(huzheng: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(verify, "chosen_genesis", interrupt)
    ran = huzheng("verify", tmp_path / "x")
    assert ran.status == 130
    assert "Traceback" not in ran.err


def python(code: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'proto'}", **more}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)


def test_a_reader_that_goes_away_causes_no_complaint(tmp_path: Path) -> None:
    command = f"""
from node.cli.main import run
import os, sys
reading, writing = os.pipe()
os.close(reading)
os.dup2(writing, 1)
status = run(["sample-data", "--out", {str(tmp_path)!r}, "-n", "5"])
sys.stderr.write(str(status))
"""
    ran = python(command)
    assert ran.stderr == "141"


def test_output_that_finds_no_room_is_said_like_every_other_error(tmp_path: Path) -> None:
    command = f"""
from node.cli.main import run
import os, sys
os.dup2(os.open("/dev/full", os.O_WRONLY), 1)
sys.exit(run(["sample-data", "--out", {str(tmp_path)!r}, "-n", "5", "--lang", "en"]))
"""
    ran = python(command)
    assert ran.returncode == 9
    assert ran.stderr.startswith("error FILE_ACCESS:")
    assert "No space left" in ran.stderr


def test_verify_starts_without_what_only_nodes_need() -> None:
    code = """
import sys
from node.cli.main import run
run(["verify", "/nowhere", "--genesis", "/nowhere"])
print([name for name in ("grpc", "plyvel", "cryptography", "asyncio") if name in sys.modules])
"""
    assert python(code).stdout.strip() == "[]"


def test_json_output_is_not_escaped_into_ascii(huzheng: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "密钥.key"
    ran = huzheng("keys", "new", path, "-o", "json")
    assert json.loads(ran.out)["file"] == str(path)
    assert "密钥" in ran.out
