"""The output folder, and which tables count as complete."""

import os
from pathlib import Path

import pytest

from app.core.errors import InputError
from app.core.folders import CLEANED, Output, latest_complete, local_path


def table(folder: Path, name: str, complete: bool = True) -> Path:
    path = folder / name
    path.mkdir(parents=True)
    if complete:
        (path / "_SUCCESS").touch()
    return path


def test_the_newest_complete_table_is_found(tmp_path: Path) -> None:
    table(tmp_path, "cleaned_data_20191001_000000")
    newest = table(tmp_path, "cleaned_data_20191102_101112")
    table(tmp_path, "cleaned_data_20191203_000000", complete=False)  # a run that died
    table(tmp_path, "cleaned_data_latest")  # no stamp
    table(tmp_path, "user_behavior_20191204_000000")
    assert latest_complete(tmp_path, CLEANED) == newest


def test_no_table_is_none(tmp_path: Path) -> None:
    assert latest_complete(tmp_path, CLEANED) is None
    assert latest_complete(tmp_path / "missing", CLEANED) is None


def test_prepare_makes_the_folder_and_leaves_nothing(tmp_path: Path) -> None:
    output = Output(tmp_path / "a" / "b")
    output.prepare()
    assert list(output.root.iterdir()) == []
    output.prepare()  # again


@pytest.mark.parametrize("name", ["file", "file/beneath"])
def test_a_place_that_cannot_be_a_folder_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match=r"output folder .*file.*cannot be written to"):
        Output(tmp_path / name).prepare()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(InputError, match="Permission denied"):
        Output(tmp_path / "out").prepare()


@pytest.mark.parametrize("place", ["s3a://bucket/shop", "file:///data", "hdfs://host:9000/x", "gs+x.1://b"])
def test_an_address_is_no_folder(place: str) -> None:
    for given in (place, Path(place)):  # of which only one slash is left
        with pytest.raises(ValueError, match="object storage"):
            local_path(given)


@pytest.mark.parametrize("place", ["shop", "/data/shop", "../a:b", "C:/shop", "a:b/c", "./s3a:/x"])
def test_what_looks_like_an_address_may_be_a_folder(place: str) -> None:
    assert local_path(place) == Path(place)
