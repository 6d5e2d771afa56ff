"""Going on from a training that was killed: what each finished stage found is kept until the run ends."""

import json
import pickle
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from py4j.protocol import Py4JError
from pydantic import JsonValue
from pyspark.sql import SparkSession

from app.core.errors import VitrineError
from app.core.files import WORK, replacing, write_text
from app.core.folders import CLEANED, STAMP_FORMAT, Output, latest_complete
from app.core.progress import Progress
from app.core.settings import Settings
from app.events.forgotten import ForgottenUsers
from app.events.layout import layout_of
from app.events.merged_users import MergedUsers
from app.events.read import list_event_files
from app.registry.registry import Registry

ASKED = "asked.json"  #: in a run's scratch folder: what it was asked
FINISHED = ".finished"  #: how files of finished stages end

Found = TypeVar("Found")


def asked_for(spark: SparkSession, settings: Settings) -> dict[str, JsonValue]:
    """All that a training's outcome depends on: the program, settings, files by size, and the bundle in use."""
    output = Output(settings.output)
    champion = Registry(output.models).champion()
    cleaned = latest_complete(output.processed, CLEANED) if settings.events is None else None
    read = [source for source in (settings.events, settings.catalogue) if source]
    asked: dict[str, Any] = {
        "program": version("vitrine"),
        "settings": settings.recorded(),
        "champion": champion.name if champion else None,
        "layout": layout_of(settings).model_dump(mode="json"),
        "cleaned": cleaned.name if cleaned else None,
        "forgotten": ForgottenUsers(settings.output).read().names,
        "merged_until": MergedUsers(settings.output).read().latest,
        "files": [list_event_files(spark, source) for source in read],
    }
    return json.loads(json.dumps(asked))  # as it is read back: pairs are lists


def killed_run(settings: Settings, asked: dict[str, JsonValue], say: Callable[[str], Any]) -> datetime | None:
    """When the latest training that was killed began, if it was asked for the same; no other may be at work."""
    for folder in sorted(settings.output.glob(f"{WORK}*"), reverse=True):
        if (folder / ASKED).is_file():
            before = json.loads((folder / ASKED).read_text())
            stamp = folder.name.removeprefix(WORK)
            own = {"champion"} if str(asked["champion"]).startswith(stamp) else set()  # killed after it had published
            different = [name for name in asked if name not in own and before.get(name) != asked[name]]
            if not different:
                return datetime.strptime(stamp, STAMP_FORMAT).replace(tzinfo=UTC)
            say(f"{folder.name}: was asked for something else ({', '.join(different)}); starting anew")
            return None
    say("no training that was killed is left here; starting anew")
    return None


@dataclass(frozen=True)
class Finished:
    """The stages that a run has behind it.

    `folder`: the run's scratch folder. What is kept refers to tables there, to the `spark` session, and to nothing else
    that a new process has not. `check`: raises once another training has taken over, whose the folder may be then.
    """

    folder: Path
    spark: SparkSession
    progress: Progress
    check: Callable[[], object] = lambda: None

    def begin(self, asked: dict[str, JsonValue]) -> None:
        """Remember what the run was asked; from here on it can be gone on with."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_text(self.folder / ASKED, json.dumps(asked))

    def once(self, name: str, work: Callable[[], Found], *made: Path) -> Found:
        """What some stages find: as they found it before the run was killed, else from doing them.

        Parameters
        ----------
        name
            Of the stages.
        work
            Does them.
        made
            What they make and may have left half made.

        Raises
        ------
        VitrineError
            Another training has taken over.
        """
        self.check()
        file = self.folder / f"{name}{FINISHED}"
        if file.exists():
            return self._remembered(file)
        for path in made:
            shutil.rmtree(path, ignore_errors=True)
        before = len(self.progress.stages)
        found = work()
        self.check()  # or what two have written at once would be taken for finished
        with replacing(file) as part, part.open("wb") as written:
            _Pickler(written).dump((found, self.progress.stages[before:]))
        return found

    def drop(self) -> None:
        """Delete the scratch folder, unless it may be another training's, or Spark's Java process was killed."""
        with suppress(VitrineError, OSError):
            self.check()
            if (self.folder / ASKED).exists() and self._is_cut_off():
                self.progress.say(f"{self.folder.name} is kept: the same command with --resume goes on from there")
            else:
                shutil.rmtree(self.folder, ignore_errors=True)

    def _is_cut_off(self) -> bool:
        """Whether Spark does not answer any more."""
        try:
            return not self.spark.version
        except (Py4JError, OSError):
            return True

    def _remembered(self, file: Path) -> Any:
        with file.open("rb") as written:
            found, stages = _Unpickler(written, self.spark).load()  # from the user's own folder, as all tables are
        for stage in stages:
            self.progress.again(stage)
        return found


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj: Any) -> str | None:
        return "spark" if isinstance(obj, SparkSession) else None


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: Any, spark: SparkSession):
        super().__init__(file)
        self._spark = spark

    def persistent_load(self, pid: Any) -> SparkSession:
        return self._spark
