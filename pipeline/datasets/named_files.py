"""Videos whose folders and names alone say what they are: the files of all roots, each once."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from pipeline.datasets import folders
from pipeline.datasets.base import Adapter, Rejected, Source, wrong_root


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A video below one of the folders that were asked for."""

    file: str
    path: str
    """Its ``path`` column."""
    relative: str
    """Below its root."""
    top: str
    """The first folder, in lower case."""

    @property
    def stem(self) -> str:
        """Its name without suffix."""
        return folders.stem(self.relative)

    @property
    def parents(self) -> tuple[str, ...]:
        """The folders between the first one and the file."""
        return tuple(self.relative.split("/")[1:-1])


def named_files(
    source: Source, adapter: Adapter, tops: Collection[str], depth: int
) -> Iterator[NamedFile | Rejected]:
    """Videos below the folders ``tops`` of each root; what is no video, or a repeat, is a reject.

    Args:
        source: the dataset.
        adapter: for the message of a root without any of these folders.
        tops: names of first folders, in lower case; case does not count.
        depth: levels below them that are looked into.

    Raises:
        UserError: a root has none of these folders.
    """
    seen: set[str] = set()
    for index, root in enumerate(source.roots):
        here = [name for name in folders.subfolders(root) if name.lower() in tops]
        if not here:
            raise wrong_root(source, root, adapter)
        for top in here:
            for below in folders.files(root / top, depth):
                relative = f"{top}/{below}"
                path = source.path(index, relative)
                key = folders.without_suffix(relative).lower()
                if not folders.is_video(relative):
                    yield Rejected(path, "unsupported_media", "not the suffix of a video")
                elif key in seen:
                    yield Rejected(path, "duplicate", f"{relative} is there already")
                else:
                    seen.add(key)
                    yield NamedFile(f"{root}/{relative}", path, relative, top.lower())
