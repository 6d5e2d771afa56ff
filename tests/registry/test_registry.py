"""Bundles: whole or not there, published atomically, kept and deleted by rule."""

import multiprocessing
import os
import time
from pathlib import Path
from typing import Any

import pytest

from app.core.errors import BundleError
from app.core.files import LEFTOVER_SECONDS
from app.registry import bundle
from app.registry.manifest import SCHEMA_VERSION
from app.registry.registry import POINTER, STAGING, Registry
from tests.registry.bundles import Entries, filler, hidden, make


def test_a_bundle_is_written_whole_with_its_manifest(tmp_path: Path) -> None:
    folder = Registry(tmp_path / "models").add("20191101_000000", Entries(), filler())
    manifest = bundle.verify(folder)
    assert manifest.schema_version == SCHEMA_VERSION
    assert manifest.version == "20191101_000000"
    assert manifest.model_extra == {"total_users": 3}
    assert set(manifest.files) == {"users.npy", "generators/als/factors.npy"}
    assert manifest.files["users.npy"].bytes == 700
    assert Registry(tmp_path / "models").champion() is None  # written is not published
    assert hidden(tmp_path / "models") == set()


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        Registry(tmp_path).add("a", Entries(), fill)
    assert [path.name for path in tmp_path.iterdir()] == []


def test_a_taken_name_gets_a_number(tmp_path: Path) -> None:
    names = [Registry(tmp_path).add("a", Entries(), filler()).name for _ in range(3)]
    assert names == ["a", "a_2", "a_3"]
    assert [bundle.verify(tmp_path / name).version for name in names] == names


def test_publish_keeps_the_history(tmp_path: Path) -> None:
    make(tmp_path, "a", "b", "c")
    assert Registry(tmp_path).history() == ["c", "b", "a"]
    assert Registry(tmp_path).champion() == tmp_path / "c"
    Registry(tmp_path).publish("a")  # again: not twice in the list
    assert Registry(tmp_path).history() == ["a", "c", "b"]
    assert hidden(tmp_path) == set()


def test_nothing_published_is_no_error(tmp_path: Path) -> None:
    assert Registry(tmp_path).history() == []
    assert Registry(tmp_path / "missing").champion() is None


def test_rollback_goes_back_one(tmp_path: Path) -> None:
    make(tmp_path, "a", "b", "c")
    assert Registry(tmp_path).rollback() == ("c", "b")
    assert Registry(tmp_path).rollback() == ("b", "a")
    assert Registry(tmp_path).history() == ["a"]
    with pytest.raises(BundleError, match="no earlier champion than a"):
        Registry(tmp_path).rollback()


def test_rollback_without_a_champion_says_so(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="nothing was published yet"):
        Registry(tmp_path).rollback()


def test_rollback_passes_over_damaged_bundles(tmp_path: Path) -> None:
    make(tmp_path, "a", "b", "c")
    (tmp_path / "b" / "users.npy").write_text("damaged")
    assert Registry(tmp_path).rollback() == ("c", "a")
    assert Registry(tmp_path).history() == ["a"]


def test_rollback_to_nothing_whole_changes_nothing(tmp_path: Path) -> None:
    make(tmp_path, "a", "b")
    (tmp_path / "a" / "users.npy").write_text("damaged")
    with pytest.raises(BundleError, match=r"no champion before b is whole .*users\.npy is damaged"):
        Registry(tmp_path).rollback()
    assert Registry(tmp_path).history() == ["b", "a"]


def test_prune_keeps_the_latest(tmp_path: Path) -> None:
    make(tmp_path, *"abcde")
    assert Registry(tmp_path).prune(3) == ["a", "b"]
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["c", "d", "e"]
    assert hidden(tmp_path) == set()
    for name in "cde":
        bundle.verify(tmp_path / name)


def test_prune_never_deletes_the_champion_nor_the_one_before(tmp_path: Path) -> None:
    make(tmp_path, "a", "b")
    make(tmp_path, "c", "d", "e", publish=False)  # refused by the gate
    assert Registry(tmp_path).prune(1) == ["c", "d"]
    assert Registry(tmp_path).rollback() == ("b", "a")
    bundle.verify(tmp_path / "a")


def test_prune_removes_what_a_killed_training_left_after_a_day(tmp_path: Path) -> None:
    make(tmp_path, "a")
    old, new = tmp_path / f"{STAGING}x-1", tmp_path / f"{STAGING}y-2"
    for folder in (old, new):
        (folder / "generators").mkdir(parents=True)
    then = time.time() - LEFTOVER_SECONDS - 60
    os.utime(old, (then, then))
    assert Registry(tmp_path).prune(5) == []
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
            Registry(tmp_path).publish("b")
    assert Registry(tmp_path).history() == ["a"]
    make(tmp_path, "b")  # the leftover is no hindrance
    assert Registry(tmp_path).history() == ["b", "a"]
    assert hidden(tmp_path) == set()


def _publish_many(models: Path, prefix: str, count: int) -> None:
    for number in range(count):
        folder = Registry(models).add(f"run{number:02}", Entries(), filler(prefix))
        Registry(models).publish(folder.name)


def test_two_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_publish_many, args=(tmp_path, name, 15)) for name in ("x", "y", "z")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
        assert writer.exitcode == 0
    names = Registry(tmp_path).history()
    assert len(names) == len(set(names)) == 45  # every publication is in the history
    assert sorted(names) == sorted(path.name for path in tmp_path.iterdir() if path.is_dir())
    for name in names:
        assert bundle.verify(tmp_path / name).version == name
    assert hidden(tmp_path) == set()


def test_the_pointer_is_plain_text(tmp_path: Path) -> None:
    make(tmp_path, "a", "b")
    assert (tmp_path / POINTER).read_text() == "b\na\n"
