"""A synthetic shop's event log of any size, after the published figures of the REES46 months."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.core.errors import InputError
from app.synthetic import tables
from app.synthetic.catalogue import Catalogue, build_catalogue, largest_remainder
from app.synthetic.day import CART, EVENTS_PER_SESSION, PURCHASE, VIEW, Day, build_day
from app.synthetic.users import Users, build_users, sessions_by_day
from app.synthetic.write import Products, customers_file, open_writer, session_ids, to_table, write_customers

START = date(2019, 10, 1)
SESSIONLESS_FROM = 1_000_000  # events from which two rows have no session id, as in October
MOST_PRODUCTS = 1_000_000  # so that the ids of a category have room
_CATALOGUE, _USERS, _CALENDAR, _DAY, _SESSION_IDS = range(5)  # streams of random numbers

Progress = Callable[[int, int, int], None]  # days done, days in all, events written


@dataclass(frozen=True)
class GeneratedShop:
    """What was generated; all of it is synthetic."""

    path: Path
    customers: Path  # table of user_id and type
    events: int
    views: int
    carts: int
    purchases: int
    duplicates: int
    users: int  # with an event
    products: int  # with an event
    sessions: int
    start: date
    days: int
    seed: int

    def __str__(self) -> str:
        last = self.start + timedelta(days=self.days - 1)
        return (
            f"synthetic shop, seed {self.seed}: {self.events:,} events ({self.views:,} views, "
            f"{self.carts:,} carts, {self.purchases:,} purchases) of {self.users:,} users in "
            f"{self.sessions:,} sessions on {self.products:,} products, {self.start} to {last}, in {self.path}; "
            f"types of customers in {self.customers}"
        )


def default_products(events: int) -> int:
    """Products for a number of events: grows with its square root, through October's figures."""
    return max(1, round(tables.PRODUCTS * (events / tables.EVENTS) ** 0.5))


def default_users(events: int) -> int:
    """Users for a number of events: about 14 events a user, as in October."""
    return max(1, round(tables.USERS * events / tables.EVENTS))


def default_days(events: int) -> int:
    """A month for large shops, two weeks for smaller ones."""
    return 31 if events >= 5_000_000 else 14


def generate(
    output: Path,
    events: int,
    seed: int,
    *,
    users: int | None = None,
    products: int | None = None,
    days: int | None = None,
    start: date = START,
    progress: Progress | None = None,
) -> GeneratedShop:
    """Write a synthetic event log in the REES46 layout, ordered by time; same seed, same bytes.

    Beside it goes the type of each customer (`app.synthetic.kinds`).
    Works day by day: memory holds the catalogue, the users and one day.

    Parameters
    ----------
    output
        File to write: .csv, .csv.gz or .parquet. Appears when complete.
    events
        Rows to write, exactly.
    seed
        Not negative.
    users, products, days
        Size of the shop; by default they fit the number of events. There is at least one session a
        user and 4.59 events a session, so that users beyond `events` / 4.59 don't come.
    start
        First day (UTC).
    progress
        Called after each day.

    Raises
    ------
    InputError
        A number is out of range, or the format is unknown.
    """
    for name, value, least in (
        ("events", events, 1),
        ("seed", seed, 0),
        ("users", users, 1),
        ("products", products, 1),
        ("days", days, 1),
    ):
        if value is not None and value < least:
            raise InputError(f"generate: {name} must be at least {least}, got {value}")
    if products is not None and products > MOST_PRODUCTS:
        raise InputError(f"generate: products must be at most {MOST_PRODUCTS:,}, got {products:,}")
    days = days or default_days(events)
    shop = Shop(
        events, seed, users or default_users(events), products or min(default_products(events), MOST_PRODUCTS), days
    )
    return shop.write(output, start, progress)


class Shop:
    """Catalogue, users and calendar of a synthetic shop; its days can be built one by one."""

    catalogue: Catalogue
    users: Users

    def __init__(self, events: int, seed: int, users: int, products: int, days: int) -> None:
        self.seed, self.days = seed, days
        sessions = max(1, round(events / EVENTS_PER_SESSION))
        users = min(users, sessions)
        self.catalogue = build_catalogue(products, days, self._random(_CATALOGUE))
        self.users = build_users(users, sessions, self.catalogue, self._random(_USERS))
        self.sessions = sessions_by_day(self.users.visits, days, self._random(_CALENDAR))
        count = np.array([len(day) for day in self.sessions])
        self.events = count + largest_remainder(events - sessions, count.astype(np.float64))

    def day(self, day: int) -> Day:
        """The events of a day, counted from 0; depends on nothing but the shop and the day."""
        user, events = self.sessions[day], int(self.events[day])
        return build_day(user, events, day, self.days, self.catalogue, self.users, self._random(_DAY, day))

    def session_ids(self, day: int) -> pa.Array:
        """The session ids of a day."""
        return session_ids(len(self.sessions[day]), self._random(_SESSION_IDS, day))

    def write(self, output: Path, start: date, progress: Progress | None = None) -> GeneratedShop:
        """Write all days; see `generate`."""
        by_type = np.zeros(3, np.int64)
        seen = np.zeros(len(self.catalogue.price), bool)
        duplicates = written = 0
        with open_writer(output) as (writer, schema):
            products = Products(self.catalogue, schema)
            for number in range(self.days):
                if self.events[number]:
                    day = self.day(number)
                    sessions = self.session_ids(number)
                    table = to_table(day, start + timedelta(days=number), products, self.users, sessions, schema)
                    if number in (0, self.days // 2) and self.events.sum() >= SESSIONLESS_FROM:
                        table = _without_session(table, row=table.num_rows // 2)
                    writer.write_table(table)
                    by_type += np.bincount(day.event_type, minlength=3)
                    seen[day.product] = True
                    duplicates += day.duplicates
                    written += table.num_rows
                if progress:
                    progress(number + 1, self.days, written)
        write_customers(customers_file(output), self.users)
        return GeneratedShop(
            path=output,
            customers=customers_file(output),
            events=written,
            views=int(by_type[VIEW]),
            carts=int(by_type[CART]),
            purchases=int(by_type[PURCHASE]),
            duplicates=duplicates,
            users=len(self.users.user_id),
            products=int(seen.sum()),
            sessions=sum(map(len, self.sessions)),
            start=start,
            days=self.days,
            seed=self.seed,
        )

    def _random(self, *stream: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, *stream])


def _without_session(table: pa.Table, row: int) -> pa.Table:
    """The table with no session id in one row."""
    at = table.schema.get_field_index("user_session")
    kept = pc.if_else(pa.array(np.arange(table.num_rows) != row), table.column(at), None)
    return table.set_column(at, table.schema.field(at), kept)
