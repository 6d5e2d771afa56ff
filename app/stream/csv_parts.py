"""Lists as CSV seen to be what they are as Parquet: a part that is lost or cut short is written again."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from app.core.errors import is_away, is_of_the_system
from app.events.archive_names import Epochs
from app.stream.forgetting import SECONDS_AT_ONCE
from app.stream.list_files import csv_of, parts, write_csv

AT_ONCE = 64  #: parts that are read at each call though their CSV is there


class CsvParts:
    """Looks at all parts by their names, and into some of them in turn.

    Parameters
    ----------
    lists, csv
        Folders.
    told
        Gets a line about what was not as it must be.
    """

    def __init__(self, lists: Path, csv: Path, told: Callable[[str], Any]):
        self._lists, self._csv, self._told = lists, csv, told
        self._turn = ""

    def mend(self, epochs: Epochs, committed: int) -> None:
        """Write again what is not there, or not whole, of the micro-batches that will not be done again."""
        names = sorted(
            name
            for batch, epoch, name in parts(self._lists)
            if name.endswith(".parquet") and batch <= committed and epoch >= epochs.owner(batch)
        )
        there = {name for _, _, name in parts(self._csv)}
        lost = [name for name in names if csv_of(name) not in there]
        in_turn = ([name for name in names if name > self._turn] or names)[:AT_ONCE]
        until = time.monotonic() + SECONDS_AT_ONCE
        mended: list[str] = []
        for place, name in enumerate([*lost, *in_turn]):
            if self._mend(name):
                mended.append(name)
            if place >= len(lost):
                self._turn = name
            if time.monotonic() > until:
                break
        if mended:
            some = csv_of(mended[0]) if len(mended) == 1 else f"{csv_of(mended[0])} and {len(mended) - 1} more"
            self._told(f"{self._csv}: {some} gone or not whole; written again from {self._lists}")

    def _mend(self, name: str) -> bool:
        """Whether there was something to be mended; where the Parquet is lost as well, the accounts tell."""
        csv = self._csv / csv_of(name)
        try:
            rows = pq.read_metadata(self._lists / name).num_rows
            if _rows(csv) == rows:
                return False
            write_csv(pq.read_table(self._lists / name), csv)
        except FileNotFoundError:
            return False
        except (pa.ArrowException, OSError) as error:
            if is_of_the_system(error) and not is_away(error):
                raise
            return False
        return True


def _rows(csv: Path) -> int | None:
    """Rows of a part; None if it is gone or no CSV."""
    with suppress(FileNotFoundError, pa.ArrowInvalid):
        return int(pacsv.read_csv(csv, parse_options=pacsv.ParseOptions(newlines_in_values=True)).num_rows)
    return None
