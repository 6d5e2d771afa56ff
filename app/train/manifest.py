"""What a training writes into its bundle's manifest, and reads from the champion's."""

from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, JsonValue, ValidationError

from app.core.errors import BundleError
from app.core.part import Measured, Part
from app.evaluate.results import QualityRow, Verdict


class DataWindow(Part):
    """Times of the first and the last event trained on, UTC."""

    start: datetime
    end: datetime


class ManifestEntries(Part):
    """The training's part of a manifest; the registry adds version, schema and checksums.

    `parameters`: settings that shaped the model; `metrics`: means over all queries by "task/model" and
    metric; `quality`: the whole table, which the next training's gate compares with.
    """

    model_config = ConfigDict(extra="ignore")

    training_date: datetime
    total_users: int
    total_products: int
    total_interactions: int
    segments_count: int
    data_window: DataWindow
    synthetic: bool
    parameters: dict[str, JsonValue]
    metrics: dict[str, dict[str, float]]
    quality: tuple[QualityRow, ...]
    silhouette: Measured
    gate: Verdict

    def dumped(self) -> dict[str, Any]:
        """As the registry takes it: values of JSON, by name."""
        return self.model_dump(mode="json")

    @classmethod
    def read(cls, folder: Path, manifest: dict[str, Any]) -> "ManifestEntries":
        """The training's part of a bundle's manifest.

        Raises
        ------
        BundleError
            It was written by another edition, or by no training.
        """
        try:
            return cls.model_validate(manifest)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(step) for step in first["loc"])
            raise BundleError(
                f"bundle {folder}: its manifest is of another edition ({where}: {first['msg']}); train again"
            ) from None
