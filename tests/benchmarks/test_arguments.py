"""What is wrong about a benchmark's arguments is said in one line, before anything is measured."""

import sys
from pathlib import Path

import executors
import floor
import peer
import pytest
import scale
import train

MODULES = {"executors": executors, "floor": floor, "peer": peer, "scale": scale, "train": train}


@pytest.mark.parametrize(
    ("program", "words", "message"),
    [
        ("scale", ["--events", "abc"], "'abc' is no whole number from 1"),
        ("scale", ["--events", "1000,0"], "'0' is no whole number from 1"),
        ("scale", ["--events", "1", "--output", "{file}"], "shop.csv is a file; give a folder"),
        ("scale", ["--events", "1", "--output", "{file}/under"], "shop.csv is a file; give a folder"),
        ("executors", ["--executors", "1,,2"], "'' is no whole number from 1"),
        ("executors", ["--events", "-5"], "'-5' is no whole number from 1"),
        ("train", ["--events", "{folder}"], "there is no such file"),
        ("train", ["--generate", "0"], "'0' is no whole number from 1"),
        ("peer", ["--events", "{folder}/none.csv", "--output", "{folder}"], "none.csv: there is no such file"),
        ("peer", ["--events", "{file}", "--output", "{file}"], "shop.csv is a file; give a folder"),
        ("floor", ["--events", "{folder}/none.csv", "--output", "{folder}/out"], "none.csv: there is no such file"),
        ("floor", ["--events", "{file}", "--output", "{folder}"], "is there already; give a new folder"),
    ],
)
def test_a_wrong_argument_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    program: str,
    words: list[str],
    message: str,
) -> None:
    file, module = tmp_path / "shop.csv", MODULES[program]
    file.touch()
    monkeypatch.setattr(sys, "argv", [program, *(word.format(file=file, folder=tmp_path) for word in words)])
    with pytest.raises(SystemExit) as ended:
        module.main()
    assert ended.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
