"""Finding the input files: folders walked, globs expanded, Hive keys read off the paths, one order for all of it."""

from __future__ import annotations

import fnmatch
import glob
import os
import stat
from collections.abc import Iterator, Sequence
from urllib.parse import unquote

import msgspec

from mlserve_cli.errors import InputMissing, UnsafeInput, UsageError, shown
from mlserve_cli.tables._foreign import translated
from mlserve_cli.tables._look import PARQUET_ENDINGS, TEXT_ENDINGS
from mlserve_cli.tables._names import ending_of, text_of
from mlserve_cli.tables._values import Found, FoundFile

KNOWN_ENDINGS = (*PARQUET_ENDINGS, *TEXT_ENDINGS)
HIDDEN = ("_", ".")


def find_files(inputs: Sequence[str], *, output: str | None, globs: bool = True) -> Found:
    """Every file that `inputs` (files, folders, and globs unless told otherwise) name, each once, in the byte order of
    their names.

    Names are relative to the deepest folder that holds all inputs: a folder given alone is that folder. `output` is
    where the run will stand, refused inside an input, around one, or equal to one.
    """
    places = [_Place.of(text, globs=globs) for text in inputs]
    base = os.path.commonpath([place.base for place in places]) if places else ""
    found: dict[str, FoundFile] = {}
    skipped: list[str] = []
    for place in places:
        for path in _files_of(place, skipped):
            if path in found:
                raise UsageError(
                    "a file is named twice", f"--input {shown(place.text)}: {shown(path)}", "its rows would be doubled"
                )
            found[path] = FoundFile(path, text_of(os.path.relpath(path, base)), _hive_keys(path, place))
    _check_output(output, places, found)
    files = sorted(found.values(), key=lambda file: os.fsencode(os.path.relpath(file.path, base)))
    return Found(tuple(files), tuple(sorted(text_of(os.path.relpath(path, base)) for path in skipped)))


class _Place(msgspec.Struct, frozen=True):
    """One --input: as typed, the paths it matches, the folder that names are relative to."""

    text: str
    matches: tuple[str, ...]
    base: str
    is_glob: bool

    @classmethod
    def of(cls, text: str, *, globs: bool) -> _Place:
        with translated(text or "''"):
            path = os.path.abspath(text)
            if not text:
                raise InputMissing("no path at all is given", "--input", "name a file, a folder, a glob or -")
            if os.path.lexists(path):
                is_folder = os.path.isdir(path)
                return cls(text, (path,), path if is_folder else os.path.dirname(path), False)
        if not (globs and glob.has_magic(text)):
            raise InputMissing("the input does not exist", shown(text, limit=400), "check the path")
        matches = tuple(sorted(match for match in glob.glob(path, recursive=True) if not _is_hidden(match, path)))
        if not matches:
            raise InputMissing(
                "the pattern matches nothing", shown(text, limit=400), "check it, and quote it for the shell"
            )
        return cls(text, matches, _fixed_part(path), True)


def _fixed_part(pattern: str) -> str:
    """The folders of a pattern before the first wildcard."""
    parts = pattern.split(os.sep)
    wild = next(index for index, part in enumerate(parts) if glob.has_magic(part))
    return os.sep.join(parts[:wild]) or os.sep


def _is_hidden(match: str, pattern: str) -> bool:
    """A wildcard does not reach what a walk would not; a pattern that spells the _ or . out does."""
    name, spelled = os.path.basename(match), os.path.basename(pattern)
    return name.startswith(HIDDEN) and not spelled.startswith(HIDDEN)


def _files_of(place: _Place, skipped: list[str]) -> Iterator[str]:
    """The files of one input; a folder without any is an error."""
    some = False
    for match in place.matches:
        with translated(match):
            is_folder = stat.S_ISDIR(_kind(match))
        if not is_folder:
            _check_regular(match, hint="pipe it in: --input -")
            some = True
            yield match
            continue
        for path in _walk(match, skipped, above=()):
            some = True
            yield path
    if not some:
        raise InputMissing(
            f"there is no {' '.join(KNOWN_ENDINGS)} file in it",
            shown(place.text, limit=400),
            "each may end in .gz or .zst too; name files with other endings one by one, with --input-format",
        )


def _walk(folder: str, skipped: list[str], *, above: tuple[tuple[int, int], ...]) -> Iterator[str]:
    """Files with known endings; hidden names are passed over in silence, the rest is `skipped`."""
    with translated(folder):
        status = os.stat(folder)
        here = (status.st_dev, status.st_ino)
        if here in above:
            raise UnsafeInput(
                "a link leads back into a folder above it", shown(folder, limit=400), "take the link away"
            )
        names = sorted(os.listdir(folder), key=os.fsencode)
    for name in names:
        path = os.path.join(folder, name)
        if name.startswith(HIDDEN):
            continue
        with translated(path):
            is_folder = stat.S_ISDIR(_kind(path))
        if is_folder:
            yield from _walk(path, skipped, above=(*above, here))
            continue
        _check_regular(path, hint="only files and folders may stand in an input folder")
        if ending_of(name) in KNOWN_ENDINGS:
            yield path
        else:
            skipped.append(path)


def _kind(path: str) -> int:
    return os.stat(path).st_mode


def _check_regular(path: str, *, hint: str) -> None:
    with translated(path):
        if not stat.S_ISREG(_kind(path)):
            raise UnsafeInput("it is a pipe, a socket or a device", shown(path, limit=400), hint)


def _hive_keys(path: str, place: _Place) -> tuple[tuple[str, str], ...]:
    """`key=value` folders of the path as it was typed and below; percent signs as Hive writes them."""
    above = "" if os.path.isabs(place.text) else os.getcwd().rstrip(os.sep)
    folders = path.removeprefix(above + os.sep).split(os.sep)[:-1]
    keys = [folder.partition("=") for folder in folders]
    hive = tuple((text_of(unquote(key)), text_of(unquote(value))) for key, sign, value in keys if sign and key)
    if len(dict(hive)) < len(hive):
        raise UnsafeInput("a key stands twice in the path", shown(path, limit=400), "rename one of the folders")
    return hive


def _check_output(output: str | None, places: Sequence[_Place], found: dict[str, FoundFile]) -> None:
    """OUT inside an input would be read by the next run; an input inside OUT would go when OUT is replaced."""
    if output is None or output == "-":
        return
    out = os.path.realpath(output)
    inputs = {os.path.realpath(path) for path in (*(match for place in places for match in place.matches), *found)}
    clashes = [path for path in inputs if out == path or _is_in(out, path) or _is_in(path, out)]
    clashes += [place.text for place in places if place.is_glob and _would_match(os.path.abspath(output), place)]
    if clashes:
        raise UsageError(
            "the output and an input lie one in the other",
            f"--output {shown(output, limit=400)}, --input {shown(min(clashes), limit=400)}",
            "write it beside the input",
        )


def _is_in(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip(os.sep) + os.sep)


def _would_match(path: str, place: _Place) -> bool:
    """Whether the place's pattern would find `path` the next time."""
    pattern = os.path.abspath(place.text)
    if "**" in pattern:
        return fnmatch.fnmatchcase(path, pattern)
    parts, patterns = path.split(os.sep), pattern.split(os.sep)
    return len(parts) == len(patterns) and all(map(fnmatch.fnmatchcase, parts, patterns))
