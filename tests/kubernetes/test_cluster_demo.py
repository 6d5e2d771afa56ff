"""`scripts/cluster-demo` with stand-ins for the programs it calls: what it asks of the cluster, then and again."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.kubernetes.conftest import ROOT

#: Every program: keeps how it was called, and answers what the script asks.
PROGRAM = """#!/bin/sh
echo "${0##*/} $*" >>"$CALLS"
case "$*" in
  *current-context) echo kind-x ;;
  *"get job first-training"*) echo Complete ;;
  *"get deployment/vitrine-api"*) [ -z "$INSTALLED" ] || echo deployment.apps/vitrine-api ;;
  *"get secret api-auth"*) echo secret/api-auth ;;
esac
"""
RENEWED = [
    "kubectl -n vitrine rollout restart deployment/vitrine-api",
    "kubectl -n vitrine delete pod stream-driver --ignore-not-found",
]


@pytest.mark.parametrize(("installed", "expected"), [("", []), ("yes", RENEWED)], ids=["first", "again"])
def test_a_second_call_brings_the_new_image_into_what_runs(tmp_path: Path, installed: str, expected: list[str]) -> None:
    for name in ("docker", "kubectl", "helm", "kind"):
        (tmp_path / name).write_text(PROGRAM)
        (tmp_path / name).chmod(0o755)
    calls = tmp_path / "calls"
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "CALLS": str(calls), "INSTALLED": installed}
    done = subprocess.run(
        [ROOT / "scripts/cluster-demo"], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    asked = calls.read_text().splitlines()
    applied = asked.index("kubectl apply -k manifests/")
    assert [call for call in asked if call in RENEWED] == expected
    assert [call for call in asked[applied:] if call in RENEWED] == expected, "what is applied first is what starts"
    assert any("wait sparkapplication/stream" in call for call in asked[applied:])
