"""What was found out about files, remembered while they stay as they are.

Local to one machine and never tracked: losing it costs time, nothing else.
"""

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from faceshards.replace import replacing

SETTLED_S = 2.0
"""A file changed less than this before it was read is not remembered: coarse file systems keep
times to 2 s, so a second change could leave size and time as they are."""

Entry = list[int | str]
"""Size, times of change of content and of inode, inode, kind of fact, fact."""


class FileMemory:
    """Facts of files by absolute path, good while size, both times of change and inode stay.

    Programs can set the time of content back; nothing sets back that of the inode.

    A file of the memory that is damaged, or of another form, counts as empty.

    Args:
        path: where the memory lies; made where absent.
        value: what a remembered fact looks like.
    """

    def __init__(self, path: Path, value: re.Pattern[str]) -> None:
        self._path = path
        self._value = value
        self._known = self._read()
        self._seen: dict[str, Entry] = {}

    def recall(
        self, name: str, facts: os.stat_result, kind: str, find_out: Callable[[], str]
    ) -> str:
        """The fact of a file whose ``os.stat`` is ``facts``; found out only where it changed.

        Args:
            name: path of the file.
            facts: as of now.
            kind: what is asked: an answer of another kind does not count.
            find_out: reads the file.
        """
        fact = self.known(name, facts, kind)
        if fact is None:
            fact = find_out()
            self.remember(name, facts, kind, fact)
        return fact

    def known(self, name: str, facts: os.stat_result, kind: str) -> str | None:
        """What is remembered of a file whose ``os.stat`` is ``facts``; it stays remembered.

        None where that is nothing, or the file has changed since.
        """
        name = _absolute(name)
        # A file may be asked for more than once, such as a tar for every folder inside it.
        entry = self._seen.get(name) or self._known.get(name)
        if entry is None or entry[:-1] != _stamp(facts, kind):
            return None
        self._seen[name] = entry
        return str(entry[-1])

    def was(self, name: str, facts: os.stat_result, fact: str) -> bool:
        """Whether the same was known of a file that has been written, or moved, since."""
        entry = self._known.get(_absolute(name))
        return (
            entry is not None and entry[-1] == fact and entry[:-1] != _stamp(facts, str(entry[4]))
        )

    def remember(self, name: str, facts: os.stat_result, kind: str, fact: str) -> None:
        """Takes note of what was found out about a file whose ``os.stat`` was ``facts`` before."""
        if time.time() - facts.st_mtime > SETTLED_S:
            self._seen[_absolute(name)] = [*_stamp(facts, kind), fact]

    def __len__(self) -> int:
        """Files that :meth:`save` would write down."""
        return len(self._seen)

    def changed_behind(self) -> Iterator[tuple[str, os.stat_result, str]]:
        """Files that look as they did but for the time of the inode, with stat and fact.

        So looks a file that was written and whose time of content was set back. One that was
        renamed, or whose rights were changed, looks the same. All files that are still there stay
        remembered.
        """
        for name, entry in sorted((self._known | self._seen).items()):
            with suppress(OSError):
                facts = Path(name).stat()
                now = _stamp(facts, str(entry[4]))
                self._seen[name] = entry
                if now != entry[:-1] and [*now[:2], *now[3:]] == [*entry[:2], *entry[3:-1]]:
                    yield name, facts, str(entry[-1])

    def save(self) -> None:
        """Replaces the memory by one of the files asked for since it was opened."""
        with replacing(self._path) as temporary:
            temporary.write_text(json.dumps(self._seen), encoding="ascii")

    def _read(self) -> dict[str, Entry]:
        try:
            data = json.loads(self._path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        if not isinstance(data, dict):
            return {}
        return {name: entry for name, entry in data.items() if self._is_entry(entry)}

    def _is_entry(self, entry: object) -> bool:
        return (
            isinstance(entry, list)
            and len(entry) == 6
            and isinstance(entry[-1], str)
            and self._value.fullmatch(entry[-1]) is not None
        )


def _absolute(name: str) -> str:
    return name if name.startswith(os.sep) else os.path.abspath(name)  # noqa: PTH100 - keeps links


def _stamp(facts: os.stat_result, kind: str) -> Entry:
    return [facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino, kind]
