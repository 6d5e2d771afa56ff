"""Files written whole: by one writer or several, through failures, kills and full disks."""

import multiprocessing
import os
import signal
import stat
import time
from errno import EPERM
from pathlib import Path

import pytest

from app.core import files
from app.core.files import LEFTOVER_SECONDS, replacing, sweep, write_first, write_text

SIZE = 3_000_000


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_text_is_replaced(tmp_path: Path) -> None:
    for text in ("old\r\n", "née\n"):
        write_text(tmp_path / "file", text)
        assert (tmp_path / "file").read_bytes() == text.encode()
    assert names(tmp_path) == ["file"]


def test_the_file_may_be_read_by_those_who_may_read_others(tmp_path: Path) -> None:
    """As the umask has it, not for the writer alone, as the standard library's temporary files are."""
    (tmp_path / "other").write_text("")
    write_text(tmp_path / "file", "")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("file", "other")}
    assert len(modes) == 1


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("old")

    def fail() -> None:
        with replacing(target) as part:
            part.write_text("half")
            assert target.read_text() == "old"
            assert part.name.startswith(".")
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        fail()
    assert names(tmp_path) == ["file"]
    assert target.read_text() == "old"


def test_two_writers_at_once_do_not_mix(tmp_path: Path) -> None:
    """A task that was given up may still write: the last to end wins, whole."""
    target = tmp_path / "file"
    with replacing(target) as first, replacing(target) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert target.read_text() == "first"
    assert names(tmp_path) == ["file"]


def test_whoever_writes_first_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "file"
    write_first(target, "first")
    write_first(target, "second")
    monkeypatch.setattr(Path, "exists", lambda _: False)  # as to one who looked a moment before
    write_first(target, "third")
    assert target.read_text() == "first"
    assert names(tmp_path) == ["file"]


def test_content_reaches_the_disk_before_its_name_and_the_name_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []
    sync, rename = os.fsync, os.replace

    def seen_sync(handle: int) -> None:
        happened.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else f"{os.fstat(handle).st_size} bytes")
        sync(handle)

    def seen_rename(source: Path, target: Path) -> None:
        happened.append("rename")
        rename(source, target)

    monkeypatch.setattr(files.os, "fsync", seen_sync)
    monkeypatch.setattr(files.os, "replace", seen_rename)
    write_text(tmp_path / "file", "four")
    assert happened == ["4 bytes", "rename", "folder"]


def _write_for_ever(target: Path) -> None:
    for number in range(10**9):
        write_text(target, f"{number % 10}" * SIZE)


def test_kill_9_never_shows_half_a_file(tmp_path: Path) -> None:
    target = tmp_path / "file"
    write_text(target, "0" * SIZE)
    context = multiprocessing.get_context("spawn")
    left = 0
    for number in range(8):
        writer = context.Process(target=_write_for_ever, args=(target,), daemon=True)
        writer.start()
        while not list(tmp_path.glob(".*")):
            assert writer.is_alive()
        time.sleep(0.002 * number)
        writer.kill()
        writer.join(60)
        assert writer.exitcode == -signal.SIGKILL
        text = target.read_text()
        assert len(text) == SIZE
        assert len(set(text)) == 1
        left = max(left, len(names(tmp_path)) - 1)
    assert left > 0  # else the kills missed the writing
    sweep(tmp_path)
    assert len(names(tmp_path)) > 1  # a writer may still be at it
    then = time.time() - LEFTOVER_SECONDS - 60
    for path in tmp_path.glob(".*"):
        os.utime(path, (then, then))
    sweep(tmp_path)
    assert names(tmp_path) == ["file"]


def test_what_is_swept_is_only_what_is_hidden_and_old(tmp_path: Path) -> None:
    then = time.time() - LEFTOVER_SECONDS - 60
    for name in (".a.1f.part", ".lock", "b.part", ".c.2e.part"):
        (tmp_path / name).touch()
        if name != ".c.2e.part":
            os.utime(tmp_path / name, (then, then))
    sweep(tmp_path)
    assert names(tmp_path) == [".c.2e.part", ".lock", "b.part"]
    sweep(tmp_path / "missing")  # nothing there, nothing to do


def test_scratch_folders_of_killed_trainings_go_as_well(tmp_path: Path) -> None:
    for name in (".work-20200101_000000", ".parts-0123", ".work-now", "kept"):
        (tmp_path / name / "table").mkdir(parents=True)
        if name != ".work-now":
            long_ago = time.time() - LEFTOVER_SECONDS - 60
            os.utime(tmp_path / name, (long_ago, long_ago))
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".work-now", "kept"]


def test_the_first_text_of_a_file_where_there_are_no_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on SMB and exFAT."""

    def none(*names: object) -> None:
        raise PermissionError(EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", none)
    for text in ("first", "second"):
        write_first(tmp_path / "ID", text)
    assert (tmp_path / "ID").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["ID"]
