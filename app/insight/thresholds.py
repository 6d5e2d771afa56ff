"""Thresholds of profiles: set, or taken from the shop's own users, so that they fit any log."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.core.duck import Relation, query
from app.core.settings import ProfileThreshold

CHEAP = 0.9  #: of the usual price; who pays more has no taste for cheap products, though the others pay more still


@dataclass(frozen=True)
class Thresholds:
    """What makes behaviour stand out.

    `impulsive_minutes`: a buying session at most so long is a decision on the spot; by default a quarter of the
    shop's are. `impulsive_share`: share of a user's buying sessions that must be so. `abandoned_carts`: carted
    products from which on a cart tells something; the median of those who cart. `abandoned_share`: of them, left
    behind. `regular_days`: days with a visit; the median of those who come on more than one. `cheap_products`:
    products looked at from which on a taste in prices can be told; the median of those who look at more than
    one. `cheap_ratio`: their prices against what is usual in their categories; the lowest fifth of such users, and
    `CHEAP` at most.
    """

    impulsive_minutes: float = 10.0
    impulsive_share: float = 0.5
    abandoned_carts: float = 1.0
    abandoned_share: float = 0.5
    regular_days: float = 2.0
    cheap_products: float = 2.0
    cheap_ratio: float = 0.7


def thresholds(
    users: Relation, sessions: Relation, carts: Relation, given: Mapping[ProfileThreshold, float]
) -> Thresholds:
    """Those given, and of the shop's own users the others; where it has nobody to take them from, those above.

    Parameters
    ----------
    users
        `user_features` of all users.
    sessions
        `session_table`, likewise.
    carts
        `cart_outcomes`, likewise.
    given
        By name.
    """
    found = {
        # Of sessions that show more than the purchase itself: else nothing is known of how it was decided.
        "impulsive_minutes": _quantile(
            sessions.filter("purchases > 0 and views + carts > 0"), """date_diff('second', start, "end") / 60""", 0.25
        ),
        "abandoned_carts": _quantile(carts.filter("carted_pairs > 0"), "carted_pairs", 0.5),
        "regular_days": _quantile(users.filter("frequency > 1"), "frequency", 0.5),
        "cheap_products": _quantile(users.filter("unique_products > 1"), "unique_products", 0.5),
    }
    known: dict[str, float] = {name: value for name, value in found.items() if value is not None} | {**given}
    least = known.get("cheap_products", Thresholds.cheap_products)
    lowest = _quantile(users.filter(f"unique_products >= {least}"), "price_level", 0.2)
    return Thresholds(**({} if lowest is None else {"cheap_ratio": min(lowest, CHEAP)}) | known)


def _quantile(relation: Relation, value: str, share: float) -> float | None:
    """A value that occurs; None where there is none."""
    ((found,),) = query(f"select quantile_disc({value}, {share}) from rows", rows=relation).fetchall()
    return None if found is None else round(float(found), 2)
