"""The 40 methods of DF40, and the other names that its downloads, lists and paper have for them."""

import re

FACE_SWAPS = (
    *("fsgan", "faceswap", "simswap", "inswap", "blendface", "uniface", "mobileswap", "e4s"),
    *("facedancer", "deepfacelab"),
)
REENACTMENTS = (
    *("fomm", "facevid2vid", "wav2lip", "MRAA", "one_shot_free", "pirender", "tpsm", "lia"),
    *("danet", "sadtalker", "mcnet", "hyperreenact", "heygen"),
)
SYNTHESES = (
    *("VQGAN", "StyleGAN2", "StyleGAN3", "StyleGANXL", "sd2.1", "ddim", "RDDM", "pixart", "DiT"),
    *("SiT", "MidJourney", "whichfaceisreal"),
)
EDITINGS = ("CollabDiff", "e4e", "stargan", "starganv2", "styleclip")
METHODS = (*FACE_SWAPS, *REENACTMENTS, *SYNTHESES, *EDITINGS)
PAPER_METHODS = tuple(m for m in (*FACE_SWAPS, *REENACTMENTS) if m not in ("deepfacelab", "heygen"))
"""The 9 + 12 methods that the metric-learning paper tests on."""

_ALIASES = {
    "InSwapper": "inswap",
    "FS_vid2vid": "facevid2vid",
    "OneShot": "one_shot_free",
    "DaGAN": "danet",
    "heygen_new": "heygen",
    "DDPM": "ddim",
    "Whichisreal": "whichfaceisreal",
    "Collaborative_Diffusion": "CollabDiff",
}


def normal(name: str) -> str:
    """A name without case and separators, which downloads of DF40 write in several ways."""
    return re.sub("[_.-]", "", name.casefold())


_BY_NAME = {normal(m): m for m in METHODS} | {normal(a): m for a, m in _ALIASES.items()}


def method(name: str) -> str:
    """The method of that name in any spelling; "" where there is none."""
    return _BY_NAME.get(normal(name), "")
