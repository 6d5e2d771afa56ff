"""Profiles: types of behaviour, by rules that can be read.

A user has the first profile whose rule holds, in the order of `rules`, and somebody of whom no other holds has the
last. Three are asked for (docs/brief.md): impulsive, regular non-buyer, price-sensitive. Thresholds come from
`app.insight.thresholds`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.core import duck
from app.core.duck import Relation, query
from app.core.parts import Part, by_part, part_files, read_table
from app.core.settings import ProfileThreshold
from app.features.slices import Slice
from app.insight.results import ProfileRow
from app.insight.thresholds import Thresholds, thresholds

IMPULSIVE, ABANDONER, REGULAR, PRICE_SENSITIVE = (
    "Impulsive_Buyer",
    "Cart_Abandoner",
    "Regular_Non_Buyer",
    "Price_Sensitive",
)
REPEAT_BUYER, ONE_TIME_BUYER = "Repeat_Buyer", "One_Time_Buyer"
ONE_EVENT, ONE_VISIT, OTHER = "One_Event_Visitor", "One_Visit_Browser", "Other"


def rules(limits: Thresholds) -> dict[str, str]:
    """Each profile's rule in words, in the order in which they are tried."""
    return {
        IMPULSIVE: f"bought, and at least {limits.impulsive_share:.0%} of the buying sessions lasted "
        f"{limits.impulsive_minutes:g} minutes or less, without a removal from the cart; sessions of nothing but "
        "purchases don't count",
        ABANDONER: f"carted {limits.abandoned_carts:g} or more products, and left {limits.abandoned_share:.0%} or "
        "more of them",
        REGULAR: f"came on {limits.regular_days:g} days or more, and never bought",
        PRICE_SENSITIVE: f"looked at {limits.cheap_products:g} products or more, on average at "
        f"{limits.cheap_ratio:.0%} or less of the usual price in their categories",
        REPEAT_BUYER: "bought in two sessions or more, and no earlier rule holds",
        ONE_TIME_BUYER: "bought in one session, and no earlier rule holds",
        ONE_EVENT: "left a single event: one product looked at, or carted",
        ONE_VISIT: "came once, looked around, and left without a purchase",
        OTHER: f"came back {_within(limits.regular_days)}, never bought, and no earlier rule holds",
    }


def _within(days: float) -> str:
    return "on the same day" if days <= 2 else f"on fewer than {days:g} days"


def user_profiles(users: Relation, sessions: Relation, carts: Relation, limits: Thresholds) -> Relation:
    """The profile of each user.

    Parameters
    ----------
    users
        `user_features`.
    sessions
        `session_table`.
    carts
        `cart_outcomes`.
    limits
        Of the rules.

    Returns
    -------
    Relation
        user_id, profile.
    """
    tests = {
        IMPULSIVE: f"quick / decided >= {limits.impulsive_share}",
        ABANDONER: f"carted_pairs >= {limits.abandoned_carts} "
        f"and abandoned_pairs / carted_pairs >= {limits.abandoned_share}",
        REGULAR: f"frequency >= {limits.regular_days} and purchases = 0",
        PRICE_SENSITIVE: f"unique_products >= {limits.cheap_products} and price_level <= {limits.cheap_ratio}",
        REPEAT_BUYER: "buying > 1",
        ONE_TIME_BUYER: "buying = 1",
        ONE_EVENT: "total_events = 1",
        ONE_VISIT: "sessions = 1",
    }
    return query(
        f"""
        with buying as (
            select user_id, count(*) as buying,
                nullif(count(*) filter (views + carts > 0), 0) as decided,
                count(*) filter (
                    views + carts > 0 and removals = 0
                    and date_diff('second', start, "end") <= {limits.impulsive_minutes} * 60
                ) as quick
            from sessions where purchases > 0 group by user_id
        )
        select user_id, case {" ".join(f"when {test} then '{name}'" for name, test in tests.items())}
            else '{OTHER}' end as profile
        from (select user_id, frequency, purchases, unique_products, total_events, price_level, sessions from users)
            left join buying using (user_id) left join carts using (user_id)
        """,
        users=users,
        sessions=sessions,
        carts=carts,
    )


@dataclass(frozen=True)
class Profiled:
    """Users of each profile, in the order of `rules`, nobody may be in one; and who is in which segment and profile.

    `users`: table of user_id, user_key, segment_id, segment, because, profile, in the parts of the slice.
    """

    rows: tuple[ProfileRow, ...]
    users: Path


def find_profiles(
    known: Slice, given: Mapping[ProfileThreshold, float], segments: Path, names: Sequence[str], folder: Path
) -> Profiled:
    """The profiles of a slice's users, beside their segments.

    Parameters
    ----------
    known
        The slice.
    given
        Thresholds that are not to be taken from the users themselves.
    segments
        user_id, segment_id and because of all of them, in the same parts.
    names
        Of segments, by id.
    folder
        For the tables made here, on a disk that driver and executors share.
    """
    tables = known.folder
    folder.mkdir(parents=True)
    with duck.connect(folder) as connection:
        users, sessions, carts = (read_table(connection, tables / name) for name in ("users", "sessions", "carts"))
        limits = thresholds(users, sessions, carts, given)

    def count(part: Part) -> None:
        users, sessions, carts = (part.read(tables / name) for name in ("users", "sessions", "carts"))
        profiles = user_profiles(users, sessions, carts, limits)
        grouped = part.write("users", grouped_users(users, part.read(segments), names, profiles))
        part.write("counts", grouped.aggregate("profile, count(*) as users"))

    by_part(known.spark, len(part_files(known.events)), count, folder)
    with duck.connect(folder) as connection:
        counts = read_table(connection, folder / "counts")
        found = dict(counts.aggregate("profile, sum(users)::bigint").fetchall())
    return Profiled(profile_rows(found, limits), folder / "users")


def grouped_users(users: Relation, segments: Relation, names: Sequence[str], profiles: Relation) -> Relation:
    """Who is in which segment and profile: user_id, user_key, segment_id, segment, because, profile."""
    return query(
        f"select user_id, user_key, segment_id, {duck.texts(names)}[segment_id + 1] as segment, because, profile "
        "from users join segments using (user_id) join profiles using (user_id)",
        users=users,
        segments=segments,
        profiles=profiles,
    )


def profile_rows(counts: Mapping[str, int], limits: Thresholds) -> tuple[ProfileRow, ...]:
    """The table that the report shows."""
    total = sum(counts.values()) or 1
    return tuple(
        ProfileRow(profile=name, users=counts.get(name, 0), share=counts.get(name, 0) / total, rule=rule)
        for name, rule in rules(limits).items()
    )
