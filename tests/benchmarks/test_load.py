"""The load benchmark: what it serves and asks for; the programs that make the load are not needed."""

import json
import shutil
from pathlib import Path

import load
import pytest
from click.testing import CliRunner

from app.api.models import Ask
from app.core.settings import Settings
from app.registry.in_use import BundleInUse
from app.registry.registry import Registry


def test_the_bundle_is_served_and_every_body_is_a_request(tmp_path: Path) -> None:
    load.make(tmp_path, products=300, users=50, ranker="reciprocal_rank")
    bundle = BundleInUse(Registry(tmp_path / "models"), Settings(output=tmp_path), print).bundle
    assert len(bundle.recommender.catalogue) == 300
    bodies = (tmp_path / "bodies").read_text().splitlines()
    asks = [Ask.model_validate_json(body) for body in bodies]
    assert len(asks) == load.BODIES
    assert {len(ask.session or ()) for ask in asks} == set(range(6))
    line = json.loads(load.target("http://shop", bodies[0]))
    assert line["url"] == "http://shop/v1/recommendations"
    script = (tmp_path / "load.lua").read_text()
    assert str(tmp_path / "bodies") in script
    assert "BODIES" not in script


def test_a_missing_program_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda program: None)
    done = CliRunner().invoke(load.main, [])
    assert done.exit_code == 1
    assert "wrk is missing" in done.output
