"""Videos of which the sound alone is fake: ``datasets.audio_only`` says what becomes of them."""

from pipeline.datasets.base import Rejected, Source, Video


def checked(source: Source, video: Video) -> Video | Rejected:
    """The video, or a reject where its sound alone is fake and such videos are not wanted.

    Args:
        source: the dataset, with the rules of ``params.yaml``.
        video: labelled by what is visible.
    """
    if video.label or video.audio_fake != 1 or source.params.audio_only != "exclude":
        return video
    return Rejected(video.path, "excluded", "only its sound is fake (datasets.audio_only)")
