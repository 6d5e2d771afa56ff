"""Bundles that hold nothing of use, for tests of how they are kept."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.registry.registry import LOCK, Registry


def filler(text: str = "content") -> Callable[[Path], dict[str, Any]]:
    def fill(folder: Path) -> dict[str, Any]:
        (folder / "generators" / "als").mkdir(parents=True)
        (folder / "users.npy").write_bytes(text.encode() * 100)
        (folder / "generators" / "als" / "factors.npy").write_bytes(os.urandom(1_000))
        return {"training_date": "2019-11-01T00:00:00+00:00", "total_users": 3}

    return fill


def make(models: Path, *names: str, publish: bool = True) -> None:
    for name in names:
        folder = Registry(models).add(name, filler())
        if publish:
            Registry(models).publish(folder.name)


def hidden(models: Path) -> set[str]:
    return {path.name for path in models.iterdir() if path.name.startswith(".")} - {LOCK}
