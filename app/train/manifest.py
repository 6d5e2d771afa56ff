"""What a training writes into its bundle's manifest, and reads from the champion's."""

from datetime import datetime
from pathlib import Path

from pydantic import AliasChoices, ConfigDict, Field, JsonValue, ValidationError

from app.core.errors import BundleError
from app.core.part import Measured, Part
from app.evaluate.results import QualityRow, Verdict
from app.registry.manifest import Manifest, first_error


class DataWindow(Part):
    """Times of the first and the last event trained on, UTC."""

    start: datetime
    end: datetime


class ManifestEntries(Part):
    """The training's part of a manifest; the registry adds version, schema and checksums.

    `parameters`: settings that shaped the model; `metrics`: means over all queries by "task/model" and
    metric; `quality`: the whole table, which the next training's gate compares with.
    """

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    training_date: datetime
    total_users: int
    total_products: int
    #: The first bundles of this schema call it `total_interactions`.
    total_events: int = Field(validation_alias=AliasChoices("total_events", "total_interactions"))
    segments_count: int
    data_window: DataWindow
    synthetic: bool
    parameters: dict[str, JsonValue]
    metrics: dict[str, dict[str, float]]
    quality: tuple[QualityRow, ...]
    silhouette: Measured
    gate: Verdict
    #: Names of the forgettings that were obeyed (`app.events.forgotten`).
    forgotten: tuple[str, ...] = ()
    #: Moment of the latest merge that was obeyed (`app.events.merged`), microseconds since 1970.
    merged_until: int = 0

    @classmethod
    def read(cls, folder: Path, manifest: Manifest) -> "ManifestEntries":
        """The training's part of a bundle's manifest.

        Raises
        ------
        BundleError
            Another version of Vitrine wrote it, or something other than a training.
        """
        try:
            return cls.model_validate(manifest.model_dump(mode="json"))
        except ValidationError as error:
            reason = first_error(error)
            raise BundleError(
                f"bundle {folder}: its manifest is from another version of Vitrine ({reason}); train again"
            ) from None
