"""InfluxDB filled again from files: after its volume was lost, or to begin with a new bucket."""

from collections.abc import Callable, Iterator
from typing import Any

from app.core.errors import InputError
from app.core.folders import Output
from app.core.settings import Settings
from app.monitor.influx import InfluxWriter, check, influx_config, trying_again
from app.monitor.training_points import training_lines
from app.results.files import read_run
from app.stream.archive import Archive, read_points
from app.stream.epoch import marked
from app.stream.folders import StreamFolders
from app.stream.window_files import read_windows, window_lines


def backfill(settings: Settings, say: Callable[[str], Any]) -> int:
    """Write the points that the files of an output folder know of; returns how many.

    Points that are there already are replaced by the same ones, so it may run twice, and beside a stream.

    Raises
    ------
    InputError
        No InfluxDB is set, it can't be written to, or there is nothing to write.
    """
    config = influx_config(settings)
    if config is None:
        raise InputError("no --influx-url: give the address of the InfluxDB to fill")
    check(config)
    folders = StreamFolders.of(settings)
    kinds: dict[str, Iterator[str]] = {
        "trainings and segments": _trainings(Output(settings.output.absolute()), say),
        "window counts": _windows(folders),
        "lists, quality and progress of micro-batches": _micro_batches(folders),
    }
    total = 0
    with InfluxWriter(config, on_retry=lambda reason: say(trying_again(reason))) as writer:
        for name, lines in kinds.items():
            written = writer.write(lines).lines
            say(f"{name}: {written:,} points")
            total += written
    if total == 0:
        raise InputError(f"{settings.output}: holds no runs and no stream; give --output a folder that Vitrine wrote")
    return total


def _trainings(output: Output, say: Callable[[str], Any]) -> Iterator[str]:
    for path in sorted(output.runs.glob("*.json")):
        try:
            result = read_run(path)
        except InputError as error:  # of another edition: the others are as good as without it
            say(str(error))
            continue
        if result.quality is not None:
            yield from training_lines(result)


def _windows(folders: StreamFolders) -> Iterator[str]:
    if folders.windows.is_dir():
        yield from window_lines(read_windows(folders.windows, marked(folders)))


def _micro_batches(folders: StreamFolders) -> Iterator[str]:
    if folders.archive.is_dir():
        archive = Archive.of(folders)
        for part in archive.folders(marked(folders)):
            yield from read_points(archive.folder / part.name)
