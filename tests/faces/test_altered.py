"""Shares of boxes that were altered: of pixels that the test altered itself, and of real faces."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks._two_people import CRFS, RATE, Clip, Studio, encode
from pipeline.faces.altered import UNKNOWN, difference, masked_share, pooled
from pipeline.faces.extract import altered_shares
from pipeline.faces.reference import ReferenceReader
from pipeline.video.decode import Frame
from tests.video.clips import write_clip

HEIGHT, WIDTH = 60, 90
BOX = (20.0, 10.0, 60.0, 50.0)


def texture(seed=0, height=HEIGHT, width=WIDTH):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(40, 216, (height // 6 + 1, width // 6 + 1, 3))
    return np.kron(coarse, np.ones((6, 6, 1)))[:height, :width].astype(np.uint8)


def changed_share(fake, pristine, box, boxes):
    """Of a person who is seen once."""
    (share,) = pooled([difference(fake, pristine, box, boxes)])
    return share


@given(st.tuples(*(st.integers(0, n) for n in (WIDTH, HEIGHT, WIDTH, HEIGHT))))
def test_a_mask_covers_what_is_bright_in_it(bright):
    left, top, right, bottom = bright
    mask = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    mask[top:bottom, left:right, 1] = 200
    mask[..., 0] = 30  # traces of compression
    inside = mask[10:50, 20:60, 1] > 0
    assert masked_share(mask, (HEIGHT, WIDTH), BOX) == round(float(inside.mean()), 4)
    # The mask of a frame twice as large.
    twice = tuple(2 * edge for edge in BOX)
    assert masked_share(mask, (2 * HEIGHT, 2 * WIDTH), twice) == round(float(inside.mean()), 4)


@pytest.mark.parametrize("box", [(-30, -30, 10, 10), (85, 55, 200, 200), (-9, -9, 999, 999)])
def test_a_box_may_reach_over_the_frame(box):
    image = texture()
    assert masked_share(np.full((HEIGHT, WIDTH, 3), 255, np.uint8), (HEIGHT, WIDTH), box) == 1
    assert changed_share(image, image, box, [box]) == 0


def test_a_frame_against_itself_and_against_another():
    image = texture()
    assert changed_share(image, image, BOX, [BOX]) == 0
    half = image.copy()
    half[10:50, 20:40] = 255 - half[10:50, 20:40]
    assert changed_share(half, image, BOX, [BOX]) == pytest.approx(0.5, abs=0.1)
    assert changed_share(half, image, (45.0, 10.0, 60.0, 50.0), [BOX]) < 0.1
    whole = image.copy()
    whole[10:50, 20:60] = texture(1)[10:50, 20:60]
    assert changed_share(whole, image, BOX, [BOX]) > 0.8


def test_noise_that_is_everywhere_is_no_alteration():
    image = texture(height=240, width=360)
    box, other = (30.0, 40.0, 110.0, 140.0), (200.0, 40.0, 280.0, 140.0)
    rng = np.random.default_rng(3)
    noisy = np.clip(image + rng.normal(0, 9, image.shape), 0, 255).astype(np.uint8)
    boxes = [box, other]
    assert changed_share(noisy, image, box, boxes) < 0.1
    noisy[40:140, 200:280] = texture(1, 240, 360)[40:140, 200:280]
    assert changed_share(noisy, image, other, boxes) > 0.5
    assert changed_share(noisy, image, box, boxes) < 0.1


def test_a_person_is_looked_at_over_all_frames():
    """Noise differs from frame to frame, what was altered does not: together they tell more."""
    image = texture(height=240, width=360)
    boxes = [(30.0, 40.0, 110.0, 140.0), (200.0, 40.0, 280.0, 140.0)]
    rng = np.random.default_rng(4)
    compared = []
    for _ in range(12):
        fake = image.astype(float)
        fake[80:110, 220:260] += 10
        noisy = np.clip(fake + rng.normal(0, 9, image.shape), 0, 255).astype(np.uint8)
        compared.append([difference(noisy, image, box, boxes) for box in boxes])
    alone = np.array([[pooled([look])[0] for look in looks] for looks in compared])
    together = np.array(altered_shares([[5, 2]] * len(compared), compared))
    assert np.unique(together, axis=0).shape == (1, 2)
    untouched, altered = together[0]
    assert untouched < alone[:, 0].mean() / 2
    assert untouched < 0.02 < 0.05 < altered


def test_shares_by_a_mask_stay_those_of_each_face():
    found = altered_shares([[0, 1], [1], []], [[0.5, UNKNOWN], [0.25], []])
    assert found == [[0.5, UNKNOWN], [0.25], []]
    changed = np.full((2, 4, 4), 9, np.float32)
    assert pooled([UNKNOWN, changed, changed * 0]) == [UNKNOWN, 1.0, 1.0]


def shown(number, sample):
    return Frame((sample,), 0, np.full((32, 128, 3), number, np.uint8))


def test_a_reference_is_read_along(tmp_path):
    """The mask is 10 frames long, 0.4 s; frames from 5 on are bright."""
    frames = [np.full((32, 128, 3), 255 * (n >= 5), np.uint8) for n in range(10)]
    mask = write_clip(tmp_path / "mask.mp4", range(10), frames=frames)
    times = [0.0, 0.16, 0.24, 0.36, 0.6]
    box = (10.0, 10.0, 50.0, 30.0)
    with ReferenceReader("mask", "video", str(mask), times, 8192) as reference:
        found = [reference.looks(shown(0, n), [box, box]) for n in (0, 2, 3, 4)]
        assert reference.looks(shown(0, 4), []) == []
    assert found == [[0, 0], [1, 1], [1, 1], [UNKNOWN, UNKNOWN]]


def test_what_is_not_there_or_of_another_shape_is_unknown(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", range(10))
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.mp4").write_text("no film")
    box = (10.0, 10.0, 50.0, 30.0)
    square = Frame((0,), 0, np.zeros((64, 64, 3), np.uint8))
    cases = [
        ("video", "", shown(0, 0)),
        ("video", str(tmp_path / "gone.mp4"), shown(0, 0)),
        ("video", str(tmp_path / "text.mp4"), shown(0, 0)),
        ("video", str(tmp_path / "folder"), shown(0, 0)),
        ("frames", str(clip), shown(0, 0)),
        ("video", str(clip), square),
    ]
    for media, location, frame in cases:
        with ReferenceReader("pair", media, location, [0.0], 8192) as reference:
            assert reference.looks(frame, [box]) == [UNKNOWN]
    with ReferenceReader("pair", "video", str(clip), [0.0], 8192) as reference:
        (look,) = reference.looks(shown(0, 0), [box])
        assert isinstance(look, np.ndarray)


@pytest.fixture(scope="module")
def fakes(assets):
    """A film of two people, and what was made of it."""
    studio = Studio(assets)
    film = studio.side_by_side(Clip("real/lp_d20.mp4"), Clip("real/lp_d18.mp4"), RATE, 480)
    ways = ("swap", "blur strongly", "blur mildly", "warp mildly")
    return studio, film, [frames for _, frames in studio.altered(film, ways)]


@pytest.mark.slow
@pytest.mark.parametrize("crf", CRFS)
def test_the_altered_one_of_two_real_people(fakes, tmp_path, crf):
    studio, film, altered = fakes
    pair = encode(tmp_path / "pair.mp4", film.frames, crf)
    verdicts = []
    for frames in altered:
        fake = encode(tmp_path / "fake.mp4", frames, crf)
        verdicts += studio.judged(fake, pair, film, [0.2, 0.5, 0.8])
    assert len(verdicts) >= 20
    assert 0.3 < sum(truth for truth, _ in verdicts) / len(verdicts) < 0.7
    assert sum(truth == found for truth, found in verdicts) >= 0.98 * len(verdicts)
