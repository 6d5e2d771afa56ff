"""Customer segments as serving knows them: the model, and what its clusters are described by."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated

from pydantic import Field

from app.core.part import Part

FILE = "segments.json"  #: of a bundle


@dataclass(frozen=True)
class Unit:
    """What a mean is measured in; empty for a share of 0 to 1."""

    name: str


SHARE = Unit("")


class Means(Part):
    """Means over the users of a segment, in original units; a user's missing value counts as 0, a price level as 1."""

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
    price_level: Annotated[float, Unit("times the usual")] = Field(
        description="mean price of the products looked at, against what is usual in their categories; 1 is usual"
    )


UNITS: dict[str, Unit] = {name: field.metadata[0] for name, field in Means.model_fields.items()}
FEATURES = tuple(UNITS)  #: what users are clustered by


@dataclass(frozen=True)
class SegmentModel:
    """Everything needed to put a user into a segment.

    `caps`, `centre`, `scale`: one per feature of `FEATURES`; `centroids`: one row per segment, in
    units of `scale` from the average user; `names`: by segment id; `base_conversion`: purchases per view over all
    users; `silhouette`: how well the clusters are set apart (-1 to 1), None if there is only one.
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
