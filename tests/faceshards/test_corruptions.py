"""What `verify` finds of a folder that was damaged or forged, with every checksum made to fit."""

import copy
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from faceshards import fields, images, keys
from faceshards.verify import verify_against, verify_folder
from tests.faceshards import drafts
from tests.faceshards.drafts import Draft
from tests.shards import made

Change = Callable[[Draft], None]
CHANGES: dict[str, tuple[str, Change]] = {}
"""By name: the folder (``expanded`` or ``val``), and what is done to it."""
UNKNOWABLE: dict[str, tuple[str, Change]] = {}
"""What no folder can tell of itself: values that might as well have been right."""


def said(name: str, value: Any) -> Change:
    """The first sample that does not say so says it, in its json and in the index."""

    def change(draft: Draft) -> None:
        chosen = next(s for s in draft.samples if repr(s.about[name]) != repr(value))
        chosen.about[name] = value

    return change


def all_said(name: str, value: Any) -> Change:
    def change(draft: Draft) -> None:
        for sample in draft.samples:
            sample.about[name] = value

    return change


def without(name: str) -> Change:
    def change(draft: Draft) -> None:
        del draft.samples[0].about[name]

    return change


def json_of(function: Callable[[bytes], bytes]) -> Change:
    def change(draft: Draft) -> None:
        sample = draft.samples[0]
        text = json.dumps(sample.about, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        sample.members["json"], sample.raw = function(text.encode()), True

    return change


def member(extension: str, function: Callable[[bytes], bytes], place: int = 2) -> Change:
    def change(draft: Draft) -> None:
        members = draft.samples[place].members
        members[extension] = function(members[extension])

    return change


def indexed(name: str) -> Change:
    """The index says something else of the first sample than all else does."""

    def change(draft: Draft) -> None:
        def rows(found: list[dict[str, Any]]) -> None:
            value = found[0][name]
            column = next(c for c in fields.INDEX_EXPANDED if c.name == name)
            if column.among:
                value = next(v for v in column.among if v != value)
            elif isinstance(value, str):
                value = found[-1][name] if name == "tar" else value + "x"
                value = "wild-00000.tar" if name == "tar" else value
            elif isinstance(value, list):
                value = [*value[:-1], 1 - value[-1]]
            else:
                value = value + 1 if column.high is None or value + 1 <= column.high else 0
            found[0][name] = value

        draft.change_rows = rows

    return change


def told(function: Callable[[dict[str, Any]], Any]) -> Change:
    """shards.json says something else."""

    def change(draft: Draft) -> None:
        def facts(about: dict[str, Any]) -> None:
            function(about)

        draft.change_facts = facts

    return change


def in_vectors(
    function: Callable[[list[int]], Any], graph_name: str = "ffsc"
) -> Callable[[dict[str, Any]], Any]:
    """shards.json has another vector of one method."""

    def change(about: dict[str, Any]) -> None:
        by_category = about["vectors"][graph_name]["ffpp"]["swap_eye"]
        by_category["local"] = function(by_category["local"])

    return change


def graph(**parts: Any) -> Change:
    def change(draft: Draft) -> None:
        draft.facts["graphs"] = copy.deepcopy(draft.facts["graphs"])
        draft.facts["graphs"]["ffpp"] |= parts

    return change


def tar_bytes(function: Callable[[bytearray], None]) -> Change:
    def change(draft: Draft) -> None:
        draft.end = function

    return change


def header(at: int, data: bytes) -> Change:
    """Other bytes in the first header, and its checksum made to fit."""

    def function(whole: bytearray) -> None:
        whole[at : at + len(data)] = data
        whole[148:156] = b" " * 8
        whole[148:156] = b"%06o\0 " % sum(whole[:512])

    return tar_bytes(function)


def flip(data: bytes, at: int, mask: int = 1) -> bytes:
    changed = bytearray(data)
    changed[at] ^= mask
    return bytes(changed)


def scan_start(jpg: bytes) -> int:
    at = jpg.index(b"\xff\xda")
    return at + 2 + int.from_bytes(jpg[at + 2 : at + 4], "big")


def overwritten(value: bytes, share: float) -> Callable[[bytes], bytes]:
    def function(jpg: bytes) -> bytes:
        start = scan_start(jpg)
        at = start + int((len(jpg) - start) * share)
        return jpg[:at] + value + jpg[at + len(value) :]

    return function


def reencoded(quality: int, subsampling: Any) -> Callable[[bytes], bytes]:
    return lambda jpg: images.encode_jpeg(images.decode_rgb(jpg), quality, subsampling)


def grey_jpeg(jpg: bytes) -> bytes:
    return images._encode(".jpg", images.decode_grey(jpg), [])


def scalar_changes() -> None:
    other = {str: 7, int: "7", float: 7}
    for name, kind in fields.scalars(fields.EXPANDED).items():
        CHANGES[f"json {name} of another type"] = "expanded", said(name, other[kind])
        CHANGES[f"json {name} missing"] = "expanded", without(name)
    for name in (*fields.lists(fields.EXPANDED), "vector"):
        CHANGES[f"json {name} missing"] = "expanded", without(name)
        CHANGES[f"json {name} of text"] = "expanded", said(name, "1")
        CHANGES[f"json {name} too short"] = "expanded", said(name, [1.0])
    CHANGES.update(
        {
            f"{folder} {name} is {value!r:.40}": (folder, said(name, value))
            for folder, name, value in [
                ("val", "label", 1),
                ("val", "label", 0),
                ("val", "label", 2),
                ("val", "label", -1),
                ("expanded", "label", 0),
                ("val", "split", "train"),
                ("expanded", "split", "val"),
                ("val", "category", "local"),
                ("val", "category", "real"),
                ("val", "category", "RE"),
                ("expanded", "category", "FS"),
                ("val", "method", "real"),
                ("val", "method", "FaceSwap"),
                ("expanded", "method", "swap_lip"),
                ("expanded", "method", "real"),
                ("val", "dataset", "wild"),
                ("expanded", "dataset", ""),
                ("val", "generator", "swap"),
                ("expanded", "generator", ""),
                ("expanded", "generator", "gan"),
                ("val", "region", "eye"),
                ("expanded", "region", "nose"),
                ("expanded", "region", ""),
                ("val", "source_method", "Deepfakes"),
                ("expanded", "source_method", "FaceSwap"),
                ("expanded", "source_method", ""),
                ("expanded", "source_face_id", ""),
                ("expanded", "source_face_id", "wild/real/x/00000-0"),
                ("expanded", "color", ""),
                ("expanded", "color", "never"),
                ("expanded", "align", ""),
                ("expanded", "align", "sideways"),
                ("expanded", "mask_seed", -2),
                ("expanded", "max_gain", -1.0),
                ("expanded", "change", -1.0),
                ("expanded", "color_gap", -1.0),
                ("expanded", "sharpness_gap", -1.0),
                ("expanded", "distance", -1.0),
                ("expanded", "dilate_px", -1),
                ("expanded", "blur_sigma_px", -1.0),
                ("expanded", "source_affine", []),
                ("expanded", "source_affine", [0.0] * 6),
                ("expanded", "source_affine", [1e30, 0.0, 0.0, 0.0, 1.0, 0.0]),
                ("expanded", "source_face_id", "ffpp/Deepfakes/"),
                ("expanded", "source_face_id", "ffpp/Deepfakes/clip/00000"),
                ("expanded", "distance", 1e9),
                ("expanded", "dilate_px", 100_000),
                ("expanded", "change", 256.0),
                ("val", "altered", -0.5),
                ("val", "altered", 0.5),
                ("expanded", "target_id", "ffpp/77"),
                ("expanded", "subtype", "talking_head"),
                ("expanded", "landmarks", []),
                ("expanded", "landmarks", [1e6] * 136),
                ("expanded", "landmarks", [5.0, 6.0] * 68),
                ("val", "graph", "ffsc"),
                ("val", "audio_fake", 2),
                ("val", "audio_fake", 1),
                ("val", "compression", "c40"),
                ("val", "subtype", "lip_sync"),
                ("val", "pair_id", "ffpp/77"),
                ("val", "leak_group", "ffpp/77"),
                ("val", "identity", "ffpp/77"),
                ("val", "target_id", "ffpp/77"),
                ("val", "source_id", "ffpp/77"),
                ("val", "face_id", "ffpp/Deepfakes/x/00000-0"),
                ("val", "video_id", "ffpp/Deepfakes/x"),
                ("val", "video_id", "nowhere"),
                ("val", "sample", 7),
                ("val", "sample", -1),
                ("val", "rank", 1),
                ("val", "rank", -1),
                ("val", "time_s", -1.0),
                ("val", "time_s", 0.5e9),
                ("val", "score", 1.5),
                ("val", "score", -0.5),
                ("val", "padded", 1.5),
                ("val", "padded", -0.5),
                ("val", "brightness", 256.0),
                ("val", "sharpness", -3.0),
                ("val", "track", -2),
                ("val", "face_px", 99.0),
                ("val", "face_px", -1.0),
                ("val", "box", []),
                ("val", "box", [110.0, 20.0, 10.0, 140.5]),
                ("val", "box", [10.0, 20.0, 11.0, 21.0]),
                ("val", "box", [1, 2, 3, 4]),
                ("val", "pose_deg", [400.0, 0.0, 0.0]),
                ("val", "vector", [2] * 10),
                ("val", "vector", [0] * 10),
                ("val", "vector", [1] * 10),
                ("val", "vector", [1, 0]),
                ("val", "vector", [True] * 10),
                ("expanded", "vector", [0] * 10),
                ("expanded", "vector", [0, 1, -1, -1, -1, -1, -1, -1, -1, -1]),
                ("expanded", "vector", [1, 0, 0, 0, 1, 0, 0, 0, 0, 0]),
                ("expanded", "vector", [1, 0, 1, 0, 0, 0, 0, 0, 0, 0]),
            ]
        }
    )


def index_changes() -> None:
    for column in fields.INDEX_EXPANDED:
        CHANGES[f"index {column.name} differs"] = "expanded", indexed(column.name)

    def rows(function: Callable[[list[Any]], Any]) -> Change:
        def change(draft: Draft) -> None:
            draft.change_rows = lambda found: function(found) and None

        return change

    CHANGES["index in another order"] = "expanded", rows(lambda r: r.reverse())
    CHANGES["index lacks a row"] = "expanded", rows(lambda r: r.pop())
    CHANGES["index has a row twice"] = "expanded", rows(lambda r: r.append(dict(r[0])))
    CHANGES["index is empty"] = "expanded", rows(lambda r: r.clear())


def json_changes() -> None:
    functions: dict[str, Callable[[bytes], bytes]] = {
        "with spaces": lambda d: d.replace(b",", b", "),
        "with another order": lambda d: json.dumps(
            dict(reversed(json.loads(d).items())), separators=(",", ":"), ensure_ascii=False
        ).encode(),
        "with a key twice": lambda d: b'{"label":1,' + d[1:],
        "with a key too many": lambda d: b'{"a":1,' + d[1:],
        "with NaN": lambda d: d.replace(b'"padded":0.0', b'"padded":NaN'),
        "with infinity": lambda d: d.replace(b'"padded":0.0', b'"padded":1e999'),
        "cut": lambda d: d[:-1],
        "empty": lambda d: b"",
        "a list": lambda d: b"[" + d + b"]",
        "not UTF-8": lambda d: d.replace("é".encode(), b"\xe9"),
        "deep": lambda d: b"[" * 5000 + b"]" * 5000,
        "too large": lambda d: d[:-1] + b" " * 70_000 + b"}",
        "with a lone surrogate": lambda d: d.replace("é".encode(), b"\\ud800"),
        "with bytes behind": lambda d: d + b"\n",
        "with escapes": lambda d: json.dumps(
            json.loads(d), sort_keys=True, separators=(",", ":")
        ).encode(),
    }
    for name, function in functions.items():
        CHANGES[f"json {name}"] = "expanded", json_of(function)


def picture_changes() -> None:
    jpegs: dict[str, Callable[[bytes], bytes]] = {
        "cut in the middle": lambda d: d[: len(d) // 2],
        "cut, with its end put back": lambda d: d[: len(d) // 2] + b"\xff\xd9",
        "without its end": lambda d: d[:-2],
        "with a byte behind": lambda d: d + b"\0",
        "with a picture behind": lambda d: d + d,
        "with a comment": lambda d: d[:2] + b"\xff\xfe\0\x06hide" + d[2:],
        "with EXIF": lambda d: d[:2] + b"\xff\xe1\0\x08Exif\0\0" + d[2:],
        "of another quality": reencoded(50, "4:4:4"),
        "of another sampling": reencoded(made.JPEG.quality, "4:2:0"),
        "in grey": grey_jpeg,
        "that is a PNG": lambda d: images.encode_png(images.decode_rgb(d)),
        "smaller": lambda d: images.encode_jpeg(images.decode_rgb(d)[:99], 95, "4:4:4"),
        "that is text": lambda d: b"no picture",
        "of no bytes": lambda d: b"",
        "of another start": lambda d: b"\xff\xd9" + d[2:],
        "with another quantisation": lambda d: flip(d, d.index(b"\xff\xdb") + 8),
        "with another height": lambda d: flip(d, d.index(b"\xff\xc0") + 6),
        "said to be progressive": lambda d: d.replace(b"\xff\xc0", b"\xff\xc2", 1),
        "with a restart marker": overwritten(b"\xff\xd0", 0.5),
        "with a lost part": lambda d: d[: len(d) // 2] + d[len(d) // 2 + 400 :],
    }
    for value in (b"\0", b"\xff\0", b"\x55"):
        for share in (0.2, 0.7):
            name = f"with 600 bytes {value.hex()} at {share:.0%}"
            jpegs[name] = overwritten(value * (600 // len(value)), share)
    for name, function in jpegs.items():
        CHANGES[f"JPEG {name}"] = "expanded", member("jpg", function)
    empty = np.zeros((224, 224), np.uint8)
    masks: dict[str, Callable[[bytes], bytes]] = {
        "empty": lambda d: images.encode_png(empty),
        "in color": lambda d: images.encode_png(np.stack([images.decode_grey(d)] * 3, -1)),
        "smaller": lambda d: images.encode_png(images.decode_grey(d)[:99]),
        "cut": lambda d: d[:-20],
        "without its end": lambda d: d[:-12],
        "with bytes behind": lambda d: d + b"\0",
        "with a flipped bit": lambda d: flip(d, len(d) // 2),
        "with a flipped checksum": lambda d: flip(d, len(d) - 1),
        "that is a JPEG": lambda d: images.encode_jpeg(made.picture(1), 95, "4:4:4"),
        "of no bytes": lambda d: b"",
        "in two": lambda d: d + d,
        "with an empty chunk": lambda d: d[:33] + b"\0\0\0\0IDAT\x35\xaf\x06\x1e" + d[33:],
    }
    for name, function in masks.items():
        CHANGES[f"mask {name}"] = "expanded", member("mask.png", function)


def tar_changes() -> None:
    def swap(draft: Draft) -> None:
        draft.samples[0], draft.samples[1] = draft.samples[1], draft.samples[0]

    def drop(extension: str) -> Change:
        return lambda draft: draft.samples[0].members.pop(extension) and None

    def reorder(draft: Draft) -> None:
        draft.samples[0].members = dict(reversed(draft.samples[0].members.items()))

    def add(draft: Draft) -> None:
        draft.samples[0].members["txt"] = b"x"

    def repeat(draft: Draft) -> None:
        draft.samples.append(copy.deepcopy(draft.samples[0]))

    def rename(draft: Draft) -> None:
        draft.samples[0].key += "x"

    def renamed_fully(draft: Draft) -> None:
        sample = draft.samples[0]
        sample.row = sample.row | {"sample_id": "ffpp/swap_eye/other/00000-0-0"}
        sample.key = keys.encode_id("ffpp/swap_eye/other/00000-0-0")

    def recount(draft: Draft) -> None:
        sample = draft.samples[0]
        changed = sample.row["sample_id"][:-1] + "x"
        sample.row, sample.key = sample.row | {"sample_id": changed}, keys.encode_id(changed)

    def other_tar(name: str) -> Change:
        def change(draft: Draft) -> None:
            draft.tars[draft.tars.index("ffpp-00000.tar")] = name
            for sample in draft.samples:
                sample.tar = name if sample.tar == "ffpp-00000.tar" else sample.tar

        return change

    def moved(draft: Draft) -> None:
        draft.tars.append("ffpp-00007.tar")
        draft.samples[0].tar = "ffpp-00007.tar"

    def split_video(draft: Draft) -> None:
        draft.tars.append(f"ffpp-{len(draft.tars):05d}.tar")
        draft.samples[0].tar = draft.tars[-1]

    changes: dict[str, Change] = {
        "in another order": swap,
        "lacks a picture": drop("jpg"),
        "lacks a json": drop("json"),
        "lacks a mask": drop("mask.png"),
        "with members in another order": reorder,
        "with a member too many": add,
        "with a sample twice": repeat,
        "without samples": lambda draft: draft.tars.append("ffpp-00001.tar"),
        "with another key": rename,
        "with another key and id": renamed_fully,
        "with an odd count": recount,
        "of another dataset": other_tar("wild-00000.tar"),
        "without a number": other_tar("ffpp.tar"),
        "with a gap in its numbers": other_tar("ffpp-00003.tar"),
        "gave a sample to another": moved,
        "lost one of a video's samples to another": split_video,
        "with another mode": header(100, b"0000755\0"),
        "with an owner": header(108, b"0001750\0"),
        "with a group": header(116, b"0001750\0"),
        "with a time": header(136, b"14000000000\0"),
        "with a name of a user": header(265, b"somebody"),
        "with a link's type": header(156, b"2"),
        "with a folder's type": header(156, b"5"),
        "with a PAX header": header(156, b"x"),
        "with a name that climbs": header(0, b"../"),
        "with a name that is not UTF-8": header(0, b"\xff\xfe"),
        "with an odd magic": header(257, b"ustar  \0"),
        "with a wrong checksum": tar_bytes(lambda d: d.__setitem__(150, d[150] ^ 1)),
        "with a hidden padding": tar_bytes(lambda d: d.__setitem__(-1025, 7)),
        "with bytes behind": tar_bytes(lambda d: d.extend(b"x" * 512)),
        "with zeros behind": tar_bytes(lambda d: d.extend(bytes(8 * 512))),
        "without its end": tar_bytes(lambda d: d.__delitem__(slice(-1024, None))),
        "cut inside": tar_bytes(lambda d: d.__delitem__(slice(len(d) // 2, None))),
        "of no bytes": tar_bytes(lambda d: d.clear()),
        "that is text": tar_bytes(lambda d: d.__setitem__(slice(None), b"hello")),
    }
    for name, change in changes.items():
        CHANGES[f"tar {name}"] = "expanded", change


def facts_changes() -> None:
    edges = [["face", "eye"], ["eye", "face"]]
    nodes = ["face", "a", "b", "c", "d", "e", "f", "g", "h"]
    graphs: dict[str, Change] = {
        "without prompts": graph(prompts=[]),
        "with an empty prompt": graph(prompts=[""] * 10),
        "with prompts of numbers": graph(prompts=list(range(10))),
        "with the same prompt twice": graph(prompts=["a"] * 10),
        "without edges": graph(edges=[]),
        "with a circle": graph(edges=edges),
        "with an edge to nowhere": graph(edges=[["face", "nowhere"]]),
        "with an edge of three": graph(edges=[["face", "eye", "lip"]]),
        "with edges of numbers": graph(edges=[[0, 1]]),
        "with edges that are none": graph(edges=3),
        "with a node twice": graph(nodes=["face"] * 10),
        "with too few nodes": graph(nodes=nodes),
        "without nodes": graph(nodes=[]),
        "with nodes of numbers": graph(nodes=list(range(10))),
        "with 400 nodes": graph(nodes=[f"n{i}" for i in range(400)]),
        "with nodes that are text": graph(nodes="face"),
        "with an unknown key": graph(more=1),
    }
    for name, change in graphs.items():
        CHANGES[f"graph {name}"] = "expanded", change

    def one(about: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = about["tars"]["ffpp-00000.tar"]
        return found

    facts: dict[str, Callable[[dict[str, Any]], Any]] = {
        "counts a sample more": lambda a: a.update(samples=a["samples"] + 1),
        "counts in floats": lambda a: a.update(samples=float(a["samples"])),
        "counts bytes wrong": lambda a: a.update(bytes=a["bytes"] + 1),
        "counts labels wrong": lambda a: a.update(labels={"fake": 1, "real": 1}),
        "has labels that are none": lambda a: a.update(labels=[]),
        "has other members": lambda a: a.update(members=["jpg", "json"]),
        "has another format": lambda a: a.update(format=2),
        "has a format that is true": lambda a: a.update(format=True),
        "has another name": lambda a: a.update(name="val"),
        "has no name": lambda a: a.pop("name"),
        "has a key too many": lambda a: a.update(more=1),
        "has no graphs": lambda a: a.update(graphs={}),
        "has graphs that are none": lambda a: a.update(graphs=[]),
        "has no graph of its samples": lambda a: a.pop("graph"),
        "follows another of its graphs": lambda a: a.update(graph="ffsc"),
        "follows a graph that is not there": lambda a: a.update(graph="odd"),
        "follows a list": lambda a: a.update(graph=["ffpp"]),
        "follows a mapping": lambda a: a.update(graph={}),
        "names a tar of 5000 letters": lambda a: a["tars"].update({"x" * 5000 + "-0.tar": one(a)}),
        "has no vectors": lambda a: a.pop("vectors"),
        "has vectors that are none": lambda a: a.update(vectors=[]),
        "lacks the vectors of a graph": lambda a: a["vectors"].pop("ffsc"),
        "has vectors of another graph": lambda a: a["vectors"].update(odd={}),
        "has vectors that are no mapping": lambda a: a["vectors"].update(ffsc=[1]),
        "has datasets that are no mapping": lambda a: a["vectors"]["ffsc"].update(ffpp=[1]),
        "lacks the vectors of a dataset": lambda a: a["vectors"]["ffsc"].pop("ffpp"),
        "lacks the vector of a method": lambda a: a["vectors"]["ffsc"]["ffpp"].pop("swap_eye"),
        "has the vector of another method": lambda a: a["vectors"]["ffsc"]["ffpp"].update(
            odd={"FS": [1] + [-1] * 11}
        ),
        "has a vector of text": in_vectors(lambda v: "1"),
        "has a vector that is too short": in_vectors(lambda v: v[1:]),
        "has a vector of floats": in_vectors(lambda v: [1.0, *v[1:]]),
        "has a vector with a 2": in_vectors(lambda v: [*v[:-1], 2]),
        "has a vector of a fake that begins with 0": in_vectors(lambda v: [0, *v[1:]]),
        "has a vector that no state completes": in_vectors(lambda v: [1, 0, 0, 0, 0, 0, *[1] * 6]),
        "has another vector than the samples": in_vectors(lambda v: [*v[:-1], -1], "ffpp"),
        "has no tars": lambda a: a.update(tars={}),
        "has tars that are none": lambda a: a.update(tars=[]),
        "names a tar elsewhere": lambda a: a["tars"].update({"../x.tar": one(a)}),
        "names a tar that is not there": lambda a: a["tars"].update({"ffpp-00001.tar": one(a)}),
        "counts a tar's samples wrong": lambda a: one(a).update(samples=1),
        "counts a tar's bytes wrong": lambda a: one(a).update(bytes=1),
        "counts a tar's labels wrong": lambda a: one(a).update(labels={"fake": 0, "real": 8}),
        "counts a tar's samples below 0": lambda a: one(a).update(samples=-1),
        "has a sha256 that is none": lambda a: one(a).update(sha256="0"),
        "has another sha256": lambda a: one(a).update(sha256="0" * 64),
        "has a sha256 that is a number": lambda a: one(a).update(sha256=0),
        "says more of a tar": lambda a: one(a).update(more=1),
        "says nothing of a tar": lambda a: a["tars"].update({"ffpp-00000.tar": {}}),
        "lacks its index": lambda a: a.pop("index"),
        "lacks its digest": lambda a: a.pop("digest"),
    }
    for name, function in facts.items():
        CHANGES[f"shards.json {name}"] = "expanded", told(function)


def unknowable_changes() -> None:
    for name, value in {
        "score": 0.5,
        "sharpness": 35.0,
        "brightness": 120.0,
        "altered": 0.375,
        "padded": 0.25,
        "track": 3,
        "distance": 13.0,
        "pose_deg": [],
    }.items():
        UNKNOWABLE[f"{name} of one sample"] = "expanded", said(name, value)
    UNKNOWABLE["compression of all"] = "expanded", all_said("compression", "c40")
    picture = images.encode_jpeg(made.picture(4711), made.JPEG.quality, made.JPEG.subsampling)
    UNKNOWABLE["another sound picture"] = "expanded", member("jpg", lambda d: picture)
    mask = np.full((224, 224), 9, np.uint8)
    UNKNOWABLE["another sound mask"] = (
        "expanded",
        member("mask.png", lambda d: images.encode_png(mask)),
    )

    def lost(draft: Draft) -> None:
        draft.samples.pop()

    UNKNOWABLE["a lost sample"] = "expanded", lost

    def prompt(draft: Draft) -> None:
        prompts = draft.facts["graphs"]["ffpp"]["prompts"]
        graph(prompts=["A photo", *prompts[1:]])(draft)

    UNKNOWABLE["another prompt"] = "expanded", prompt


scalar_changes()
index_changes()
json_changes()
picture_changes()
tar_changes()
facts_changes()
unknowable_changes()


@pytest.fixture(scope="module")
def good(shards: Path) -> dict[str, Draft]:
    return {name: drafts.read(shards / name) for name in ("expanded", "val")}


def changed(good: dict[str, Draft], entry: tuple[str, Change], root: Path) -> Path:
    name, change = entry
    draft = copy.deepcopy(good[name])
    change(draft)
    draft.write(root / name)
    return root / name


@pytest.mark.parametrize("name", ["expanded", "val"])
def test_what_is_put_together_unchanged_is_sound(good: Any, name: str, tmp_path: Path) -> None:
    assert verify_folder(changed(good, (name, lambda draft: None), tmp_path)) == []


@pytest.mark.parametrize("name", CHANGES)
def test_it_is_found_with_all_checksums_made_to_fit(good: Any, name: str, tmp_path: Path) -> None:
    problems = verify_folder(changed(good, CHANGES[name], tmp_path))
    assert problems
    assert all(isinstance(problem, str) and len(problem) < 2000 for problem in problems)


@pytest.mark.parametrize("name", UNKNOWABLE)
def test_only_a_sum_from_elsewhere_tells(
    good: Any, shards: Path, name: str, tmp_path: Path
) -> None:
    folder = changed(good, UNKNOWABLE[name], tmp_path)
    assert verify_folder(folder) == []
    kept = tmp_path / "kept.sha256"
    digest = hashlib.sha256((shards / "expanded/shards.json").read_bytes()).hexdigest()
    kept.write_text(f"{digest}  shards.json\n")
    assert verify_against(folder, kept) == [f"shards.json: its sha256 is not the one in {kept}"]
    assert verify_against(shards / "expanded", kept) == []


def linked(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).rename(folder.parent / "elsewhere")
        (folder / name).symlink_to(folder.parent / "elsewhere")

    return change


def laid(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(b"x") and None


def gone(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def a_folder(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).mkdir()

    return change


def a_pipe(folder: Path) -> None:
    (folder / "ffpp-00000.tar").unlink()
    os.mkfifo(folder / "ffpp-00000.tar")


def index_of(function: Callable[[pa.Table], pa.Table]) -> Callable[[Path], None]:
    """Another index, to which shards.json is made to fit."""

    def change(folder: Path) -> None:
        path = folder / "index.parquet"
        pq.write_table(function(pq.read_table(path)), path)
        drafts.fit(folder, json.loads((folder / "shards.json").read_bytes()))

    return change


PLACES: dict[str, Callable[[Path], None]] = {
    **{f"{name} is a link": linked(name) for name in ("ffpp-00000.tar", "index.parquet")},
    "shards.json is a link": linked("shards.json"),
    **{f"{name} lies there": laid(name) for name in ("a.tar", "a.TAR", "a.tar.gz", ".a", "a.tmp")},
    **{f"{name} is gone": gone(name) for name in ("ffpp-00000.tar", "index.parquet")},
    "shards.json is gone": gone("shards.json"),
    **{f"{n} is a folder": a_folder(n) for n in ("ffpp-00000.tar", "index.parquet", "more")},
    "shards.json is a folder": a_folder("shards.json"),
    "a tar is a pipe": a_pipe,
    "index.parquet is text": lambda f: (f / "index.parquet").write_text("x") and None,
    "shards.json is text": lambda f: (f / "shards.json").write_text("x") and None,
    "shards.json is deep": lambda f: (f / "shards.json").write_text("[" * 9999) and None,
    "shards.json with spaces": lambda f: (
        (f / "shards.json").write_text((f / "shards.json").read_text() + " ") and None
    ),
    "a name is no text": lambda f: os.mknod(os.fsencode(f) + b"/\xff.tar"),
    "the index has a column more": index_of(lambda t: t.append_column("more", t.column("score"))),
    "the index has a column twice": index_of(lambda t: t.append_column("rank", t.column("rank"))),
    "the index has other places": index_of(lambda t: t.select(t.column_names[::-1])),
    "the folder has another split's name": lambda f: None,
}


@pytest.mark.parametrize("name", PLACES)
def test_what_lies_in_the_folder_is_told(shards: Path, name: str, tmp_path: Path) -> None:
    called = "train" if "another split" in name else "expanded"
    folder = Path(shutil.copytree(shards / "expanded", tmp_path / called))
    PLACES[name](folder)
    assert verify_folder(folder)


def test_there_are_many() -> None:
    assert len(CHANGES) + len(PLACES) >= 155


@pytest.mark.slow
def test_every_flipped_bit_is_found(shards: Path, tmp_path: Path) -> None:
    """Sampled evenly over all files of a folder; nothing is made to fit."""
    folder = Path(shutil.copytree(shards / "expanded", tmp_path / "expanded"))
    draw = np.random.default_rng(0)
    silent = []
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        for turn in range(80):
            at, bit = int(draw.integers(len(data))), int(draw.integers(8))
            path.write_bytes(flip(data, at, 1 << bit))
            for quick in (True, False) if turn % 8 == 0 else (True,):
                if not verify_folder(folder, quick=quick):
                    silent.append((path.name, at, bit, quick))
        path.write_bytes(data)
    assert silent == []
    assert verify_folder(folder) == []
