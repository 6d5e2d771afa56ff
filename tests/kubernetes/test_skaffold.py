"""skaffold.yaml, by its structure: skaffold itself is not needed."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.kubernetes.conftest import Manifests


@pytest.fixture(scope="module")
def modules(root: Path) -> dict[str, Any]:
    documents = yaml.safe_load_all((root / "skaffold.yaml").read_text())
    return {one["metadata"]["name"]: one for one in documents}


def test_modules(modules: dict[str, Any]) -> None:
    assert list(modules) == ["infra", "app"]
    assert {one["apiVersion"] for one in modules.values()} == {"skaffold/v4beta14"}


def test_images_of_spark_applications_are_replaced(modules: dict[str, Any], manifests: Manifests) -> None:
    """Every place of an image in a SparkApplication is told to skaffold, which knows none by itself."""
    allow = modules["app"]["resourceSelector"]["allow"]
    assert [one["groupKind"] for one in allow] == ["SparkApplication.sparkoperator.k8s.io"]
    places: set[str] = set()

    def walk(value: Any, path: str) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                places.update({f"{path}.{key}"} if key == "image" else ())
                walk(inner, f"{path}.{key}")
        elif isinstance(value, list):
            for inner in value:  # skaffold leaves lists out of the path
                walk(inner, path)

    for one in manifests("manifests"):
        if one["kind"] == "SparkApplication":
            walk(one, "")
    assert set(allow[0]["image"]) == places


def test_artifact_is_the_image_of_the_manifests(modules: dict[str, Any], root: Path) -> None:
    artifact = modules["app"]["build"]["artifacts"][0]
    layer = yaml.safe_load((root / "manifests/overlays/laptop/kustomization.yaml").read_text())
    assert artifact["image"] == layer["images"][0]["newName"]
    assert (root / artifact["docker"]["dockerfile"]).is_file()


def test_the_page_is_forwarded_once_the_first_training_has_ended(modules: dict[str, Any], manifests: Manifests) -> None:
    """Its pods wait for that training: the status check must not give up before."""
    forwarded = {one["resourceName"]: one["port"] for one in modules["app"]["portForward"]}
    ports = manifests.one("manifests", "Service", "vitrine-api")["spec"]["ports"]
    assert forwarded["vitrine-api"] == ports[0]["port"]
    deadline = manifests.one("manifests", "Deployment", "vitrine-api")["spec"]["progressDeadlineSeconds"]
    assert modules["app"]["deploy"]["statusCheckDeadlineSeconds"] == deadline == 1800


def test_keys_are_made_before_what_needs_them(modules: dict[str, Any], root: Path) -> None:
    """By a hook, so that ending the application leaves them."""
    (hook,) = modules["app"]["deploy"]["kubectl"]["hooks"]["before"]
    assert hook["host"]["command"][-1].split()[:2] == ["scripts/api-keys", "vitrine"]
    assert (root / "scripts/api-keys").stat().st_mode & 0o100


def test_paths_are_there(modules: dict[str, Any], root: Path) -> None:
    for path in modules["app"]["manifests"]["kustomize"]["paths"]:
        assert (root / path / "kustomization.yaml").is_file()
    for release in modules["infra"]["deploy"]["helm"]["releases"]:
        if "chartPath" in release:
            assert (root / release["chartPath"] / "Chart.yaml").is_file()
        for file in release.get("valuesFiles", []):
            assert (root / file).is_file()


def test_ending_skaffold_deletes_no_data(modules: dict[str, Any]) -> None:
    """The volume is no manifest of any module: a hook applies it."""
    assert modules["app"]["manifests"]["kustomize"]["paths"] == ["manifests/overlays/laptop"]
    assert "manifests" not in modules["infra"]
    hook = modules["infra"]["deploy"]["helm"]["hooks"]["before"][0]["host"]["command"]
    assert "apply -k manifests/storage" in hook[-1]
