"""What benchmarks take as arguments: a mistake is one line, before anything is measured."""

from argparse import ArgumentTypeError
from pathlib import Path


def number(text: str) -> int:
    """A whole number from 1."""
    if not (text.strip().isdecimal() and int(text) > 0):
        raise ArgumentTypeError(f"{text!r} is no whole number from 1")
    return int(text)


def numbers(text: str) -> list[int]:
    """Whole numbers from 1, separated by commas."""
    return [number(part) for part in text.split(",")]


def file(text: str) -> Path:
    """A file that is there."""
    if not Path(text).is_file():
        raise ArgumentTypeError(f"{text}: there is no such file")
    return Path(text)


def folder(text: str) -> Path:
    """A folder, there or to be made."""
    path = Path(text)
    nearest = next(part for part in (path, *path.parents) if part.exists())
    if not nearest.is_dir():
        raise ArgumentTypeError(f"{nearest} is a file; give a folder")
    return path


def new_folder(text: str) -> Path:
    """A folder that is not there yet."""
    if Path(text).exists():
        raise ArgumentTypeError(f"{text} is there already; give a new folder")
    return folder(text)
