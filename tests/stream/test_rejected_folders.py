"""Folders of rejected rows are put together as those of the archive are, and nothing of them is missed."""

import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from app.events.archive_names import BatchRange
from app.stream.archive import parquet_files
from app.stream.compaction import STEP
from app.stream.taken_out import noting, written_rows
from tests.stream.test_accounts import COUNTED, account, cut, differences, reject
from tests.stream.test_shrinking import Shop


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """With two rejected rows in each micro-batch of the first range and the last folder, which come one by one."""
    made = Shop(tmp_path)
    for batch in (0, 1, 3 * STEP):
        folder = reject(made.archive, BatchRange(batch, batch, 1), 2)
        made.accounts.write(account(batch, 6, archived=4, rejected=2, **COUNTED))
        for path in (folder / "part-00000.parquet", folder):
            os.utime(path, (1_000 + batch,) * 2)
    return made


def rejected(shop: Shop) -> list[str]:
    return sorted(path.name for path in shop.archive.rejected.iterdir())


FIRST, LAST, WHOLE = BatchRange(0, 0, 1), BatchRange(3 * STEP, 3 * STEP, 1), BatchRange(0, STEP - 1, 1)


def test_folders_become_one_as_the_archive_s_do(shop: Shop) -> None:
    """What was taken out of them is not missed; it is as old as the last, and looked at as long as the first."""
    path = shop.archive.rejected / FIRST.name / "part-00000.parquet"
    pq.write_table(noting(pq.read_table(path).slice(1), 1), path)
    os.utime(path, (1_000, 1_000))
    os.utime(path.parent, (1_000, 1_000))
    assert differences(shop.accounts) == []
    shop.run()
    assert differences(shop.accounts) == []
    shop.run()  # which deletes what counts no more
    assert rejected(shop) == [LAST.name, WHOLE.name]
    folder = shop.archive.rejected / WHOLE.name
    (file,) = parquet_files(folder)
    assert (pq.read_metadata(file).num_rows, written_rows(file)) == (3, 4)
    assert (file.stat().st_mtime, folder.stat().st_mtime) == (1_000, 1_001)
    assert differences(shop.accounts) == differences(shop.next(2)) == shop.said == []
    (shop.folders.accounts / "_from").write_text("1\n")  # by hand, amid it
    assert differences(shop.next(2)) == []


@pytest.mark.parametrize("known", [True, False], ids=["told by the accounts", "of no account"])
def test_what_is_damaged_stays_as_it_is(shop: Shop, *, known: bool) -> None:
    path = shop.archive.rejected / FIRST.name / "part-00000.parquet"
    cut(path)
    if known:
        assert differences(shop.accounts) == ["micro-batch 0: 2 rejected rows must be there, 0 are"]
    for _ in range(2):
        shop.run()
    assert len(rejected(shop)) == 3
    assert path.stat().st_size == 50
    assert [line.partition(": ")[2][:10] for line in shop.said] == ([] if known else ["is damaged"])
