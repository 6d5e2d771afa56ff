"""InfluxDB filled again from files: after its volume was lost, or to begin with a new bucket."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pyarrow as pa

from app.core.errors import InputError, VitrineError, is_away
from app.core.folders import Output
from app.core.settings import Settings
from app.monitor.influx import InfluxWriter, check, influx_config, trying_again
from app.monitor.training_points import training_lines
from app.results.files import read_run
from app.stream.archive import Archive, read_points
from app.stream.epoch import marked
from app.stream.folders import StreamFolders
from app.stream.window_files import WINDOW_SCHEMA, read_day, window_days, window_lines

Say = Callable[[str], Any]
Write = Callable[[Iterable[str]], int]  #: writes lines; returns how many


def backfill(settings: Settings, say: Say) -> int:
    """Write the points that the files of an output folder know of; returns how many.

    Points that are there already are replaced by the same ones, so it may run twice, and beside a stream. It holds
    the counts of a day at a time, and of other points as many as are written at once.

    Raises
    ------
    InputError
        No InfluxDB is set, it can't be written to, or there is nothing to write.
    """
    config = influx_config(settings)
    if config is None:
        raise InputError("no --influx-url: give the address of the InfluxDB to fill")
    check(config)
    output, folders = Output(settings.output.absolute()), StreamFolders.of(settings)
    total = 0
    with InfluxWriter(config, on_retry=lambda reason: say(trying_again(reason))) as writer:

        def write(lines: Iterable[str]) -> int:
            return writer.write(lines).lines

        kinds: dict[str, Callable[[], int]] = {
            "trainings and segments": lambda: write(_trainings(output, say)),
            "window counts": lambda: write_windows(folders, write, say),
            "lists and quality of micro-batches": lambda: write(_micro_batches(folders, say)),
        }
        for name, fill in kinds.items():
            written = fill()
            say(f"{name}: {written:,} points")
            total += written
    if total == 0:
        raise InputError(f"{settings.output}: holds no runs and no stream; give --output a folder that Vitrine wrote")
    return total


def write_windows(folders: StreamFolders, write: Write, say: Say) -> int:
    """Write all window counts, day by day; returns how many.

    A stream replaces its file before it writes the points. So a day whose file has not changed once its counts are
    written has none that is older than the stream's; else those that are new are written too.
    """
    days = window_days(folders.windows, marked(folders).latest) if folders.windows.is_dir() else {}
    total = 0
    for day in sorted(days):
        lines, written = window_lines(_counts(folders, day, say)), set[str]()
        while new := [line for line in lines if line not in written]:  # few from the second time on: it comes to an end
            write(new)
            written = {*lines}
            lines = window_lines(_counts(folders, day, say))
        total += len(written)
    return total


def _counts(folders: StreamFolders, day: str, say: Say) -> pa.Table:
    """What stands for a day now; nothing, said, where its file is damaged or lost."""
    for _ in range(2):  # a stream that has just begun has put a file of its own in this one's place
        path = window_days(folders.windows, marked(folders).latest).get(day)
        if path is None:
            continue
        try:
            return read_day(path)
        except FileNotFoundError:
            continue
        except (pa.ArrowException, OSError) as error:  # the other days are as good as without it
            say(f"{path}: cannot be read ({str(error).splitlines()[0]}); its counts are left out")
            return WINDOW_SCHEMA.empty_table()
    say(f"{folders.windows}: the file of {day} is gone; its counts are left out")
    return WINDOW_SCHEMA.empty_table()


def _trainings(output: Output, say: Say) -> Iterator[str]:
    for path in sorted(output.runs.glob("*.json")):
        try:
            result = read_run(path)
        except InputError as error:  # of another edition: the others are as good as without it
            say(str(error))
            continue
        if result.quality is not None:
            yield from training_lines(result)


def _micro_batches(folders: StreamFolders, say: Say) -> Iterator[str]:
    if folders.archive.is_dir():
        archive = Archive.of(folders)
        for part in archive.folders(marked(folders)):
            try:
                yield from read_points(archive.folder / part.name)
            except VitrineError as error:  # the others are as good as without it
                say(str(error))
            except OSError as error:
                if not is_away(error):
                    raise
                say(f"{error}; its points are left out")
