"""The accounts tell of micro-batches that they know nothing of; and differences as figures."""

from pathlib import Path

from app.stream.account_files import CHUNK, FROM
from app.stream.accounts import Accounts
from app.stream.archive import Archive
from app.stream.differences import ACCOUNTS, Difference, Unaccounted
from tests.stream.test_accounts import account, accounts_of, folder

__all__ = ["folder"]  # a fixture


def gaps(accounts: Accounts) -> list[tuple[int, int]]:
    return [(found.first, found.last) for found in accounts.audit() if found.what == ACCOUNTS]


def test_gaps_in_the_numbers_of_micro_batches_are_told(archive: Archive, folder: Path) -> None:
    """Of a file of accounts that is lost, of a number that Spark leaves out, of the last before a start."""
    accounts = accounts_of(folder, archive)
    for batch in (0, 1, 2):
        accounts.write(account(batch, 0))
    assert gaps(accounts) == []
    accounts.write(account(5, 0))
    accounts.write(account(CHUNK, 0))
    assert gaps(accounts) == [(3, 4), (6, CHUNK - 1)]
    later = accounts_of(folder, archive, 2)  # began at 3: what its predecessor told of later numbers does not count
    assert gaps(later) == []
    later.write(account(4, 0))
    later.write(account(CHUNK, 0))
    told = [(3, 3), (5, CHUNK - 1)]
    assert gaps(later) == gaps(accounts_of(folder, archive, 2)) == told
    later.fold(CHUNK)
    assert gaps(later) == gaps(accounts_of(folder, archive, 2)) == told
    later.forget(CHUNK - 1)
    assert gaps(later) == gaps(accounts_of(folder, archive, 2)) == [(CHUNK - 1, CHUNK - 1)]


def test_a_file_of_accounts_that_is_lost_is_a_gap(archive: Archive, folder: Path) -> None:
    accounts = accounts_of(folder, archive)
    for batch in (0, 1, 2):
        accounts.write(account(batch, 0))
    next(folder.glob("*.e000001.jsonl")).unlink()
    assert gaps(accounts_of(folder, archive, 2)) == [(0, 2)]
    upgraded = folder / "of a stream that had none"
    upgraded.mkdir()
    first = accounts_of(upgraded, archive, 2)
    assert gaps(first) == []
    first.write(account(3, 0))
    assert gaps(first) == gaps(accounts_of(upgraded, archive, 2)) == []


def test_accounts_of_an_edition_that_noted_no_beginning_still_count(archive: Archive, folder: Path) -> None:
    accounts_of(folder, archive).write(account(2, 5))
    (folder / FROM).unlink()
    later = accounts_of(folder, archive, 2)
    lost = later.audit()
    assert [(found.first, found.expected) for found in lost] == [(2, 5)]
    later.write(account(3, 0))
    assert accounts_of(folder, archive, 2).audit()[0] == lost[0]


def test_differences_are_figures() -> None:
    found = [
        Difference(0, 0, 5, 2),
        Difference(1, 1, 2, 4, "rejected rows"),
        Difference(1, 1, 1, 0, "lists"),
        Difference(1, 1, 9, 10, "rows of lists"),
        Difference(1, 1, 1, 0, "late events"),
        Difference(4, 5, 2, 0, "accounts"),
    ]
    assert Unaccounted.of(found) == Unaccounted(rows=5, lists=3, accounts=2)
    assert Unaccounted.of([]) == Unaccounted()
