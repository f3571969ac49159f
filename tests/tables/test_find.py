"""Which files a run reads, what they are called, and in which order."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from mlserve_cli.errors import Forbidden, InputMissing, MlserveError, UnsafeInput, UsageError
from mlserve_cli.tables import Found, find_files, os_path


def lay(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("a,b\n1,2\n")
    return folder


def find(*inputs: Path | str, output: str | None = None) -> Found:
    return find_files([str(one) for one in inputs], output=output)


def names(*inputs: Path | str) -> list[str]:
    return [file.name for file in find(*inputs).files]


def test_a_folder_is_walked_for_known_endings_whatever_their_case(tmp_path: Path) -> None:
    wanted = ["a.parquet", "b.pq", "c.csv", "d.tsv", "e.csv.gz", "f.TSV.ZST", "g.Parquet", "h.pq.gz", "sub/i.CSV"]
    lay(tmp_path, *wanted, "notes.txt", "archive.gz", "sub/README.md", "csv")
    found = find(tmp_path)
    assert [file.name for file in found.files] == sorted(wanted)
    assert found.skipped == ("archive.gz", "csv", "notes.txt", "sub/README.md")


def test_names_that_start_with_an_underscore_or_a_dot_are_skipped_in_silence(tmp_path: Path) -> None:
    lay(tmp_path, "a.csv", "_b.csv", ".c.csv", "_temporary/d.csv", ".hidden/e.csv", "_SUCCESS")
    assert find(tmp_path) == Found(find(tmp_path / "a.csv").files, ())


def test_the_order_is_the_byte_order_of_relative_paths(tmp_path: Path) -> None:
    lay(tmp_path, "part-2.csv", "part-10.csv", "b/a.csv", "b.csv", "ä.csv", "Z.csv", "b-c.csv")
    assert names(tmp_path) == ["Z.csv", "b-c.csv", "b.csv", "b/a.csv", "part-10.csv", "part-2.csv", "ä.csv"]


def test_several_inputs_are_one_list_named_from_the_deepest_common_folder(tmp_path: Path) -> None:
    lay(tmp_path, "feb/p.csv", "jan/p.csv", "jan/deep/q.csv")
    assert names(tmp_path / "jan", tmp_path / "feb") == ["feb/p.csv", "jan/deep/q.csv", "jan/p.csv"]
    assert names(tmp_path / "jan") == ["deep/q.csv", "p.csv"]
    assert names(tmp_path / "jan" / "p.csv") == ["p.csv"]


def test_a_file_that_two_inputs_name_is_refused_since_its_rows_would_be_doubled(tmp_path: Path) -> None:
    lay(tmp_path, "a.csv")
    with pytest.raises(UsageError, match="named twice"):
        find(tmp_path, tmp_path / "a.csv")


def test_a_file_named_outright_may_have_any_ending(tmp_path: Path) -> None:
    lay(tmp_path, "data.txt", "_hidden.csv")
    assert names(tmp_path / "data.txt") == ["data.txt"]
    assert names(tmp_path / "_hidden.csv") == ["_hidden.csv"]


def test_a_glob_matches_files_and_folders_but_no_hidden_names(tmp_path: Path) -> None:
    lay(tmp_path, "d/a.csv", "d/_b.csv", "d/c.dat", "e/f/g.csv", "e/f/h.txt")
    assert names(tmp_path / "d" / "*.csv") == ["a.csv"]
    assert names(tmp_path / "d" / "*") == ["a.csv", "c.dat"]
    assert names(tmp_path / "d" / "_*.csv") == ["_b.csv"]
    assert names(tmp_path / "?" / "f") == ["e/f/g.csv"]
    assert names(tmp_path / "**" / "g.csv") == ["e/f/g.csv"]


def test_a_file_whose_name_is_a_glob_is_that_file(tmp_path: Path) -> None:
    lay(tmp_path, "a[1].csv", "a1.csv")
    assert names(tmp_path / "a[1].csv") == ["a[1].csv"]


def test_what_does_not_exist_or_matches_nothing_is_66(tmp_path: Path) -> None:
    lay(tmp_path, "full/a.csv", "notes/n.txt")
    (tmp_path / "empty").mkdir()
    for missing in ("none.csv", "none", "*.parquet", "empty", "notes", "full/a.csv/b"):
        with pytest.raises(InputMissing) as refused:
            find(tmp_path / "full", tmp_path / missing)
        assert refused.value.exit_code == 66
    with pytest.raises(InputMissing):
        find("")


def test_hive_folders_become_keys_from_the_path_as_typed_and_below(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(tmp_path, "above=1/day=2026-11-23/hour=07/a.csv", "above=1/day=2026-11-24/hour=%2F%25/b.csv")
    monkeypatch.chdir(tmp_path / "above=1")
    assert [file.hive for file in find(".").files] == [
        (("day", "2026-11-23"), ("hour", "07")),
        (("day", "2026-11-24"), ("hour", "/%")),
    ]
    assert find("day=2026-11-23").files[0].hive == (("day", "2026-11-23"), ("hour", "07"))
    assert find("day=2026-11-23/hour=07/a.csv").files[0].hive == (("day", "2026-11-23"), ("hour", "07"))
    assert find("day=*/hour=*/a.csv").files[0].hive == (("day", "2026-11-23"), ("hour", "07"))
    assert ("above", "1") in find(tmp_path).files[0].hive


def test_a_hive_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    lay(tmp_path, "k=1/k=2/a.csv")
    with pytest.raises(UnsafeInput, match="twice"):
        find(tmp_path)


@pytest.mark.parametrize(
    "name", ["with space.csv", "new\nline.csv", "-dash.csv", "ü.csv", "tab\t.csv", "quo'te\".csv", "\\x41.csv", "~.csv"]
)
def test_odd_names_are_names_like_any_other(tmp_path: Path, name: str) -> None:
    lay(tmp_path, name)
    file = find(tmp_path).files[0]
    assert file.path == str(tmp_path / name)
    assert os_path(file.name) == name


def test_a_name_that_is_not_utf8_is_text_in_the_plan_and_the_same_bytes_on_disk(tmp_path: Path) -> None:
    for raw in (b"caf\xe9.csv", b"caf\\xe9.csv", b"caf\\\\xe9\xff.csv", b"k=\xff"):
        folder = os.fsencode(tmp_path)
        path = os.path.join(folder, raw) if raw.endswith(b"csv") else os.path.join(folder, raw, b"a.csv")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write("a\n")
    found = find(tmp_path).files
    assert len({file.name for file in found}) == 4
    for one in found:
        one.name.encode("utf-8")
        assert os.path.join(str(tmp_path), os_path(one.name)) == one.path
        assert os.path.exists(one.path)
    assert {"caf\\xe9.csv", "caf\\x5cxe9.csv"} < {file.name for file in found}
    assert (("k", "\\xff"),) in {file.hive for file in found}


def test_links_to_files_and_folders_are_followed(tmp_path: Path) -> None:
    lay(tmp_path, "real/a.csv", "in/b.csv")
    (tmp_path / "in" / "link.csv").symlink_to(tmp_path / "real" / "a.csv")
    (tmp_path / "in" / "folder").symlink_to(tmp_path / "real")
    assert names(tmp_path / "in") == ["b.csv", "folder/a.csv", "link.csv"]


def test_a_link_loop_is_refused_and_a_dangling_link_is_missing(tmp_path: Path) -> None:
    lay(tmp_path, "a/b/c.csv")
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path / "a")
    with pytest.raises(UnsafeInput, match="above it"):
        find(tmp_path / "a")
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "x.csv").symlink_to("x.csv")
    with pytest.raises(UnsafeInput, match="circle"):
        find(tmp_path / "self")
    with pytest.raises(UnsafeInput, match="circle"):
        find(tmp_path / "self" / "x.csv")
    (tmp_path / "gone").mkdir()
    (tmp_path / "gone" / "x.csv").symlink_to("nowhere.csv")
    with pytest.raises(InputMissing):
        find(tmp_path / "gone")
    with pytest.raises(InputMissing):
        find(tmp_path / "gone" / "x.csv")


def test_pipes_sockets_and_devices_are_refused_and_never_opened(tmp_path: Path) -> None:
    (tmp_path / "pipes").mkdir()
    os.mkfifo(tmp_path / "pipes" / "pipe")
    with pytest.raises(UnsafeInput, match="pipe"):
        find(tmp_path / "pipes")
    with pytest.raises(UnsafeInput, match="--input -"):
        find(tmp_path / "pipes" / "pipe")
    (tmp_path / "devices").mkdir()
    (tmp_path / "devices" / "null.csv").symlink_to("/dev/null")
    with pytest.raises(UnsafeInput):
        find(tmp_path / "devices")
    (tmp_path / "sockets").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(tmp_path / "sockets" / "s.csv"))
        with pytest.raises(UnsafeInput):
            find(tmp_path / "sockets")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_77(tmp_path: Path) -> None:
    lay(tmp_path, "locked/a.csv")
    (tmp_path / "locked").chmod(0)
    with pytest.raises(Forbidden) as refused:
        find(tmp_path / "locked")
    (tmp_path / "locked").chmod(0o700)
    assert refused.value.exit_code == 77


def test_an_output_inside_around_or_equal_to_an_input_is_refused(tmp_path: Path) -> None:
    lay(tmp_path, "in/a.csv", "in/sub/b.csv", "other/c.csv")
    (tmp_path / "alias").symlink_to(tmp_path / "in")
    for output in ("in", "in/out", "in/sub", "alias/out", ".", "in/a.csv"):
        with pytest.raises(UsageError, match="one in the other"):
            find(tmp_path / "in", output=str(tmp_path / output))
    for output in ("in", "in/out", "in/sub/out", ".", "in/a.csv"):
        with pytest.raises(UsageError, match="one in the other"):
            find(tmp_path / "in" / "*", output=str(tmp_path / output))
    assert find(tmp_path / "in" / "*.csv", output=str(tmp_path / "in" / "out")).files
    with pytest.raises(UsageError):
        find(tmp_path / "in" / "a.csv", output=str(tmp_path / "in" / "a.csv"))
    for output in ("out", "inn", "in/a.csv.out", "-"):
        assert find(tmp_path / "in" / "a.csv", output=output if output == "-" else str(tmp_path / output)).files


def test_every_refusal_names_what_was_typed() -> None:
    with pytest.raises(MlserveError) as refused:
        find("no such \x1b[31m file")
    assert "\x1b" not in str(refused.value)
    assert "no such" in refused.value.where
