"""A folder is replaced whole or not at all."""

from pathlib import Path

import pytest

from subcritic.publishing.folders import replaced


def contents(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_a_folder_is_made_and_then_replaced(tmp_path, monkeypatch):
    for name in ("first", "second"):
        with replaced(tmp_path / "some" / "site") as new:
            (new / name).touch()
        assert contents(tmp_path) == {"some", "some/site", f"some/site/{name}"}
    monkeypatch.chdir(tmp_path / "some" / "site")
    with replaced(Path()) as new:
        (new / "third").touch()
    assert contents(tmp_path) == {"some", "some/site", "some/site/third"}


def test_what_was_there_comes_back_where_the_new_one_is_refused(tmp_path):
    def refuse():
        assert contents(tmp_path / "site") == {"new"}, "called with the new one in its place"
        raise ValueError

    for there in (set(), {"site", "site/old"}):
        with pytest.raises(ValueError), replaced(tmp_path / "site", refuse) as new:
            (new / "new").touch()
        assert contents(tmp_path) == there
        (tmp_path / "site").mkdir(exist_ok=True)
        (tmp_path / "site" / "old").touch()


def test_what_was_there_comes_back_where_the_new_one_cannot_take_its_place(tmp_path, monkeypatch):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "old").touch()
    rename = Path.rename

    def fail(path, target):
        if path.name == "new":
            raise PermissionError
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(PermissionError), replaced(tmp_path / "site") as new:
        (new / "new").touch()
    assert contents(tmp_path) == {"site", "site/old"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, OSError])
def test_what_was_there_stays_where_writing_ends_early(tmp_path, error):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "old").touch()
    with pytest.raises(error), replaced(tmp_path / "site") as new:
        (new / "half").touch()
        raise error
    assert contents(tmp_path) == {"site", "site/old"}
