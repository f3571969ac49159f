"""CSV where readers disagree: one answer for each awkward file, the same wherever it is cut."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlserve_cli.errors import CorruptFile, UsageError
from mlserve_cli.tables import Dialect, delimiter_named, read_chunks
from tests.tables.files import PLAIN, Row, look, packed, read, write_text

TOO_FEW, TOO_MANY = "too few fields", "too many fields"


def rows_in(tmp_path: Path, text: str | bytes, dialect: Dialect = PLAIN, *, name: str = "t.csv") -> list[Row]:
    """All rows, which must be good ones, the same by any chunk and from any start."""
    shard = look(write_text(tmp_path / name, text), dialect=dialect)
    rows, bad = read(shard, dialect=dialect)
    assert not bad
    for start in range(len(rows)):
        assert read(shard, start=start, chunk_rows=2, dialect=dialect) == (rows[start:], {})
    return rows


def refusal(tmp_path: Path, text: str | bytes, dialect: Dialect = PLAIN, *, name: str = "t.csv") -> CorruptFile:
    with pytest.raises(CorruptFile) as refused:
        look(write_text(tmp_path / name, text), dialect=dialect)
    assert refused.value.exit_code == 65
    assert name in refused.value.where
    assert refused.value.hint
    return refused.value


def test_all_columns_are_text_and_pass_through_verbatim(tmp_path: Path) -> None:
    assert rows_in(tmp_path, "a,b,c\n00123, x ,NA\n1e5,true,2013-01-01\n") == [
        ("00123", " x ", "NA"),
        ("1e5", "true", "2013-01-01"),
    ]


def test_null_is_the_empty_unquoted_field_alone(tmp_path: Path) -> None:
    assert rows_in(tmp_path, 'a,b\n,""\n"",\nNA,null\n') == [(None, ""), ("", None), ("NA", "null")]


def test_more_spellings_of_null_leave_the_empty_field_null_and_quoted_ones_text(tmp_path: Path) -> None:
    dialect = Dialect(null_values=("NA", "-"))
    assert rows_in(tmp_path, 'a,b\nNA,"NA"\n,-\n"-",na\n', dialect) == [(None, "NA"), (None, None), ("-", "na")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", [True, False])
def test_lf_crlf_and_cr_end_a_line_and_the_last_line_needs_no_end(tmp_path: Path, end: str, *, last: bool) -> None:
    text = end.join(["a,b", "1,2", '"x\ny",', "3,4"]) + (end if last else "")
    assert rows_in(tmp_path, text) == [("1", "2"), ("x\ny", None), ("3", "4")]


def test_line_ends_may_be_mixed(tmp_path: Path) -> None:
    assert rows_in(tmp_path, "a,b\r1,2\r\n3,4\n\r\n5,6\r\r7,8") == [("1", "2"), ("3", "4"), ("5", "6"), ("7", "8")]


def test_a_byte_order_mark_is_taken_off(tmp_path: Path) -> None:
    shard = look(write_text(tmp_path / "t.csv", b'\xef\xbb\xbf"a",b\n1,2\n'))
    assert [column.name for column in shard.columns] == ["a", "b"]
    assert read(shard) == ([("1", "2")], {})
    headless = Dialect(header=False)
    assert rows_in(tmp_path, b"\xef\xbb\xbf1,2\n", headless) == [("1", "2")]
    assert rows_in(tmp_path, b"\xef\xbb\xbfa\n\xef\xbb\xbf1\n") == [("\ufeff1",)]


def test_blank_lines_are_skipped(tmp_path: Path) -> None:
    assert rows_in(tmp_path, "\n\r\na,b\n\n1,2\n\n\n3,4\n\n") == [("1", "2"), ("3", "4")]


def test_in_a_one_column_file_a_blank_line_is_a_null(tmp_path: Path) -> None:
    assert rows_in(tmp_path, 'a\n\n1\n\r\n""\n2\n\n') == [(None,), ("1",), (None,), ("",), ("2",), (None,)]
    assert rows_in(tmp_path, "a\r\r1\r\r\n2") == [(None,), ("1",), (None,), ("2",)]
    assert rows_in(tmp_path, "a\r\n\r\n1\r\n") == [(None,), ("1",)]
    assert rows_in(tmp_path, "a\n\n\n\n") == [(None,)] * 3


def test_quotes_hold_delimiters_line_ends_and_doubled_quotes(tmp_path: Path) -> None:
    text = 'a,b\n"x,""y""",""""\n"1\r\n2\n\n3\r",","\n"""""",""\n'
    assert rows_in(tmp_path, text) == [('x,"y"', '"'), ("1\r\n2\n\n3\r", ","), ('""', "")]


def test_a_header_may_hold_quotes_delimiters_and_line_ends(tmp_path: Path) -> None:
    shard = look(write_text(tmp_path / "t.csv", '"a\n,1"," b ","""c""",001\n1,2,3,4\n'))
    assert [column.name for column in shard.columns] == ["a\n,1", " b ", '"c"', "001"]
    assert read(shard) == ([("1", "2", "3", "4")], {})


def test_an_empty_header_name_matters_only_where_it_is_used(tmp_path: Path) -> None:
    shard = look(write_text(tmp_path / "t.csv", ",a,\n0,1,2\n"))
    assert [column.name for column in shard.columns] == ["", "a", ""]
    assert read(shard, columns=["a"]) == ([("1",)], {})


def test_without_a_header_columns_are_called_by_their_position(tmp_path: Path) -> None:
    shard = look(write_text(tmp_path / "t.csv", "x,y\n1,2\n"), dialect=Dialect(header=False))
    assert [column.name for column in shard.columns] == ["#1", "#2"]
    assert read(shard, columns=["#2"], dialect=Dialect(header=False)) == ([("y",), ("2",)], {})


def test_a_header_alone_is_no_rows_and_nothing_at_all_is_refused(tmp_path: Path) -> None:
    for text in ("a,b", "a,b\n", "\na,b\n\n", "\ufeffa,b\r\n"):
        assert look(write_text(tmp_path / "t.csv", text)).rows == 0
    assert "0 bytes" in str(refusal(tmp_path, ""))
    for text in ("\n", "\ufeff", "\r\n\n"):
        assert "no line" in str(refusal(tmp_path, text))


def test_other_delimiters_and_quotes(tmp_path: Path) -> None:
    semicolons = Dialect(delimiter=";")
    assert rows_in(tmp_path, 'a;b\n1,5;"x;y"\n', semicolons) == [("1,5", "x;y")]
    assert rows_in(tmp_path, "a|b\n'x|''y'|\"\n", Dialect(delimiter="|", quote="'")) == [("x|'y", '"')]
    assert rows_in(tmp_path, 'a,b\n5" pipe,"x\n"",""\n', Dialect(quote="")) == [('5" pipe', '"x'), ('""', '""')]


def test_a_tsv_is_delimited_by_tabs_unless_told_otherwise(tmp_path: Path) -> None:
    assert rows_in(tmp_path, "a\tb\n1,5\tx\n", name="t.tsv") == [("1,5", "x")]
    assert rows_in(tmp_path, packed(b"a\tb\n1,5\tx\n", ".gz"), name="t.TSV.gz") == [("1,5", "x")]
    assert rows_in(tmp_path, "a;b\n1;x\n", Dialect(delimiter=";"), name="t.tsv") == [("1", "x")]
    assert rows_in(tmp_path, "a\tb\n1\tx\n", Dialect(delimiter=delimiter_named("tab"))) == [("1", "x")]
    assert [delimiter_named(text) for text in ("\\t", "tab", ";", "\t")] == ["\t", "\t", ";", "\t"]


@pytest.mark.parametrize(
    ("dialect", "option"),
    [
        ({"delimiter": "::"}, "--delimiter"),
        ({"delimiter": "é"}, "--delimiter"),
        ({"delimiter": "\n"}, "--delimiter"),
        ({"quote": "''"}, "--quote"),
        ({"delimiter": '"'}, "--delimiter"),
        ({"encoding": "utf-9"}, "--encoding"),
        ({"encoding": "base64"}, "--encoding"),
        ({"max_field_bytes": 0}, "--max-field-bytes"),
    ],
)
def test_a_dialect_that_cannot_be_is_a_usage_error_naming_the_option(dialect: dict[str, object], option: str) -> None:
    with pytest.raises(UsageError) as refused:
        Dialect(**dialect)  # type: ignore[arg-type]  # that is what is tested
    assert option in refused.value.where


@pytest.mark.parametrize(
    ("encoding", "bom"),
    [
        ("latin-1", b""),
        ("cp1252", b""),
        ("utf-8-sig", b""),
        ("utf-16", b""),
        ("utf-16-le", b"\xff\xfe"),
        ("utf-32", b""),
    ],
)
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_other_encodings_are_read_where_they_are_named(tmp_path: Path, encoding: str, bom: bytes, ending: str) -> None:
    text = 'näme,b\n"Zoë,\n",Müßiggang\nÿ,\n'
    data = packed(bom + text.encode(encoding), ending)
    dialect = Dialect(encoding=encoding)
    shard = look(write_text(tmp_path / f"t.csv{ending}", data), dialect=dialect)
    assert [column.name for column in shard.columns] == ["näme", "b"]
    assert rows_in(tmp_path, data, dialect, name=f"t.csv{ending}") == [("Zoë,\n", "Müßiggang"), ("ÿ", None)]


def test_shift_jis_with_a_delimiter_as_second_byte_is_not_cut_there(tmp_path: Path) -> None:
    text = "a|b\nポ|ソ\n"  # their second bytes are | and \ in Shift JIS
    assert "ポ".encode("shift_jis")[1:] == b"|"
    assert rows_in(tmp_path, text.encode("shift_jis"), Dialect(encoding="shift_jis", delimiter="|")) == [("ポ", "ソ")]


def test_a_byte_that_is_not_of_the_encoding_is_refused_with_its_line(tmp_path: Path) -> None:
    error = refusal(tmp_path, 'a,b\n"x\ny",2\nMüßig,3\n'.encode("latin-1"))
    assert "line 4" in error.where
    assert "--encoding" in error.hint
    assert "line 3" in refusal(tmp_path, b"a\r\nb\r\n\x81\r\n", Dialect(encoding="cp1252")).where
    assert "line 2" in refusal(tmp_path, "a\nü".encode("utf-16")[:-1], Dialect(encoding="utf-16")).where
    assert "line 2" in refusal(tmp_path, b"a\n\xed\xa0\x80\n").where
    assert "line 2" in refusal(tmp_path, "a\nü".encode()[:-1]).where
    assert "line 1" in refusal(tmp_path, b"\xff\n1\n").where
    assert "line 2" in refusal(tmp_path, "a\nü\n".encode(), Dialect(encoding="ascii")).where


def test_a_nul_byte_is_refused_with_its_line_and_utf16_is_guessed_aloud(tmp_path: Path) -> None:
    assert "line 3" in refusal(tmp_path, b'a,b\n"x\n\0",\n').where
    assert "--encoding utf-16" in refusal(tmp_path, "a,b\n1,2\n".encode("utf-16")).hint
    assert "--encoding utf-16" in refusal(tmp_path, "name,b\n1,2\n".encode("utf-16-le")).hint


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('a,b\n5" pipe,2\n', 2),
        ('a,b\n1,2\n"x"y,2\n', 3),
        ('a,b\n"x" ,2\n', 2),
        ('a,b\n "x",2\n', 2),
        ('a,b\n"x\n\n"y,2\n', 4),
        ('a"b,c\n1,2\n', 1),
        ('a,b\r\n1,2\r\n""x,\r\n', 3),
        ('a,b\n"x""y"z,1\n', 2),
    ],
)
def test_a_quote_in_the_wrong_place_is_refused_with_its_line(tmp_path: Path, text: str, line: int) -> None:
    error = refusal(tmp_path, text)
    assert error.where.endswith(f"line {line}")
    assert "--quote ''" in error.hint


@pytest.mark.parametrize(
    ("text", "line"), [('a,b\n1,2\n"x,3\n4,5\n', 3), ('a,b\n1,"', 2), ('"', 1), ('a\n"x\n\n""', 2), ('a\n"""\n', 2)]
)
def test_a_quote_still_open_at_the_end_is_refused_with_the_line_where_it_opened(
    tmp_path: Path, text: str, line: int
) -> None:
    error = refusal(tmp_path, text)
    assert "still open" in error.what
    assert error.where.endswith(f"line {line}")


def test_fields_up_to_the_limit_are_read_and_longer_ones_refused_with_their_line(tmp_path: Path) -> None:
    dialect = Dialect(max_field_bytes=10)
    assert rows_in(tmp_path, "a,b\n0123456789,0123456789\n1,2\n", dialect) == [("0123456789",) * 2, ("1", "2")]
    for text in (
        "a,b\n1,2\n1,01234567890\n",
        "a,b\n1,2\n01234567890,\n",
        'a,b\n1,2\n1,"01234,6789"\n',
        "a,b\n\n1,01234567890",
    ):
        error = refusal(tmp_path, text, dialect)
        assert "--max-field-bytes" in error.hint
        assert error.where.endswith("line 3")


def test_a_megabyte_in_one_field_is_right_and_an_open_quote_is_not_read_to_the_end(tmp_path: Path) -> None:
    long = "x" * 3_000_000
    assert rows_in(tmp_path, f'a,b\n1,"{long},\n"\n2,3\n') == [("1", f"{long},\n"), ("2", "3")]
    error = refusal(tmp_path, 'a,b\n1,2\n"' + "x,y\n" * 1_000_000, Dialect(max_field_bytes=100_000))
    assert "longer than 100000 bytes" in error.what
    assert error.where.endswith("line 3")


@pytest.mark.slow
def test_a_line_of_100_megabytes_is_refused_with_its_line(tmp_path: Path) -> None:
    assert refusal(tmp_path, b"a,b\n1,2\n" + b"x" * 100_000_000 + b",2\n").where.endswith("line 3")
    error = refusal(tmp_path, b"a,b\n1,2\n" + b"x," * 50_000_000 + b"\n")
    assert "a record is longer" in error.what
    assert error.where.endswith("line 3")


def test_ragged_rows_hold_their_place_and_are_named_by_it(tmp_path: Path) -> None:
    text = 'a,b\nonly\n1,2\n"x\n\ny",3\n\n1,2,3\n"q\n"\n4,5\n,\n6,7,\n'
    shard = look(write_text(tmp_path / "t.csv", text))
    wanted: list[Row] = [
        (None, None),
        ("1", "2"),
        ("x\n\ny", "3"),
        (None, None),
        (None, None),
        ("4", "5"),
        (None, None),
    ]
    wanted.append((None, None))
    bad = {0: TOO_FEW, 3: TOO_MANY, 4: TOO_FEW, 7: TOO_MANY}
    assert shard.rows == 8
    for chunk_rows in (1, 2, 3, 8, 9):
        assert read(shard, chunk_rows=chunk_rows) == (wanted, bad)
    for start in range(8):
        kept = {row: reason for row, reason in bad.items() if row >= start}
        assert read(shard, start=start, chunk_rows=3) == (wanted[start:], kept)
        assert read(shard, stop=start) == (wanted[:start], {row: reason for row, reason in bad.items() if row < start})


def test_a_file_of_nothing_but_ragged_rows_has_all_of_them_bad(tmp_path: Path) -> None:
    shard = look(write_text(tmp_path / "t.csv", "a,b\n1\n2\n3,4,5"))
    assert read(shard, columns=["b"]) == ([(None,)] * 3, {0: TOO_FEW, 1: TOO_FEW, 2: TOO_MANY})
    one = look(write_text(tmp_path / "u.csv", "a\n1,2\n\n3\n"))
    assert read(one) == ([(None,), (None,), ("3",)], {0: TOO_MANY})


def test_a_ragged_row_says_how_many_fields_it_has(tmp_path: Path) -> None:
    shard = look(write_text(tmp_path / "t.csv", "a,b\n1\n1,2,3,4\n"))
    (chunk,) = read_chunks(shard, columns=["a"], start_row=0, stop_row=2, chunk_rows=9, dialect=PLAIN)
    assert chunk.faults.table["value"].to_pylist() == ["1 instead of 2", "4 instead of 2"]
    assert chunk.faults.table["column"].to_pylist() == ["", ""]


def many_rows(count: int) -> Iterator[tuple[str, Row, str]]:
    """Lines with the row and the fault that they are."""
    for i in range(count):
        if i % 997 == 0:
            yield f"{i}\n", (None, None), TOO_FEW
        elif i % 10 == 3:
            yield f'"{i}\n,""",{i}\r\n', (f'{i}\n,"', str(i)), ""
        else:
            yield f"{i},{'x' * 200}\n", (str(i), "x" * 200), ""


def test_a_file_of_many_pieces_and_blocks_keeps_every_row_in_its_place(tmp_path: Path) -> None:
    lines = list(many_rows(120_000))
    shard = look(write_text(tmp_path / "t.csv", "a,b\n" + "".join(text for text, _, _ in lines)))
    assert len(shard.blocks) > 1
    assert sum(block.rows for block in shard.blocks) == shard.rows == len(lines)
    assert [block.start for block in shard.blocks[1:]] == [block.stop for block in shard.blocks[:-1]]
    assert shard.blocks[-1].stop == shard.size_bytes
    expected = [row for _, row, _ in lines]
    bad = {i: reason for i, (_, _, reason) in enumerate(lines) if reason}
    assert read(shard, chunk_rows=8192) == (expected, bad)
    for start, stop in [
        (0, 5),
        (shard.blocks[0].rows - 2, shard.blocks[0].rows + 2),
        (119_990, 120_000),
        (50_000, 50_100),
    ]:
        rows, faults = read(shard, start=start, stop=stop, chunk_rows=64)
        assert rows == expected[start:stop]
        assert faults == {row: reason for row, reason in bad.items() if start <= row < stop}


def test_latin_1_is_cut_into_blocks_too_and_what_cannot_be_entered_is_one(tmp_path: Path) -> None:
    text = "a,b\n" + f"é,{'ü' * 200}\n" * 50_000
    for encoding, blocks in (("latin-1", 2), ("utf-16", 1)):
        dialect = Dialect(encoding=encoding)
        shard = look(write_text(tmp_path / "t.csv", text.encode(encoding)), dialect=dialect)
        assert len(shard.blocks) == blocks
        rows, bad = read(shard, start=49_990, dialect=dialect)
        assert (rows, bad) == ([("é", "ü" * 200)] * 10, {})
    assert len(look(write_text(tmp_path / "t.csv.gz", packed(text.encode(), ".gz"))).blocks) == 1


def test_ten_thousand_columns_are_read_by_name(tmp_path: Path) -> None:
    header = ",".join(f"c{i}" for i in range(10_000))
    line = ",".join(str(i) for i in range(10_000))
    shard = look(write_text(tmp_path / "t.csv", f"{header}\n{line}\n{line}\n"))
    assert read(shard, columns=["c9999", "c0"]) == ([("9999", "0")] * 2, {})
    assert len(read(shard)[0][1]) == 10_000


@pytest.mark.parametrize("text", ["a,b\n1,2\n\n\n\n\n", "a,b\n1,2\n3\n4\n", 'a,b\n1,2\n"\n4\n', "a,b\n1,2\n3,\xff\n"])
def test_rows_that_do_not_match_the_plans_count_are_never_returned_as_success(tmp_path: Path, text: str) -> None:
    path = write_text(tmp_path / "t.csv", "a,b\n1,2\n3,4\n")
    shard, status = look(path), path.stat()
    write_text(path, text.encode("latin-1"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == shard.size_bytes
    with pytest.raises(CorruptFile):
        list(read_chunks(shard, columns=["a"], start_row=0, stop_row=2, chunk_rows=9, dialect=PLAIN))
