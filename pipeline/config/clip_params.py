"""What of CLIP a joint embedding takes, and how it scores a label graph (SJEDD, section IV)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class ClipParams:
    """A joint embedding's choices; the defaults are those of SJEDD's text. Not for a ViT."""

    head: Literal["text", "linear"] = "text"
    """Scores come from embedded texts (section IV-B), or from a linear layer on the image encoder
    without any text (section V-C1, Table VI)."""
    templates: Literal["region", "attribute", "simplified"] = "region"
    """Texts of the labels: with "local region" (section IV-B1), with "local attribute of" (public
    code), or as "altered eye" (Table VII)."""
    score: Literal["inner_product", "cosine"] = "inner_product"
    """Of the embeddings, over a fixed temperature of 10: equation 4, or 8 (Table VII)."""
    freeze: Literal["none", "text", "both"] = "none"
    """Encoders that keep their numbers (Table VII). With both, the last linear layer is trained."""
    states: Literal["paper", "released"] = "paper"
    """Which label states are possible: as equation 1 is worded (250 of ``ffpp``), or as in the
    public code, where the root alone may be altered (251)."""

    def contradictions(self) -> Iterator[str]:
        """Yield one sentence per pair of values that are each possible, but not together."""
        if self.head == "text":
            return
        if self.freeze == "text":
            yield (
                "clip.freeze is 'text', but with clip.head linear there is no text. Set it to none."
            )
        of_text = {"templates": "region", "score": "inner_product"}
        for key, default in of_text.items():
            if (value := getattr(self, key)) != default:
                yield (
                    f"clip.{key} is {value!r}, but with clip.head linear there is no text. Set it "
                    f"to {default}."
                )
