"""Where the stream keeps what it makes."""

from dataclasses import dataclass
from pathlib import Path

from app.core.errors import InputError
from app.core.files import sweep
from app.core.settings import Settings
from app.events.archive_names import EPOCHS

POSTED = "posted-"  #: begins the names of files in the landing folder that the API has written


@dataclass(frozen=True)
class StreamFolders:
    """Below `<output>/stream`, but for the landing folder, which may lie anywhere."""

    root: Path
    landing: Path
    models: Path

    @classmethod
    def of(cls, settings: Settings) -> "StreamFolders":
        output = settings.output.absolute()
        landing = settings.landing.absolute() if settings.landing else output / "landing"
        return cls(output / "stream", landing, output / "models")

    @property
    def lists(self) -> Path:
        return self.root / "lists"

    @property
    def csv(self) -> Path:
        """A folder of parts, as Spark writes a CSV: one file could not be replaced by micro-batch."""
        return self.root / "merged_recommendations.csv"

    @property
    def windows(self) -> Path:
        return self.root / "windows"

    @property
    def archive(self) -> Path:
        return self.root / "archive"

    @property
    def epochs(self) -> Path:
        """Marks of where each stream began; in the archive, so that it says by itself which of its folders count."""
        return self.archive / EPOCHS

    @property
    def rejected(self) -> Path:
        return self.root / "rejected"

    @property
    def damaged(self) -> Path:
        """Files that can't be read, moved out of the landing folder."""
        return self.root / "damaged"

    @property
    def accounts(self) -> Path:
        """What became of the rows of each micro-batch."""
        return self.root / "accounts"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoint"

    def prepare(self) -> list[Path]:
        """Make all folders, and delete files that killed writers left in them a day ago; those that were not there."""
        missing = [folder for folder in self._all() if not folder.is_dir()]
        for folder in self._all():
            folder.mkdir(parents=True, exist_ok=True)
            if folder != self.landing:  # whose hidden files are the shop's
                sweep(folder)
        return missing

    def check(self, *others: Path) -> None:
        """See that all folders are still there, and some others.

        Raises
        ------
        InputError
            One is gone.
        """
        for folder in (self.root, *self._all(), *others):
            if not folder.is_dir():
                raise InputError(
                    f"{folder}: is gone; bring it back and start the stream again, which goes on where it was: a "
                    "micro-batch that was under way is done again"
                )

    def _all(self) -> tuple[Path, ...]:
        return (
            self.landing,
            self.lists,
            self.csv,
            self.windows,
            self.archive,
            self.epochs,
            self.rejected,
            self.damaged,
            self.accounts,
            self.checkpoints,
        )
