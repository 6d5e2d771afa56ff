"""Bundles that hold nothing of use, for tests of how they are kept."""

import os
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel

from app.registry.registry import LOCK, Registry


class Entries(BaseModel):
    """What a manifest records of no training."""

    total_users: int = 3


def filler(text: str = "content") -> Callable[[Path], None]:
    def fill(folder: Path) -> None:
        (folder / "generators" / "als").mkdir(parents=True)
        (folder / "users.npy").write_bytes(text.encode() * 100)
        (folder / "generators" / "als" / "factors.npy").write_bytes(os.urandom(1_000))

    return fill


def make(models: Path, *names: str, publish: bool = True) -> None:
    for name in names:
        folder = Registry(models).add(name, Entries(), filler())
        if publish:
            Registry(models).publish(folder.name)


def hidden(models: Path) -> set[str]:
    return {path.name for path in models.iterdir() if path.name.startswith(".")} - {LOCK}
