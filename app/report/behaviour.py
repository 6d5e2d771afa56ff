"""The sections on behaviour in the shop: a question of an analyst each."""

from app.insight.behaviour_results import Behaviour
from app.report import carts, funnel, paths, products
from app.report.blocks import Section


def sections(found: Behaviour) -> list[Section]:
    """A section for each question; what the log can't tell is said at its head."""
    return [
        funnel.section(found.funnel, found.has_prices, found.has_categories),
        paths.section(found.paths, found.has_categories),
        carts.section(found.carts, found.has_prices, found.has_categories),
        products.section(found.performance),
    ]
