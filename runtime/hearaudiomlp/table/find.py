"""Which files to embed: folders, patterns, lists and URLs into one listing, in a fixed order."""

import fnmatch
import glob
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import dropwhile

from hearaudiomlp._text import shorten
from hearaudiomlp.errors import AudioFileError, OptionError
from hearaudiomlp.storage.remote import filesystem, is_url, local_path, stamp, url_of
from hearaudiomlp.table.lists import LISTS, read_list, read_standard_input

ENDINGS = frozenset(
    f".{ending}"
    for ending in (
        *("wav", "wave", "bwf", "rf64", "w64", "flac", "mp3", "mp2", "ogg", "oga", "opus"),
        *("aif", "aiff", "aifc", "au", "snd", "caf", "sph", "voc"),
        # By the extra [media]; without it, they are reported as failed.
        *("m4a", "m4b", "aac", "wma", "amr", "awb", "ac3", "eac3", "mp1", "spx", "ape", "wv"),
        *("tta", "mka", "weba", "mp4", "m4v", "mov", "3gp", "3g2", "webm", "mkv", "avi"),
    )
)
"""Endings of the files that are taken from a folder, in lower case."""


_Part = Callable[[str], object]

_MISSING = -1
_MOST_PARTS = 64
"""Parts of a pattern from the first one with a wildcard on."""

_LONGEST_PATTERN = 10_000
"""Characters; Python takes seconds for each million. What is longer names no file."""


@dataclass(frozen=True, slots=True)
class AudioPath:
    """A file as it was found.

    Examples:
        >>> stat_path("nowhere.wav")
        AudioPath(path='nowhere.wav', size=-1, stamp='')
    """

    path: str
    """As given, or below the folder or pattern that was given."""

    size: int
    """Bytes; -1, if there is no such file."""

    stamp: str
    """What changes when the file is written again: its date, in ns, or a server's word for it."""


@dataclass
class Skipped:
    """What was found in folders and is skipped.

    Examples:
        >>> skipped = Skipped()
        >>> _ = list(find(["checkpoints"], skipped))
        >>> print(skipped)
        files whose ending isn't that of a sound file: .pth 2, ...; no sound file in checkpoints
    """

    endings: Counter[str] = field(default_factory=Counter)
    """Number of files with each ending that sound files don't have."""

    folders: list[str] = field(default_factory=list)
    """Folders that may not be read."""

    empty: list[str] = field(default_factory=list)
    """Folders that were given and have no sound file in them."""

    def __str__(self) -> str:
        """Return it in one line; empty if nothing was skipped."""
        most = [f"{ending or 'none'} {count:,}" for ending, count in self.endings.most_common(5)]
        parts = (
            [f"files whose ending isn't that of a sound file: {', '.join(most)}"] if most else []
        )
        parts += [f"a folder that can't be read: {folder}" for folder in self.folders[:5]]
        parts += [f"no sound file in {folder}" for folder in self.empty[:5]]
        return "; ".join(parts)


def stat_path(path: str) -> AudioPath:
    """Return a file with its present size and date; only the path, if there is no such file.

    Examples:
        >>> stat_path("samples/words.flac").size > 0
        True
    """
    if is_url(path):
        try:
            fs, inside = filesystem(path)
            info = fs.info(inside)
        except (OSError, OptionError):  # said again when it is opened, as that file's error
            return AudioPath(path, _MISSING, "")
        return AudioPath(path, int(info.get("size") or 0), stamp(info))
    try:
        status = os.stat(local_path(path))  # noqa: PTH116 - a million times
    except (OSError, ValueError):
        return AudioPath(path, _MISSING, "")
    return AudioPath(path, status.st_size, str(status.st_mtime_ns))


def _ending(path: str) -> str:
    ending = os.path.splitext(path.rstrip("/"))[1].lower()  # noqa: PTH122 - a million times
    return "" if ending == "." else ending


def _entries(folder: str, unreadable: list[str]) -> Iterator[os.DirEntry[str]]:
    """Yield the entries of a folder, by name; hidden ones are left out."""
    try:
        with os.scandir(folder) as found:
            shown = [item for item in found if item.name[0] != "."]
        return iter(sorted(shown, key=lambda item: os.fsencode(item.name)))
    except OSError:
        unreadable.append(folder)
        return iter(())


def _tree(folder: str, unreadable: list[str]) -> Iterator[os.DirEntry[str]]:
    """Yield the entries below a folder, depth first. Links to folders aren't followed."""
    # A stack of its own: folders may be nested deeper than Python's calls.
    levels = [_entries(folder, unreadable)]
    while levels:
        item = next(levels[-1], None)
        if item is None:
            levels.pop()
            continue
        yield item
        if item.is_dir(follow_symlinks=False):
            levels.append(_entries(item.path, unreadable))


def walk(folder: str, skipped: Skipped) -> Iterator[AudioPath]:
    """Yield the sound files below a folder, by name. It may be nested to any depth.

    Args:
        folder: hidden files and folders in it are left out, links to folders aren't followed.
        skipped: collects what was skipped.

    Examples:
        >>> [file.path for file in walk("recordings/a", Skipped())]
        ['recordings/a/one.wav', 'recordings/a/two.flac']
    """
    for item in _tree(folder, skipped.folders):
        if item.is_dir(follow_symlinks=False):
            continue
        if _ending(item.name) in ENDINGS:
            yield stat_path(item.path)
        elif not _is_folder(item):
            skipped.endings[_ending(item.name)] += 1


def _is_folder(item: os.DirEntry[str]) -> bool:
    try:
        return item.is_dir()
    except OSError:  # links that name each other
        return False


def _below(folder: str) -> Iterator[str]:
    """Yield all paths below a folder but hidden ones. Links to folders aren't followed."""
    for item in _tree(folder or ".", []):
        yield item.path if folder else item.path.removeprefix("./")


def _glob(pattern: str) -> Iterator[str]:
    """Match a pattern. Python's own ``**`` goes into links, even those to a folder above them."""
    before, found, behind = f"/{pattern}/".partition("/**/")
    if not found:
        yield from glob.iglob(pattern)  # noqa: PTH207 - keeps ./
        return
    before = f"{before}/"[1:]
    parts: list[_Part | None] = [
        None if part == "**" else re.compile(fnmatch.translate(part)).match
        for part in ("**", *filter(None, behind.split("/")))
    ]
    folders = glob.iglob(before) if glob.has_magic(before) else [before]  # noqa: PTH207
    for folder in folders:
        for path in _below(folder):
            if _fits(path[len(folder) :].strip("/").split("/"), parts):
                yield path


def _fits(names: list[str], parts: list[_Part | None]) -> bool:
    """Whether the parts of a path match those of a pattern, of which None is any folders."""
    at = part = again = 0
    any_folders = -1
    while at < len(names):
        fits = parts[part] if part < len(parts) else _never
        if fits is None:
            any_folders, again, part = part, at, part + 1
        elif fits(names[at]):
            at, part = at + 1, part + 1
        elif any_folders < 0:
            return False
        else:  # one folder more for the last **
            again += 1
            at, part = again, any_folders + 1
    return all(fits is None for fits in parts[part:])


def _never(_: str) -> None:
    return None


def _check_pattern(pattern: str) -> None:
    """Refuse patterns that a short line can make endless."""
    parts = list(dropwhile(lambda part: not glob.has_magic(part), pattern.split("/")))
    if ".." in parts:  # each */.. goes through all folders again, for each of them
        raise AudioFileError(f"{shorten(pattern, 200)}: a pattern can't go up (..) behind a *")
    if len(parts) > _MOST_PARTS:  # glob calls itself for each
        raise AudioFileError(
            f"{shorten(pattern, 200)}: a pattern of {len(parts):,} parts: at most {_MOST_PARTS}"
        )


def _matches(pattern: str) -> Iterator[AudioPath]:
    _check_pattern(pattern)
    matches = sorted(_glob(pattern), key=_by_part)
    found = [path for path in matches if not os.path.isdir(path)]  # noqa: PTH112
    return (stat_path(path) for path in found or [pattern])


def _by_part(path: str) -> list[bytes]:
    """Sort as a walk through the folders would."""
    return [os.fsencode(part) for part in path.split("/")]


def _remote(url: str, skipped: Skipped) -> Iterator[AudioPath]:
    try:
        paths = _remote_paths(url, skipped)
    except OptionError:  # said again when it is opened, as that file's error
        paths = []
    except OSError as problem:
        skipped.folders.append(f"{url} ({problem})")
        paths = []
    if not paths:
        yield AudioPath(url, _MISSING, "")
    yield from map(stat_path, paths)


def _remote_paths(url: str, skipped: Skipped) -> list[str]:
    """Return the URLs of the files that a URL stands for."""
    fs, inside = filesystem(url)
    if glob.has_magic(url) and not url.startswith(("http://", "https://")):
        paths = sorted(fs.glob(inside), key=_by_part)
    elif not _ending(url) and fs.isdir(inside):
        depth = len(inside.rstrip("/"))
        paths = sorted((path for path in fs.find(inside) if "/." not in path[depth:]), key=_by_part)
        for path in paths:
            if _ending(path) not in ENDINGS:
                skipped.endings[_ending(path)] += 1
        paths = [path for path in paths if _ending(path) in ENDINGS]
    else:
        return [url]
    return [url_of(path, fs, url) for path in paths]


def find(arguments: Iterable[str], skipped: Skipped) -> Iterator[AudioPath]:
    """Find the files to embed, in order.

    Args:
        arguments: files; folders, which are searched with all folders inside; patterns (``**``
            for any folders); lists (``.txt``, ``.lst``: a path a line); ``-`` for a list on
            standard input; URLs of files, folders and patterns.
        skipped: collects what was skipped.

    Returns:
        The files. A named file that doesn't exist is among them, so that it can be reported.

    Raises:
        AudioFileNotFoundError: there is no such list.
        AudioFileError: a list that is no text, or never ends; a pattern that goes up (``..``)
            behind a wildcard, or has too many parts.
        MissingPackageError: a URL needs a package that isn't installed.

    Examples:
        >>> skipped = Skipped()
        >>> [file.path for file in find(["recordings"], skipped)]
        ['recordings/a/one.wav', 'recordings/a/two.flac', 'recordings/b/three.wav']
    """
    for argument in arguments:
        path = local_path(argument)
        if argument == "-":
            for name in read_standard_input():
                yield from _one(name, skipped)
        elif not is_url(argument) and _ending(path) in LISTS and not os.path.isdir(path):  # noqa: PTH112
            for name in read_list(path):
                yield from _one(name, skipped)
        else:
            yield from _one(argument, skipped)


def _one(argument: str, skipped: Skipped) -> Iterator[AudioPath]:
    if is_url(argument):
        yield from _remote(argument, skipped)
        return
    path = local_path(argument)
    if os.path.isdir(path):  # noqa: PTH112
        found = False
        for source in walk(path, skipped):
            found = True
            yield source
        if not found:
            skipped.empty.append(path)
    elif len(path) <= _LONGEST_PATTERN and glob.has_magic(path) and not os.path.lexists(path):
        yield from _matches(path)
    else:
        yield stat_path(path)
