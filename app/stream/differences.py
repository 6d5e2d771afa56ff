"""What the accounts miss: differences between what must be there and what is, and the figures made of them."""

from collections.abc import Iterable
from dataclasses import dataclass

ROWS, REJECTED = "rows", "rejected rows"
LISTS, LIST_ROWS, LATE = "lists", "rows of lists", "late events"
ACCOUNTS = "accounts"  #: a gap in the numbers of micro-batches


@dataclass(frozen=True)
class Difference:
    """What micro-batches must have, and how much of it is there."""

    first: int
    last: int
    expected: int
    found: int
    what: str = ROWS

    def __str__(self) -> str:
        named = f"micro-batch {self.first}" if self.first == self.last else f"micro-batches {self.first} to {self.last}"
        return f"{named}: {self.expected} {self.what} must be there, {self.found} are"


@dataclass(frozen=True)
class Unread(Difference):
    """The same where something can't be read now, and may hold what is missed; `why` names it."""

    why: str = ""

    def __str__(self) -> str:
        return f"{super().__str__()}, as far as can be read now ({self.why})"


@dataclass(frozen=True)
class Unaccounted:
    """How much is missing or there twice: `rows` taken in, `lists` (or rows of their files), micro-batches' `accounts`.

    Late events that Spark has not dropped are counted with the lists.
    """

    rows: int = 0
    lists: int = 0
    accounts: int = 0

    @classmethod
    def of(cls, differences: Iterable[Difference]) -> "Unaccounted":
        """Sums over differences."""
        sums = dict.fromkeys((ROWS, REJECTED, LISTS, LIST_ROWS, LATE, ACCOUNTS), 0)
        for found in differences:
            sums[found.what] += abs(found.expected - found.found)
        return cls(sums[ROWS] + sums[REJECTED], sums[LISTS] + sums[LIST_ROWS] + sums[LATE], sums[ACCOUNTS])
