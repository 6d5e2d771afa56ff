"""Run results on disk: `run.json` of the last run, `runs/<version>.json` of each."""

from pathlib import Path

from pydantic import BaseModel, ValidationError

from app.core.errors import InputError
from app.core.files import sweep, write_text
from app.core.folders import Output
from app.results.run import SCHEMA_VERSION, RunResult

AGAIN = "run vitrine train to write a new one"


def write_run(output: Output, result: RunResult, keep: int) -> None:
    """Write a run's result, and delete those of runs long past.

    Parameters
    ----------
    output
        Gets `runs/<version>.json`, and the same as `run.json`.
    keep
        How many of the latest stay in `runs/`.
    """
    text = result.model_dump_json(indent=1)
    output.runs.mkdir(exist_ok=True)
    sweep(output.runs)
    for path in (output.runs / f"{result.version}.json", output.run):
        write_text(path, text)
    for path in sorted(output.runs.glob("*.json"))[:-keep]:
        path.unlink(missing_ok=True)


class _Version(BaseModel):
    """Of a result as any edition wrote it."""

    schema_version: int | None = None


def read_run(path: Path) -> RunResult:
    """Read a run's result.

    Raises
    ------
    InputError
        It isn't there, is damaged, or was written by another edition.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        problem = "not there" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        raise InputError(f"{path}: {problem}; vitrine train makes it") from None
    try:
        version = _Version.model_validate_json(text).schema_version
        if version is None:
            raise InputError(f"{path}: has no schema version, so the first edition of Vitrine wrote it; {AGAIN}")
        if version != SCHEMA_VERSION:
            raise InputError(f"{path}: schema version {version}, this program reads {SCHEMA_VERSION}; {AGAIN}")
        return RunResult.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise InputError(f"{path}: is damaged ({where + ': ' if where else ''}{first['msg']}); {AGAIN}") from None
