"""Where a run puts what it makes, and which tables of earlier runs are complete."""

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from app.core.errors import InputError
from app.core.files import WORK, sweep

#: The address of a place elsewhere, such as s3a://bucket/shop; a `Path` of it has one slash left.
ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
STAMP_FORMAT = "%Y%m%d_%H%M%S"  #: of a run's start, in the names of what it makes
STAMP = re.compile(r"_(\d{8}_\d{6})$")
#: Ends the name of whatever a run made; of two bundles of a second one is numbered.
RUN = re.compile(r"(?:^|[_-])(\d{8}_\d{6})(?:_\d+)?$")
SYNTHETIC_LABEL = "_SYNTHETIC"  #: file that marks a table made from synthetic events
CLEANED, REJECTED, USERS, PRODUCTS = "cleaned_data_", "rejected_", "user_behavior_", "product_data_"
MAKER = "_made_by_"  #: begins the name of a file in a table: the run that made it, where the table is named otherwise
CUSTOMERS, PERFORMANCE = "customers_", "product_performance_"
SEGMENTS, FIGURES = "segments_", "figures_"


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
        """Everything in the report and the summary, as JSON."""
        return self.root / "run.json"

    @property
    def runs(self) -> Path:
        """The same of each run, by version."""
        return self.root / "runs"

    def tables(self) -> Iterator[Path]:
        """Folders of tables of all trainings, with the scratch folders of those at work and of those killed."""
        yield from self.processed.glob("*")
        yield from self.recommendations.glob("*")
        yield from self.root.glob(f"{WORK}*")

    def prepare(self) -> None:
        """Make the folder, see that it can be written to, and delete what killed writers left in it.

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
            for folder in (self.root, self.processed):
                sweep(folder)
        except OSError as error:
            raise InputError(f"output folder {self.root}: cannot be written to ({error.strerror})") from None


def local_path(place: str | Path) -> Path:
    """A place to write to, which must be on this machine or a volume mounted there.

    Raises
    ------
    ValueError
        It is an address: taken for a path, it would become a folder named "s3a:" without a word.
    """
    if ADDRESS.match(str(place)):
        raise ValueError("object storage cannot be written to; give a folder of this machine or a mounted volume")
    return Path(place)


def latest_complete(folder: Path, prefix: str) -> Path | None:
    """The newest complete table `<prefix><YYYYMMDD_HHMMSS>` of a folder, None if there is none.

    Spark leaves `_SUCCESS` when all of a table is written; a table without it does not count.
    """
    tables = [path for path in folder.glob(f"{prefix}*") if STAMP.search(path.name) and (path / "_SUCCESS").is_file()]
    return max(tables, key=lambda path: path.name, default=None)


def is_synthetic(sources: str) -> bool:
    """Whether events are synthetic: by a path's name, or by a label in a folder.

    Parameters
    ----------
    sources
        Paths, separated by commas.
    """
    return any("synthetic" in source or (Path(source) / SYNTHETIC_LABEL).exists() for source in sources.split(","))


def label_synthetic(table: Path) -> None:
    """Mark a table as made from synthetic events; Spark passes over names with a leading underscore."""
    (table / SYNTHETIC_LABEL).touch()


def note_maker(table: Path, stamp: str) -> None:
    """Leave in a table of another name which run has made it."""
    (table / f"{MAKER}{stamp}").touch()


def made_before(path: Path, moment: int) -> bool:
    """Whether a run made a table or a bundle that began before a moment (microseconds since 1970)."""
    found = RUN.search(next(path.glob(f"{MAKER}*"), path).name)
    if found is None:
        return False
    began = datetime.strptime(found[1], STAMP_FORMAT).replace(tzinfo=UTC)
    return round(began.timestamp()) * 1_000_000 <= moment


def prune_tables(folder: Path, keep: int) -> None:
    """Delete the tables of all but the latest runs.

    Parameters
    ----------
    folder
        Of tables `<prefix><YYYYMMDD_HHMMSS>`.
    keep
        How many of the latest stay, for each prefix.
    """
    tables: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        stamp = STAMP.search(path.name)
        if stamp:
            tables.setdefault(path.name[: stamp.start()], []).append(path)
    for paths in tables.values():
        for path in paths[:-keep]:
            shutil.rmtree(path, ignore_errors=True)
