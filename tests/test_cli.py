"""The command line: help that teaches, exit codes, and the commands that need no Spark."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.cli import main
from app.core.folders import Output
from app.core.settings import Settings
from app.registry.registry import Registry
from app.report.page import render_report
from app.results.files import write_run
from tests.finished_run import finished_run
from tests.registry.bundles import Entries

VITRINE = Path(sys.executable).with_name("vitrine")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.mark.parametrize("name", sorted(set(main.commands) - {"settings"}))
def test_help_teaches(name: str) -> None:
    result = run(name, "--help")
    assert result.exit_code == 0
    assert "Example" in result.output
    assert f"vitrine {name} " in result.output
    for option in main.commands[name].params:
        assert getattr(option, "help", None), f"{name}: {option.name} has no help"


def test_the_first_help_says_where_to_start() -> None:
    output = run("--help").output
    for word in ("vitrine generate", "vitrine train", "vitrine settings", "Exit codes"):
        assert word in output
    for name in main.commands:
        assert f"\n  {name} " in output


def test_help_does_not_wait_for_spark() -> None:
    def seconds() -> float:
        start = time.monotonic()
        subprocess.run([VITRINE, "--help"], check=True, capture_output=True)
        return time.monotonic() - start

    assert min(seconds() for _ in range(3)) < 2


def test_settings_lists_every_setting() -> None:
    result = run("settings")
    assert result.exit_code == 0
    for name, declared in Settings.model_fields.items():
        assert f"VITRINE_{name.upper()} [" in result.output
        assert str(declared.description) in result.output
    assert "PydanticUndefined" not in result.output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["train", "--segments", "one"], "segments"),
        (["train", "--als-engine", "quick"], "als_engine"),
        (["explore", "--max-rejected-share", "2"], "max_rejected_share"),
        (["segments", "--timezone", "Nowhere"], "timezone"),
    ],
)
def test_an_invalid_setting_is_one_line_and_exit_code_2(arguments: list[str], says: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("error: ")
    assert says in result.stderr


def writing_commands() -> list[tuple[str, str]]:
    """Every command and flag that names a place to write to."""
    flags = ("output", "landing")
    return [(name, p.name) for name, command in main.commands.items() for p in command.params if p.name in flags]


@pytest.mark.parametrize(("name", "flag"), writing_commands())
def test_a_place_in_object_storage_is_refused_in_one_line(
    name: str, flag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(name, f"--{flag}", "s3a://bucket/shop.csv")
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert f"--{flag}" in line
    assert "s3a://bucket/shop.csv" in line
    assert "give a folder" in line
    assert list(tmp_path.iterdir()) == []


def test_every_command_that_writes_is_asked() -> None:
    commands = {
        "train",
        "explore",
        "segments",
        "customers",
        "report",
        "rollback",
        "generate",
        "stream",
        "serve",
        "attribution",
        "backfill",
        "replay",
        "live",
        "shop",
    }
    assert {name for name, _ in writing_commands()} == commands


def test_an_unknown_command_or_flag_is_exit_code_2() -> None:
    assert run("trian").exit_code == 2
    assert run("train", "--sede", "3").exit_code == 2
    assert "--seed" in run("train", "--sede", "3").stderr


def publish(models: Path, *names: str) -> None:
    def fill(folder: Path) -> None:
        (folder / "x.npy").write_bytes(b"x")

    for name in names:
        Registry(models).publish(Registry(models).add(name, Entries(), fill).name)


def test_rollback_goes_back_and_says_so(tmp_path: Path) -> None:
    publish(tmp_path / "models", "a", "b")
    result = run("rollback", "--output", tmp_path)
    assert (result.exit_code, result.output) == (0, "Bundle a is in use again, in place of b\n")
    assert Registry(tmp_path / "models").history() == ["a"]
    result = run("rollback", "--output", tmp_path)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert "no earlier champion than a" in result.stderr


def empty(folder: Path) -> None:
    folder.mkdir()


@pytest.mark.parametrize("make", [empty, lambda folder: None, lambda folder: folder.write_text("a file")])
def test_rollback_of_nothing_is_one_line(make: Callable[[Path], Any], tmp_path: Path) -> None:
    make(tmp_path / "out")
    result = run("rollback", "--output", tmp_path / "out")
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out" / "models").exists()


def test_report_without_a_run_says_what_makes_one(tmp_path: Path) -> None:
    result = run("report", "--output", tmp_path)
    assert result.exit_code == 2
    assert result.stderr == f"error: {tmp_path}/run.json: not there; vitrine train makes it\n"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "is damaged"),
        ('{"half": ', "is damaged"),
        ('{"version": "20191101_080000", "synthetic": false}', "the first edition of Vitrine wrote it"),
        ('{"schema_version": 2}', "schema version 2, this program reads 3"),
    ],
)
def test_report_of_a_run_that_cannot_be_read_is_one_line(content: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(content)
    result = run("report", "--output", tmp_path)
    assert result.exit_code == 2, result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith(f"error: {tmp_path}/run.json: ")
    assert says in result.stderr
    assert "run vitrine train" in result.stderr
    assert not (tmp_path / "report.html").exists()


def test_report_is_written_again_from_the_run(tmp_path: Path) -> None:
    small = finished_run().model_copy(update=dict.fromkeys(("exploration", "behaviour", "customers", "quality")))
    write_run(Output(tmp_path), small, keep=1)
    result = run("report", "--output", tmp_path)
    assert (result.exit_code, result.output) == (0, f"Report  {tmp_path}/report.html\n")
    assert (tmp_path / "report.html").read_text() == render_report(small)


@pytest.mark.parametrize("name", ["shop.synthetic.csv", "shop.synthetic.csv.gz", "new/shop.synthetic.parquet"])
def test_generate_tells_its_progress_and_what_it_made(name: str, tmp_path: Path) -> None:
    result = run("generate", "--events", "700", "--days", "3", "--seed", "5", "--output", tmp_path / name)
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / name).stat().st_size > 0
    assert result.stdout.startswith("synthetic shop, seed 5: 700 events")
    assert len(result.stdout.splitlines()) == 1
    lines = result.stderr.splitlines()
    assert len(lines) == 3
    assert lines[-1].startswith("[ 3/3]")
    assert "700 events" in lines[-1]


def test_a_generated_log_starts_on_the_day_that_is_given(tmp_path: Path) -> None:
    log = tmp_path / "shop.csv"
    result = run("generate", "--events", "300", "--days", "2", "--start", "2026-11-25", "--output", log)
    assert result.exit_code == 0, result.stderr
    days = {line[:10] for line in log.read_text().splitlines()[1:]}
    assert days == {"2026-11-25", "2026-11-26"}


def test_generate_refuses_another_format(tmp_path: Path) -> None:
    result = run("generate", "--events", "10", "--output", tmp_path / "shop.xlsx")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert ".csv" in result.stderr


def test_generate_into_a_place_that_is_none_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    result = run("generate", "--events", "10", "--output", tmp_path / "file" / "shop.csv")
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert "--output" in result.stderr
