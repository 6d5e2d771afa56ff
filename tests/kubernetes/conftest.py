"""Rendered manifests and charts; what renders them is skipped over where it is missing."""

import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
Objects = list[dict[str, Any]]


@cache
def _kustomize(folder: Path) -> str:
    done = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Manifests:
    """The rendered objects of a folder."""

    def __call__(self, folder: str | Path) -> Objects:
        return list(yaml.safe_load_all(_kustomize(ROOT / folder)))

    def one(self, folder: str | Path, kind: str, name: str) -> dict[str, Any]:
        """The object of a kind and a name."""
        found = [one for one in self(folder) if (one["kind"], one["metadata"]["name"]) == (kind, name)]
        assert len(found) == 1, f"{len(found)} of {kind} {name} in {folder}"
        return found[0]


@pytest.fixture(scope="session")
def manifests() -> Manifests:
    if not shutil.which("kubectl"):
        pytest.skip("kubectl is missing: install it to run these tests")
    return Manifests()


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT
