"""Where a run puts what it makes, and which tables of earlier runs are complete."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from app.errors import InputError

STAMP = re.compile(r"_(\d{8}_\d{6})$")
CLEANED, REJECTED, USERS, PRODUCTS = "cleaned_data_", "rejected_", "user_behavior_", "product_data_"


@dataclass(frozen=True)
class Output:
    """The output folder of `vitrine train`."""

    root: Path

    @property
    def processed(self) -> Path:
        return self.root / "processed"

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def recommendations(self) -> Path:
        return self.root / "recommendations"

    @property
    def merged_csv(self) -> Path:
        return self.root / "merged_recommendations.csv"

    @property
    def report(self) -> Path:
        return self.root / "report.html"

    @property
    def run(self) -> Path:
        """Everything the report and the summary say, as JSON."""
        return self.root / "run.json"

    def prepare(self) -> None:
        """Make the folder, and see that it can be written to.

        Raises
        ------
        InputError
            It can't.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            probe = self.root / f".write-test-{os.getpid()}"
            probe.write_bytes(b"vitrine")
            probe.unlink()
        except OSError as error:
            raise InputError(f"output folder {self.root}: cannot be written to ({error.strerror})") from None


def latest_complete(folder: Path, prefix: str) -> Path | None:
    """The newest complete table `<prefix><YYYYMMDD_HHMMSS>` of a folder, None if there is none.

    Spark leaves `_SUCCESS` when all of a table is written; a table without it does not count.
    """
    tables = [path for path in folder.glob(f"{prefix}*") if STAMP.search(path.name) and (path / "_SUCCESS").is_file()]
    return max(tables, key=lambda path: path.name, default=None)
