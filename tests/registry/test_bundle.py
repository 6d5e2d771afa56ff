"""Bundles: whole or not there, checked, published atomically, kept and deleted by rule."""

import json
import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.core.errors import BundleError
from app.registry import bundle
from app.registry.bundle import MANIFEST, POINTER, SCHEMA_VERSION, STAGING, STALE_SECONDS


def filler(text: str = "content") -> Callable[[Path], dict[str, Any]]:
    def fill(folder: Path) -> dict[str, Any]:
        (folder / "generators" / "als").mkdir(parents=True)
        (folder / "users.npy").write_bytes(text.encode() * 100)
        (folder / "generators" / "als" / "factors.npy").write_bytes(os.urandom(1_000))
        return {"training_date": "2019-11-01T00:00:00+00:00", "total_users": 3}

    return fill


def make(models: Path, *names: str, publish: bool = True) -> None:
    for name in names:
        folder = bundle.write(models, name, filler())
        if publish:
            bundle.publish(models, folder.name)


def hidden(models: Path) -> set[str]:
    return {path.name for path in models.iterdir() if path.name.startswith(".")} - {bundle.LOCK}


def test_a_bundle_is_written_whole_with_its_manifest(tmp_path: Path) -> None:
    folder = bundle.write(tmp_path / "models", "20191101_000000", filler())
    manifest = bundle.verify(folder)
    assert manifest["schema_version"] == SCHEMA_VERSION
    assert manifest["version"] == "20191101_000000"
    assert manifest["total_users"] == 3
    assert set(manifest["files"]) == {"users.npy", "generators/als/factors.npy"}
    assert manifest["files"]["users.npy"]["bytes"] == 700
    assert bundle.champion(tmp_path / "models") is None  # written is not published
    assert hidden(tmp_path / "models") == set()


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    def fill(folder: Path) -> dict[str, Any]:
        (folder / "half").write_text("x")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        bundle.write(tmp_path, "a", fill)
    assert [path.name for path in tmp_path.iterdir()] == []


def test_a_taken_name_gets_a_number(tmp_path: Path) -> None:
    names = [bundle.write(tmp_path, "a", filler()).name for _ in range(3)]
    assert names == ["a", "a_2", "a_3"]
    assert [bundle.verify(tmp_path / name)["version"] for name in names] == names


def test_publish_keeps_the_history(tmp_path: Path) -> None:
    make(tmp_path, "a", "b", "c")
    assert bundle.history(tmp_path) == ["c", "b", "a"]
    assert bundle.champion(tmp_path) == tmp_path / "c"
    bundle.publish(tmp_path, "a")  # again: not twice in the list
    assert bundle.history(tmp_path) == ["a", "c", "b"]
    assert hidden(tmp_path) == set()


def test_nothing_published_is_no_error(tmp_path: Path) -> None:
    assert bundle.history(tmp_path) == []
    assert bundle.champion(tmp_path / "missing") is None


def test_a_damaged_file_is_found(tmp_path: Path) -> None:
    make(tmp_path, "a")
    path = tmp_path / "a" / "users.npy"
    content = bytearray(path.read_bytes())
    content[50] ^= 1  # one bit
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"users\.npy is damaged"):
        bundle.verify(tmp_path / "a")


def test_a_truncated_or_missing_file_is_found(tmp_path: Path) -> None:
    make(tmp_path, "a")
    os.truncate(tmp_path / "a" / "users.npy", 10)
    with pytest.raises(BundleError, match=r"users\.npy is damaged"):
        bundle.verify(tmp_path / "a")
    (tmp_path / "a" / "users.npy").unlink()
    with pytest.raises(BundleError, match=r"users\.npy cannot be read"):
        bundle.verify(tmp_path / "a")


@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        "{",
        "[]",
        "null",
        '{"schema_version": 1}',
        '{"schema_version": 1, "files": [1]}',
        '{"schema_version": 1, "files": {"users.npy": {}}}',
        "\udcff",
    ],
)
def test_a_missing_or_damaged_manifest_is_a_bundle_error(content: str | None, tmp_path: Path) -> None:
    make(tmp_path, "a")
    path = tmp_path / "a" / MANIFEST
    path.unlink()
    if content is not None:
        path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(BundleError, match=MANIFEST):
        bundle.verify(tmp_path / "a")


def test_another_schema_version_is_refused(tmp_path: Path) -> None:
    make(tmp_path, "a")
    path = tmp_path / "a" / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": SCHEMA_VERSION + 1}))
    with pytest.raises(BundleError, match=f"schema version {SCHEMA_VERSION + 1}, this program reads {SCHEMA_VERSION}"):
        bundle.verify(tmp_path / "a")


def test_a_bundle_without_a_recommender_cannot_be_opened(tmp_path: Path) -> None:
    make(tmp_path, "a")
    with pytest.raises(BundleError, match="cannot be opened"):
        bundle.Bundle.open(tmp_path / "a")


def test_rollback_goes_back_one(tmp_path: Path) -> None:
    make(tmp_path, "a", "b", "c")
    assert bundle.rollback(tmp_path) == ("c", "b")
    assert bundle.rollback(tmp_path) == ("b", "a")
    assert bundle.history(tmp_path) == ["a"]
    with pytest.raises(BundleError, match="no earlier champion than a"):
        bundle.rollback(tmp_path)


def test_rollback_without_a_champion_says_so(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="nothing was published yet"):
        bundle.rollback(tmp_path)


def test_rollback_passes_over_damaged_bundles(tmp_path: Path) -> None:
    make(tmp_path, "a", "b", "c")
    (tmp_path / "b" / "users.npy").write_text("damaged")
    assert bundle.rollback(tmp_path) == ("c", "a")
    assert bundle.history(tmp_path) == ["a"]


def test_rollback_to_nothing_whole_changes_nothing(tmp_path: Path) -> None:
    make(tmp_path, "a", "b")
    (tmp_path / "a" / "users.npy").write_text("damaged")
    with pytest.raises(BundleError, match=r"no champion before b is whole .*users\.npy is damaged"):
        bundle.rollback(tmp_path)
    assert bundle.history(tmp_path) == ["b", "a"]


def test_prune_keeps_the_latest(tmp_path: Path) -> None:
    make(tmp_path, *"abcde")
    assert bundle.prune(tmp_path, 3) == ["a", "b"]
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["c", "d", "e"]
    assert hidden(tmp_path) == set()
    for name in "cde":
        bundle.verify(tmp_path / name)


def test_prune_never_deletes_the_champion_nor_the_one_before(tmp_path: Path) -> None:
    make(tmp_path, "a", "b")
    make(tmp_path, "c", "d", "e", publish=False)  # refused by the gate
    assert bundle.prune(tmp_path, 1) == ["c", "d"]
    assert bundle.rollback(tmp_path) == ("b", "a")
    bundle.verify(tmp_path / "a")


def test_prune_removes_what_a_killed_training_left_after_a_day(tmp_path: Path) -> None:
    make(tmp_path, "a")
    old, new = tmp_path / f"{STAGING}x-1", tmp_path / f"{STAGING}y-2"
    for folder in (old, new):
        (folder / "generators").mkdir(parents=True)
    then = time.time() - STALE_SECONDS - 60
    os.utime(old, (then, then))
    assert bundle.prune(tmp_path, 5) == []
    assert not old.exists()
    assert new.exists()  # another training may still write it


def test_a_reader_sees_the_old_pointer_until_the_new_one_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "a")

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", die)
        with pytest.raises(KeyboardInterrupt):
            bundle.publish(tmp_path, "b")
    assert bundle.history(tmp_path) == ["a"]
    make(tmp_path, "b")  # the leftover is no hindrance
    assert bundle.history(tmp_path) == ["b", "a"]
    assert hidden(tmp_path) == set()


def _publish_many(models: Path, prefix: str, count: int) -> None:
    for number in range(count):
        folder = bundle.write(models, f"run{number:02}", filler(prefix))
        bundle.publish(models, folder.name)


def test_two_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_publish_many, args=(tmp_path, name, 15)) for name in ("x", "y", "z")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
        assert writer.exitcode == 0
    names = bundle.history(tmp_path)
    assert len(names) == len(set(names)) == 45  # every publication is in the history
    assert sorted(names) == sorted(path.name for path in tmp_path.iterdir() if path.is_dir())
    for name in names:
        assert bundle.verify(tmp_path / name)["version"] == name
    assert hidden(tmp_path) == set()


def test_the_pointer_is_plain_text(tmp_path: Path) -> None:
    make(tmp_path, "a", "b")
    assert (tmp_path / POINTER).read_text() == "b\na\n"
