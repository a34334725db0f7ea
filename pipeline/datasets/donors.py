"""People whose face was put into another person's video, and who may be in another split."""

from pipeline.datasets.base import Option, Rejected, Source, Video

OPTIONS = {
    "donors": Option(
        "any = people whose face was put in may be in another split; same_split = such fakes are "
        "rejected",
        "any",
        ("any", "same_split"),
    )
}


def checked(source: Source, video: Video, split_of_donor: str) -> Video | Rejected:
    """The video, or a reject where the option does not want a donor of that split.

    Args:
        source: the dataset, with the option ``donors``.
        video: a fake.
        split_of_donor: split of the person ``source_id``; "" where it is not known.
    """
    if source.options["donors"] == "any" or split_of_donor in ("", video.split):
        return video
    detail = f"{video.source_id} is in the split {split_of_donor} (option donors)"
    return Rejected(video.path, "excluded", detail)
