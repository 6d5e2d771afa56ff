"""Customer segments as serving knows them: the model, and the business names of its clusters."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from itertools import count, takewhile, zip_longest
from pathlib import Path
from typing import Annotated

from pydantic import Field

from app.core.part import Part

FILE = "segments.json"  #: of a bundle
NUMBER = re.compile(r"_\d+$")
NAME_SLACK = 0.15  #: a matched segment keeps its name until its means are this far past a threshold

VIP, LOYAL, ACTIVE, DORMANT, CASUAL = (
    "VIP_Customers",
    "Loyal_Customers",
    "Active_Buyers",
    "Dormant_Users",
    "Casual_Browsers",
)


@dataclass(frozen=True)
class Unit:
    """What a mean is measured in; empty for a share of 0 to 1."""

    name: str


SHARE = Unit("")


class Means(Part):
    """Means over the users of a segment, in original units; a user's missing value counts as 0."""

    recency: Annotated[float, Unit("d")] = Field(description="days since the last event")
    frequency: Annotated[float, Unit("d")] = Field(description="active days")
    monetary: Annotated[float, Unit("shop currency")] = Field(description="spent, in shop currency")
    conversion_rate: Annotated[float, SHARE] = Field(description="purchases per view")
    cart_abandonment: Annotated[float, SHARE] = Field(description="share of carted products not bought in time")
    unique_products: Annotated[float, Unit("products")] = Field(description="distinct products seen")
    unique_categories: Annotated[float, Unit("categories")] = Field(description="distinct categories seen")
    avg_price: Annotated[float, Unit("shop currency")] = Field(
        description="mean price of the products looked at, in shop currency"
    )


UNITS: dict[str, Unit] = {name: field.metadata[0] for name, field in Means.model_fields.items()}
FEATURES = tuple(UNITS)  #: what users are clustered by


def segment_name(means: Means) -> str:
    """Business name of a cluster by fixed thresholds on its means (docs/brief.md, `_assign_segment_names`)."""
    return next((name for name, holds in _rules(means).items() if holds), CASUAL)


def _rules(means: Means, slack: float = 0.0) -> dict[str, bool]:
    """Which rules hold, in their order, each threshold loosened by a share (tightened by a negative one)."""
    low, high = 1 - slack, 1 + slack
    return {
        VIP: means.monetary > 500 * low and means.frequency > 10 * low and means.recency < 30 * high,
        LOYAL: means.frequency > 5 * low and means.recency < 60 * high,
        ACTIVE: means.recency < 30 * high and means.conversion_rate > 0.1 * low,
        DORMANT: means.recency > 60 * low and means.frequency < 3 * high,
    }


def stable_name(means: Means, previous: str) -> str:
    """The previous name while the means are within `NAME_SLACK` of its thresholds, else the new one.

    Rules are tried in order, so a name is left in two ways: its own rule fails by more than the slack, or
    an earlier rule holds by more than the slack.
    """
    loose, tight = _rules(means, NAME_SLACK), _rules(means, -NAME_SLACK)
    earlier = takewhile(lambda name: name != previous, tight)
    stays = loose.get(previous, True) and not any(tight[name] for name in earlier)
    return previous if stays else segment_name(means)


def segment_names(means: Sequence[Means | None], previous: Sequence[str]) -> list[str]:
    """Names by segment id, no two alike.

    Parameters
    ----------
    means
        By segment id; None where a segment is empty.
    previous
        Names before this training, by segment id; empty where there are none to keep.
    """
    before = [*previous, *[""] * (len(means) - len(previous))]
    names = [_name(mean, base_name(name)) for mean, name in zip(means, before, strict=True)]
    return distinct_names(names, before)


def _name(means: Means | None, previous: str) -> str:
    if means is None:
        return previous or CASUAL
    return stable_name(means, previous) if previous else segment_name(means)


def distinct_names(names: Sequence[str], previous: Sequence[str]) -> list[str]:
    """Numbered where several segments bear one name, so that no table or gate merges them.

    Parameters
    ----------
    names
        By segment id.
    previous
        The numbered names before this training; a segment whose name stays keeps its number. May be empty.
    """
    pairs = zip_longest(names, previous, fillvalue="")
    kept = [before if base_name(before) == name else "" for name, before in pairs]
    taken = set(kept)
    for place, name in enumerate(names):
        if not kept[place]:
            free = (name if nth == 1 else f"{name}_{nth}" for nth in count(1))
            kept[place] = next(one for one in free if one not in taken)
            taken.add(kept[place])
    return kept


def base_name(name: str) -> str:
    """A name without the number of `distinct_names`."""
    return NUMBER.sub("", name)


@dataclass(frozen=True)
class SegmentModel:
    """Everything needed to put a user into a segment.

    `caps`, `centre`, `scale`: one per feature of `FEATURES`; `centroids`: one row per segment, in
    standardised units; `names`: by segment id; `base_conversion`: purchases per view over all users;
    `silhouette`: how well the clusters are set apart (-1 to 1), None if there is only one.
    """

    caps: list[float]
    centre: list[float]
    scale: list[float]
    centroids: list[list[float]]
    names: list[str]
    base_conversion: float
    silhouette: float | None = None

    def save(self, folder: Path) -> None:
        """Write the model into a bundle's folder."""
        (folder / FILE).write_text(json.dumps(asdict(self), indent=1))

    @classmethod
    def load(cls, folder: Path) -> "SegmentModel":
        """Open what `save` wrote.

        Raises
        ------
        OSError, ValueError, KeyError, TypeError
            The file is missing or damaged.
        """
        found = json.loads((folder / FILE).read_text())
        # By name: bundles of the first edition hold a table beside the model.
        return cls(**{field.name: found[field.name] for field in fields(cls)})
