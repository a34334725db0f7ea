"""Names of people and clips that several datasets share, so that leaks between them can be seen.

An id of one dataset is made unique with the dataset's name in front (``Source.unique``). Clips of
FaceForensics++ and people of Celeb-DF and VoxCeleb2 are material of other datasets too; their ids
are the same text wherever they occur, whatever the user called the dataset: ``ffpp-id:000``,
``celebdf-id:id0``.

A leak group names every clip and person that a video was made of, sorted and joined with ``+``,
such as ``ffpp-id:000+ffpp-id:003``: two videos are related where they share one of these parts.
"""

import re

FFPP_ID = re.compile(r"[0-9]{3}")
"""A clip of FaceForensics++, as its split files and file names spell it."""
VOXCELEB_ID = re.compile(r"id[0-9]{5}")
"""A person of VoxCeleb2, as its folders spell it."""
CELEB_DF_ID = re.compile(r"id[0-9]{1,2}")
"""A person of Celeb-DF, as its file names spell it."""


def ffpp(clip: str) -> str:
    """A YouTube clip of FaceForensics++ (000 to 999), whatever dataset it turns up in."""
    return f"ffpp-id:{clip}"


def celeb_df(person: str) -> str:
    """A person of Celeb-DF (id0 to id61), whatever dataset the face turns up in."""
    return f"celebdf-id:{person}"


def voxceleb(person: str) -> str:
    """A person of VoxCeleb2 (id00012), whatever dataset the face turns up in."""
    return f"voxceleb-id:{person}"


def celeb_df_youtube(clip: str) -> str:
    """A YouTube clip of Celeb-DF (five digits), whatever dataset it turns up in."""
    return f"celebdf-youtube:{clip}"


def youtube(video: str) -> str:
    """A video of YouTube by its id of 11 characters, whatever dataset a clip of it turns up in."""
    return f"youtube:{video}"


def leak_group(*ids: str) -> str:
    """The group of a video made of these clips and people; "" where none is known."""
    return "+".join(sorted({one for one in ids if one}))


def ids_in(name: str) -> tuple[str, ...]:
    """Clips and people of FaceForensics++ or Celeb-DF that a file name is made of.

    ``001`` and ``001_870`` are clips of FaceForensics++; ``id0_0000`` and ``id0_id1_0000`` people
    of Celeb-DF, whose last number is no id; ``00170`` is a YouTube clip of Celeb-DF. Anything else
    gives none.
    """
    parts = name.split("_")
    if len(parts) <= 2 and all(FFPP_ID.fullmatch(part) for part in parts):
        return tuple(map(ffpp, parts))
    people = parts[:-1]
    if people and re.fullmatch("[0-9]{4}", parts[-1]) and all(map(CELEB_DF_ID.fullmatch, people)):
        return tuple(map(celeb_df, people))
    return (celeb_df_youtube(name),) if re.fullmatch("[0-9]{5}", name) else ()
