"""The archive is made smaller only while nobody minds: no training, no successor, nothing that is missing."""

import os
import shutil
import time
from collections.abc import Callable
from errno import EIO, ENOSPC, ESTALE
from pathlib import Path
from unittest.mock import Mock

import pytest

from app.core.errors import InputError, VitrineError
from app.core.lease import stream_lease, training_lease
from app.core.settings import Settings
from app.events.archive_manifest import Manifest
from app.events.archive_names import BatchRange, Epochs
from app.events.forgotten import ForgottenUsers
from app.stream import archive as archive_module
from app.stream import shrinking as module
from app.stream.account_files import CHUNK
from app.stream.accounts import Accounts
from app.stream.archive import Archive
from app.stream.compaction import STEP
from app.stream.cutting import Cutting
from app.stream.engine import Stream
from app.stream.epoch import begin, marked
from app.stream.folders import StreamFolders
from app.stream.housekeeping import Housekeeping, Job
from app.stream.shrinking import Shrinking
from tests.stream.test_accounts import account, differences, fill
from tests.stream.test_epoch import spark_wrote


class Shop:
    """An archive of three ranges of two small folders each, all committed, or none, and what makes it smaller."""

    def __init__(self, output: Path, archive_days: float | None = None, *, rows: bool = True):
        self.settings = Settings(output=output, archive_single_minutes=0, archive_days=archive_days)
        self.folders = StreamFolders.of(self.settings)
        self.lease = stream_lease(output)
        self.lease.acquire(wait=False, say=print)
        self.folders.prepare()
        self.epoch = begin(self.folders, self.lease.epoch)
        spark_wrote(self.epoch.checkpoint, 3 * STEP)
        self.archive = Archive.of(self.folders)
        self.accounts = Accounts(self.folders.accounts, self.archive, self.lists, 1, self.epochs)
        for batch in (0, 1, STEP, STEP + 1, 2 * STEP, 2 * STEP + 1) if rows else ():
            fill(self.archive, BatchRange(batch, batch, 1), 4, written=batch)
            self.accounts.write(account(batch, 4))
        if rows:
            fill(self.archive, BatchRange(3 * STEP, 3 * STEP, 1), 4, written=3 * STEP)
        self.said: list[str] = []
        self.shrinking = Shrinking(
            self.settings,
            self.archive,
            self.accounts,
            self.epoch,
            self.lease,
            lambda: 3 * STEP,
            lambda: False,
            self.said.append,
            Cutting(self.folders, self.archive, self.epoch, self.lease.check, self.said.append),
        )

    @property
    def lists(self) -> tuple[Path, int]:
        return self.folders.lists, 0

    def next(self, epoch: int) -> Accounts:
        """As a later stream reads the accounts."""
        return Accounts(self.folders.accounts, self.archive, self.lists, epoch, self.epochs)

    @property
    def epochs(self) -> Epochs:
        return marked(self.folders)

    def together(self) -> list[int]:
        """The ranges that were put together, by their place."""
        return [part.first // STEP for part in self.archive.folders(self.epochs) if part.last > part.first]

    def house(self, windows: Mock) -> Housekeeping:
        windows.counted = lambda: 3 * STEP
        return Housekeeping(
            self.settings,
            self.folders,
            self.archive,
            self.accounts,
            windows,
            Mock(),
            Mock(),
            self.epoch,
            self.lease,
            self.said.append,
            self.said.append,
        )

    def run(self) -> None:
        self.shrinking.run(self.epochs)


def interrupted(monkeypatch: pytest.MonkeyPatch, do: Callable[[], object]) -> None:
    """Do something once a range has been put together."""
    real = module.put_together

    def putting(*args: object) -> None:
        real(*args)
        do()

    monkeypatch.setattr(module, "put_together", putting)


def test_all_ranges_are_put_together(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.run()
    assert shop.together() == [0, 1, 2]
    assert differences(shop.accounts) == shop.said == []


def test_accounts_of_long_ago_are_shortened_by_the_way(tmp_path: Path) -> None:
    """Also without `archive_days`; what is lost is told all the same, as is a folder that no account tells of."""
    shop = Shop(tmp_path)
    late = BatchRange(CHUNK, CHUNK, 1)
    fill(shop.archive, late, 4, written=CHUNK)
    shop.accounts.write(account(CHUNK, 4))
    shop.accounts.write(account(5, 0))  # all of it was rejected: no folder
    shutil.rmtree(shop.archive.folder / BatchRange(STEP, STEP, 1).name)
    (missed,) = differences(shop.accounts)
    assert missed == f"micro-batch {STEP}: 4 rows must be there, 0 are"
    shop.run()
    assert {path.name for path in shop.folders.accounts.glob("*.jsonl")} == {
        "folded.e000001.jsonl",
        f"{CHUNK:09d}.e000001.jsonl",
    }
    again = shop.next(2)
    for accounts in (shop.accounts, again):
        assert differences(accounts) == [missed]
    shop.run()
    again.forget(STEP + 1)
    assert differences(again) == differences(shop.next(3)) == []


def test_a_training_that_begins_meanwhile_is_not_disturbed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop, training = Shop(tmp_path), training_lease(tmp_path)
    interrupted(monkeypatch, lambda: training.epoch or training.acquire(wait=False, say=print))
    shop.run()
    assert shop.together() == [0]
    training.release()
    monkeypatch.undo()
    shop.run()
    assert shop.together() == [0, 1, 2]


def test_one_that_is_replaced_meanwhile_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Shop(tmp_path)
    interrupted(monkeypatch, (tmp_path / "stream" / "lease" / "e000002").touch)
    for _ in range(2):
        with pytest.raises(VitrineError, match="has taken over"):
            shop.run()
    assert shop.together() == [0]


def test_where_something_is_missing_it_can_be_put_back(tmp_path: Path) -> None:
    """As the folder that it was; the other ranges do not wait for it, nor for one that is damaged."""
    shop = Shop(tmp_path)
    gone = shop.archive.folder / BatchRange(1, 1, 1).name
    gone.rename(tmp_path / "aside")
    (shop.archive.folder / BatchRange(STEP, STEP, 1).name / "_batch.json").write_text("{")
    assert len(differences(shop.accounts)) == 1
    for _ in range(2):
        shop.run()
    assert shop.together() == [2]
    (line,) = shop.said
    assert "is damaged" in line
    (tmp_path / "aside").rename(gone)
    assert differences(shop.accounts) == []
    shop.run()
    assert shop.together() == [0, 2]


def test_a_folder_that_is_away_holds_up_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other ranges are put together, what is old is deleted, and lists are, however long it lasts."""
    shop, away = Shop(tmp_path), [BatchRange(0, 0, 1)]
    real = archive_module.read_manifest

    def reading(folder: Path) -> Manifest:
        if BatchRange.parse(folder.name) in away:
            raise OSError(EIO, "Input/output error", str(folder))
        return real(folder)

    monkeypatch.setattr(archive_module, "read_manifest", reading)
    house = shop.house(Mock())
    (shop.folders.lists / "batch-000000000-e000001-000.parquet").touch()
    house.settings = shop.settings.model_copy(update={"keep_list_batches": 1})
    for _ in range(2):
        house.tidy()
    assert shop.together() == [1, 2]
    assert [*shop.folders.lists.iterdir()] == []
    away.clear()
    house.tidy()
    assert shop.together() == [0, 1, 2]
    away.append(shop.archive.folders(shop.epochs)[0])
    for part in shop.archive.folders(shop.epochs):
        os.utime(shop.archive.folder / part.name, (1, 1))
    shop.settings = shop.settings.model_copy(update={"archive_days": 1})
    shop.house(Mock()).tidy()
    assert shop.archive.folders(shop.epochs) == []


def test_what_was_deleted_is_not_counted_from_whatever_else_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, windows = Shop(tmp_path, archive_days=1), Mock()
    house = shop.house(windows)

    def vanished(*_: object) -> None:
        raise FileNotFoundError(2, "No such file", "batch")

    monkeypatch.setattr(shop.accounts, "fold", vanished)
    with pytest.raises(FileNotFoundError):
        house.tidy()
    assert shop.archive.folders(shop.epochs) == []
    windows.refresh.assert_called_once()


def test_what_was_too_old_is_not_missed_by_the_next_when_this_one_is_killed_amid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(tmp_path, archive_days=1)
    real = shutil.rmtree

    def killed(path: Path, **_: object) -> None:
        real(path)
        raise KeyboardInterrupt

    monkeypatch.setattr("app.stream.compaction.shutil.rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        shop.run()
    monkeypatch.undo()
    assert len(shop.archive.folders(shop.epochs)) == 6  # one of seven is gone
    assert differences(shop.next(2)) == []


def test_a_loss_is_told_though_nothing_else_is_left_of_its_stream(tmp_path: Path) -> None:
    """Neither folders nor lists: the mark of its epoch, by which its accounts count, stays."""
    shop = Shop(tmp_path)
    for folder in shop.archive.folder.glob("batch-*"):
        shutil.rmtree(folder)
    begin(shop.folders, 2)
    last = BatchRange(4 * STEP, 4 * STEP, 2)
    fill(shop.archive, last, 4, written=last.first)
    told = differences(shop.accounts)
    assert len(told) == 6
    shop.house(Mock()).tidy()
    assert differences(shop.next(3)) == told
    shop.accounts.forget(3 * STEP + 1)
    shop.house(Mock()).tidy()
    assert shop.epochs.starts == ((2, 3 * STEP + 1),)


def test_a_folder_that_is_just_lost_does_not_disturb_the_end(tmp_path: Path) -> None:
    shop, windows = Shop(tmp_path), Mock()
    windows.settle.side_effect = FileNotFoundError(2, "is gone", "batch")
    shop.house(windows).stop(float("inf"))
    assert shop.said == ["[Errno 2] is gone: 'batch'"]
    stream = Mock(_running=None)
    stream._lease.lost.is_set.return_value = True
    stream._beside.stop.side_effect = ValueError
    with pytest.raises(ValueError, match=r"^$"):
        Stream.stop(stream)
    stream.spark.streams.removeListener.assert_called_once()


def test_a_file_system_that_is_away_as_a_folder_is_just_gone_ends_no_stream(tmp_path: Path) -> None:
    shop, windows = Shop(tmp_path), Mock()
    house, job = shop.house(windows), Job(Mock(side_effect=FileNotFoundError(2, "is gone", "batch")), 0)
    windows.refresh.side_effect = OSError(ESTALE, "Stale file handle", "archive")
    for _ in range(2):
        house._do(job)
    replaced = "batch: has just been replaced or deleted; looked at again"
    assert shop.said == [replaced, f"[Errno {ESTALE}] Stale file handle: 'archive'; looked at again", replaced]
    windows.refresh.side_effect = OSError(ENOSPC, "No space left on device")
    with pytest.raises(OSError, match="No space"):
        house._do(job)


def test_a_list_of_forgotten_users_that_can_not_be_read_is_told_once_and_read_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(tmp_path)
    house = shop.house(Mock())

    def away(_: object) -> None:
        raise OSError(5, "Input/output error", "forgotten")

    house._cleaner = Mock()
    with monkeypatch.context() as broken:
        broken.setattr(ForgottenUsers, "read", away)
        for _ in range(2):
            house.clean_lists()
    assert shop.said == ["forgotten and merged users: [Errno 5] Input/output error: 'forgotten'; looked at again"]
    house._cleaner.run.assert_not_called()
    house.clean_lists()
    house._cleaner.run.assert_called_once()


def test_a_stream_that_was_replaced_moves_no_file_that_its_successor_reads(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    (tmp_path / "stream" / "lease" / "e000002").touch()
    stream = Mock(_lease=shop.lease, settings=shop.settings, folders=shop.folders)
    with pytest.raises(VitrineError, match="has taken over"):
        Stream._recover(stream)
    stream._failure.assert_not_called()


def test_what_a_stream_ends_with_where_something_is_gone(tmp_path: Path) -> None:
    """A folder that is lost is named; but of one that was replaced its successor has taken the checkpoint."""
    shop = Shop(tmp_path)
    failed = FileNotFoundError(2, "No such file", "x")
    stream = Mock(_lease=shop.lease, folders=shop.folders, epoch=shop.epoch, _wait=Mock(side_effect=failed))
    with pytest.raises(FileNotFoundError):
        Stream.wait(stream)
    shop.epoch.pins.rename(tmp_path / "aside")
    with pytest.raises(InputError, match=f"{shop.epoch.pins}: is gone; bring it back"):
        Stream.wait(stream)
    (tmp_path / "stream" / "lease" / "e000002").touch()
    with pytest.raises(VitrineError, match="has taken over"):
        Stream.wait(stream)
    shop.folders.windows.rename(tmp_path / "windows")
    with pytest.raises(InputError, match=f"{shop.folders.windows}: is gone; bring it back"):
        Stream.wait(stream)


def test_damaged_files_grow_old_as_the_archive_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop, days = Shop(tmp_path), 2.0
    (shop.folders.damaged / "a.csv").touch()
    shop.house(Mock()).tidy()
    assert (shop.folders.damaged / "a.csv").exists()  # for ever, where no days are set
    shop.settings = shop.settings.model_copy(update={"archive_days": days})
    now = time.time()
    for later, there in ((days * 86_400 - 60, True), (days * 86_400 + 60, False)):
        monkeypatch.setattr("app.stream.housekeeping.time.time", lambda later=later: now + later)
        shop.house(Mock()).tidy()
        assert (shop.folders.damaged / "a.csv").exists() == there
