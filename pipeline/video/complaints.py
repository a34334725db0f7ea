"""About which packet a container complains."""

import contextlib
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

import av
import av.error
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from pipeline.video.container import complaints, packets

_LEAST_PROBE_BYTES = "32"
_ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_BLOCK_SIZE_AT = 92
_ASF_HEADER_BYTES = 1 << 16


def packets_and_complaints(
    container: InputContainer, stream: VideoStream, known: int
) -> "Iterator[tuple[Packet[VideoStream], str]]":
    """Packets as :func:`pipeline.video.container.packets` gives them, each with a complaint.

    That is what was complained about on the way to the packet, "" for nothing. FFmpeg reads ahead
    when it opens a file. Where it complained then, nothing tells about which packet; so the file
    is read once more in step, opened with next to no reading ahead.

    ASF is stored in blocks of one size, each with parts of packets. A block that damage has shifted
    is noticed at the next one, often by its place alone. So a complaint counts from the first
    packet that may have a part in the block before.

    Args:
        container: an open container that nothing has been read from.
        stream: its stream.
        known: how many complaints there were before it was opened.

    Raises:
        av.error.FFmpegError: the file cannot be read on.
    """
    told = _told(container, stream, known)
    if container.format.name != "asf":
        return told
    return _from_block_before(_misplaced(told, _asf_block_bytes(container)))


def _told(
    container: InputContainer, stream: VideoStream, known: int
) -> "Iterator[tuple[Packet[VideoStream], str]]":
    ahead = _complaints_in_step(container, stream) if complaints()[0] > known else iter(())
    before = known
    for packet in packets(container, stream):
        of_packet = _news(before)
        yield packet, next(ahead, of_packet)
        before = complaints()[0]


def _complaints_in_step(container: InputContainer, stream: VideoStream) -> Iterator[str]:
    """The complaints on the way to each packet, as far as the file can be read in this way."""
    before = complaints()[0]
    options = {**container.options, "probesize": _LEAST_PROBE_BYTES}
    with (
        contextlib.suppress(av.error.FFmpegError),
        av.open(container.name, "r", options=options, metadata_errors="replace") as again,
    ):
        for film in again.streams.video:
            if film.index == stream.index:
                for _ in packets(again, film):
                    yield _news(before)
                    before = complaints()[0]


def _news(before: int) -> str:
    count, last = complaints()
    return last if count > before else ""


def _misplaced(
    told: "Iterable[tuple[Packet[VideoStream], str]]", block_bytes: int
) -> "Iterator[tuple[Packet[VideoStream], str]]":
    """Complains where blocks are no longer a multiple of their size apart."""
    place: int | None = None
    for packet, complaint in told:
        shifted = False
        if packet.pos is not None:
            shifted = place is not None and (packet.pos - place) % block_bytes != 0
            place = packet.pos
        yield packet, complaint or ("asf: bytes are missing" if shifted else "")


def _from_block_before(
    told: "Iterable[tuple[Packet[VideoStream], str]]",
) -> "Iterator[tuple[Packet[VideoStream], str]]":
    held: deque[tuple[Packet[VideoStream], str]] = deque()
    for packet, complaint in told:
        if complaint:
            held = deque((earlier, said or complaint) for earlier, said in held)
        held.append((packet, complaint))
        # The last one, all that start in its block, and one that may end there.
        reach = 1 + sum(e.pos == packet.pos for e, _ in held if e.pos is not None)
        while len(held) > reach:
            yield held.popleft()
    yield from held


def _asf_block_bytes(container: InputContainer) -> int:
    """What the header tells, 1 for nothing: then every place is right."""
    with Path(container.name.removeprefix("file:")).open("rb") as file:
        head = file.read(_ASF_HEADER_BYTES)
    at = head.find(_ASF_FILE_PROPERTIES)
    told = head[at + _ASF_BLOCK_SIZE_AT :][:4] if at >= 0 else b""
    return int.from_bytes(told, "little") or 1
