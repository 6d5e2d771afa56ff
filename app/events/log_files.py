"""Which files a log consists of: a file, folder or glob, of any file system that Spark knows.

Hidden files (a leading `_` or `.`) are passed over, as Spark does, and folders of an archive that don't count.
"""

import os
import re
from collections.abc import Iterable
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from app.events.archive_names import EPOCHS, without_uncounted

PARQUET = ".parquet"
SUFFIXES = (PARQUET, ".csv", ".csv.gz", ".gz")
LOCAL = "file"  #: scheme of the names that the system itself knows
NO_TEXT = re.compile("[\ud800-\udfff]")  #: in a name that is not UTF-8: Java has none for it, and passes over it
GLOB_TRIES = 20


def matching_files(spark: SparkSession, source: str) -> dict[str, int] | None:
    """Sizes in bytes of the files that a file, folder or glob names, by name; None where nothing is there.

    Raises
    ------
    OSError, Py4JJavaError
        A folder cannot be listed.
    """
    path = spark._jvm.org.apache.hadoop.fs.Path(source)  # type: ignore[union-attr]
    file_system = path.getFileSystem(spark._jsc.hadoopConfiguration())
    literal = file_system.exists(path)  # a name may hold characters of a glob
    matches = [file_system.getFileStatus(path)] if literal else _glob(file_system, path)
    if not matches:
        return None
    named = set(file_system.makeQualified(path).toString().split("/"))
    matches = [match for match in matches if not any(map(is_hidden, {*_path(match).split("/")} - named))]
    files = {_path(match): match.getLen() for match in matches if match.isFile() and not is_hidden(_name(match))}
    folders = [match for match in matches if match.isDirectory()]
    if file_system.getUri().getScheme() == LOCAL:
        files |= _below_here(map(_path, folders))
    else:
        files |= _below(file_system, folders)
    counting = without_uncounted(files, lambda archive: _names(spark, f"{archive}/{EPOCHS}"))
    return {name: files[name] for name in counting}


def is_hidden(name: str) -> bool:
    """Whether Spark passes over a file or folder of that name."""
    return name.startswith(("_", "."))


def literal(name: str) -> str:
    """A file's name as Spark takes it literally: its readers see a glob in every path."""
    return re.sub(r"([{}\[\]*?\\])", r"\\\1", name)


def _below_here(names: Iterable[str]) -> dict[str, int]:
    """Event files of local folders, and of those below them, by Hadoop's names.

    Without Hadoop, since an archive of years has tens of thousands of folders, and each answer comes from Java.
    """
    files, folders = dict[str, int](), [*names]
    while folders:
        folder = folders.pop()
        with os.scandir(folder.removeprefix(f"{LOCAL}:")) as entries:
            for entry in entries:
                if not is_hidden(entry.name) and not NO_TEXT.search(entry.name):
                    name = f"{folder.rstrip('/')}/{entry.name}"
                    if entry.is_dir():
                        folders.append(name)
                    elif entry.name.endswith(SUFFIXES) and entry.is_file():
                        files[name] = entry.stat().st_size
    return files


def _below(file_system: Any, folders: list[Any]) -> dict[str, int]:
    """Event files of folders, and of those below them.

    Not by `listFiles(recursive)`: it looks into hidden folders too, while a stream makes and deletes them.
    """
    files = dict[str, int]()
    while folders:
        entries = [entry for entry in file_system.listStatus(folders.pop().getPath()) if not is_hidden(_name(entry))]
        folders += [entry for entry in entries if entry.isDirectory()]
        files |= {
            _path(entry): entry.getLen() for entry in entries if _name(entry).endswith(SUFFIXES) and entry.isFile()
        }
    return files


def _glob(file_system: Any, path: Any) -> Any:
    """What a glob matches; asked again where a folder vanished, since it looks into a stream's hidden ones too."""
    for _ in range(GLOB_TRIES - 1):
        try:
            return file_system.globStatus(path)
        except Py4JJavaError:
            continue
    return file_system.globStatus(path)


def _names(spark: SparkSession, folder: str) -> list[str]:
    """Names in a folder; none where there is no such folder."""
    path = spark._jvm.org.apache.hadoop.fs.Path(folder)  # type: ignore[union-attr]
    file_system = path.getFileSystem(spark._jsc.hadoopConfiguration())
    there = file_system.listStatus(path) if file_system.exists(path) else []
    return [_name(entry) for entry in there]


def _path(entry: Any) -> str:
    """Of a file's status in Hadoop's file systems."""
    path: str = entry.getPath().toString()
    return path


def _name(entry: Any) -> str:
    return _path(entry).rpartition("/")[2]
