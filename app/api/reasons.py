"""Why a product is in a list, in words."""

from typing import NamedTuple

from app.api.models import Reason, ReasonKind, Touched

#: By source, with a touched product that speaks for the place.
WITH_PRODUCT = {
    "als": "liked by those who like {name}",
    "covisitation": "often seen together with {name}",
    "session_walk": "often looked at after {name}",
    "item_graph": "close to {name} in what people look at",
    "content": "much like {name}",
}
OTHERWISE = "because of {name}"
WHERE: dict[Touched, str] = {"session": "seen in this session", "history": "seen in an earlier visit"}


class Cause(NamedTuple):
    """The touched product that speaks most for a place: its id and name, and where it was touched, if that matters."""

    product_id: str
    name: str
    touched_in: Touched | None


def reason(source: str, cause: Cause, itself: bool) -> Reason:
    """The reason of a place that a touched product speaks for.

    Parameters
    ----------
    source
        Generator that contributed most to it.
    cause
        The touched product.
    itself
        Whether the place is that product's own.
    """
    text = WITH_PRODUCT.get(source, OTHERWISE).format(name=cause.name)
    if cause.touched_in is not None:
        where = WHERE[cause.touched_in]
        text = where if itself else f"{text}, {where}"
    return Reason(cause.touched_in or "product", text, cause.product_id, cause.touched_in)


def popular(category: str | None) -> Reason:
    """The reason of a place that nothing touched speaks for: with its main category, if that is the visit's too."""
    kind: ReasonKind = "category" if category else "shop"
    return Reason(kind, f"popular in {category or 'the shop'}")
