import time
from collections import Counter, namedtuple

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceshards import fields
from pipeline import tables
from pipeline.config.params import BalanceParams
from pipeline.errors import UserError
from pipeline.selection.balance import balance, columns
from pipeline.selection.face_choice import LEAST_MEAN, LEAST_OF_MOST, altered, main_tracks
from pipeline.tables import schemas


def videos_table(specs):
    """Columns of ``videos`` that count, from (video_id, dataset, split, label) tuples."""
    ids, datasets, splits, labels = zip(*specs, strict=True) if specs else ((), (), (), ())
    return pa.table(
        {
            "video_id": pa.array(ids, pa.string()),
            "dataset": pa.array(datasets, pa.string()),
            "split": pa.array(splits, pa.string()),
            "label": pa.array(labels, pa.int8()),
            "method": pa.array([one.split("/")[1] for one in ids], pa.string()),
        }
    )


def faces_table(counts, ranks=1):
    """Faces of each video: one per second and rank."""
    rows = [
        (f"{video}/{sample:05d}-{rank}", video, sample, rank)
        for video, count in counts.items()
        for sample in range(count)
        for rank in range(ranks)
    ]
    ids, of_video, sample, rank = zip(*rows, strict=True) if rows else ((), (), (), ())
    return pa.table(
        {
            "face_id": pa.array(ids, pa.string()),
            "video_id": pa.array(of_video, pa.string()),
            "sample": pa.array(sample, pa.int32()),
            "rank": pa.array(rank, pa.int16()),
        }
    )


def world(real, fake, split="train", dataset="d"):
    """A dataset with these face counts per real and fake video."""
    counts = {f"{dataset}/real/r{i:04d}": n for i, n in enumerate(real)}
    counts |= {f"{dataset}/fake/f{i:04d}": n for i, n in enumerate(fake)}
    specs = [(video, dataset, split, int("/fake/" in video)) for video in counts]
    return specs, counts


def run(specs, counts, seed=0, ranks=1, **params):
    return done(videos_table(specs), faces_table(counts, ranks), BalanceParams(**params), seed)


Done = namedtuple("Done", ("samples", "metrics"))


def done(videos, faces, params, seed=0):
    """Samples as one table, and metrics; balance sees what it asks for and no more."""
    asked = faces.select(columns(params))
    found = balance(videos, asked, params, seed)
    ids = faces.column("face_id")
    parts = list(found.samples([ids.slice(0, 7), ids.slice(7)]))
    for part in parts:
        tables.check("samples", part)
    return Done(pa.concat_tables(parts), found.metrics)


def per_video(samples):
    return Counter(face.rsplit("/", 1)[0] for face in samples.column("face_id").to_pylist())


def test_paper_table_1():
    # FF++: 720 real and 3600 fake train videos of about 17 s; "12K" reals = 720 x 17.
    specs, counts = world([17] * 720, [17] * 3600)
    found = run(specs, counts)
    assert found.metrics["train_real"] == found.metrics["train_fake"] == 12_240
    assert found.metrics["train_fake_per_real"] == 1.0
    assert found.metrics["left_out"] == 720 * 17 + 3600 * 17 - 2 * 12_240
    quotas = Counter(n for video, n in per_video(found.samples).items() if "/fake/" in video)
    # 12 240 / 3600 = 3.4: two of five videos give 4, the others 3.
    assert quotas == {3: 2160, 4: 1440}


def test_more_videos_than_faces_keep_one_each():
    specs, counts = world([2], [5] * 10)
    found = run(specs, counts)
    assert per_video(found.samples) == {"d/real/r0000": 2} | {
        f"d/fake/f{i:04d}": 1 for i in range(10)
    }
    assert found.metrics["train_fake_per_real"] == 5.0


def test_the_smaller_class_is_taken_whole_whichever_it_is():
    specs, counts = world([9, 9, 9], [1, 4])
    found = run(specs, counts)
    assert (found.metrics["train_real"], found.metrics["train_fake"]) == (5, 5)
    assert per_video(found.samples)["d/fake/f0001"] == 4


def test_scope_decides_where_it_is_equal():
    one, counts_one = world([4], [40], dataset="one")
    two, counts_two = world([30], [10], dataset="two")
    specs, counts = one + two, counts_one | counts_two
    m = run(specs, counts, scope="dataset").metrics
    assert [m[f"{d}_train_{c}"] for d in ("one", "two") for c in ("real", "fake")] == [4, 4, 10, 10]
    m = run(specs, counts, scope="all").metrics
    assert (m["train_real"], m["train_fake"]) == (34, 34)
    assert (m["one_train_fake"], m["two_train_fake"]) == (24, 10)


def test_val_and_test_are_whole_by_default():
    specs, counts = [], {}
    for split in fields.SPLITS:
        s, c = world([2], [20], split=split, dataset=f"d_{split}")
        specs, counts = specs + s, counts | c
    m = run(specs, counts).metrics
    assert [m[f"{split}_fake"] for split in fields.SPLITS] == [2, 20, 20]
    m = run(specs, counts, train="all", val="balanced").metrics
    assert [m[f"{split}_fake"] for split in fields.SPLITS] == [20, 2, 20]


def test_largest_only():
    specs, counts = world([3], [3])
    found = run(specs, counts, ranks=2, choose="largest")
    assert all(face.endswith("-0") for face in found.samples.column("face_id").to_pylist())
    assert (found.metrics["inputs"], found.metrics["outputs"]) == (12, 6)
    assert run(specs, counts, ranks=2).metrics["outputs"] == 12


def detailed(rows):
    """One video per class, d/real/r and d/fake/f, each with these faces."""
    specs = [("d/real/r", "d", "train", 0), ("d/fake/f", "d", "train", 1)]
    columns = ("sample", "rank", "track", "track_share", "face_px", "score", "padded", "sharpness")
    columns += ("altered",)
    neutral = {"rank": 0, "track": 0, "track_share": 1.0, "face_px": 50.0, "score": 0.9}
    neutral |= {"padded": 0.0, "sharpness": 100.0, "altered": -1.0}
    made = [
        neutral
        | {"video_id": video, "face_id": f"{video}/{row['sample']:05d}-{row.get('rank', 0)}"}
        | row
        for video, *_ in specs
        for row in rows
    ]
    schema = schemas.schema("faces")
    names = ("face_id", "video_id", *columns)
    return specs, pa.table({n: pa.array([m[n] for m in made], schema.field(n).type) for n in names})


def kept(rows, **params):
    """Places of the rows that become samples, and how many each rule leaves out, per video."""
    specs, faces = detailed(rows)
    found = done(videos_table(specs), faces, BalanceParams(train="all", **params))
    chosen = set(found.samples.column("face_id").to_pylist())
    ids = faces.column("face_id").to_pylist()[: len(rows)]
    reasons = {
        name.removeprefix("left_out_"): count // 2
        for name, count in found.metrics.items()
        if name.startswith("left_out_") and count
    }
    assert sum(reasons.values()) * 2 == found.metrics["left_out"]
    return [place for place, face in enumerate(ids) if face in chosen], reasons


def test_filters_count_what_they_leave_out():
    rows = [
        {"sample": 0},
        {"sample": 1, "score": 0.6999},
        {"sample": 2, "score": 0.7},  # as a 32-bit number a little below 0.7
        {"sample": 3, "score": -1.0},  # has none
        {"sample": 4, "face_px": 31.9375},
        {"sample": 5, "face_px": 31.9375, "score": 0.1},
        {"sample": 6, "padded": 0.2001},
        {"sample": 7, "padded": 0.2},
        {"sample": 8, "sharpness": 9.99},
    ]
    limits = {"min_score": 0.7, "min_face_px": 32.0, "max_padded": 0.2, "min_sharpness": 10.0}
    assert kept(rows, **limits) == (
        [0, 2, 3, 7],
        {"min_score": 2, "min_face_px": 1, "max_padded": 1, "min_sharpness": 1},
    )
    assert kept(rows) == (list(range(9)), {})


def test_the_largest_of_what_passed():
    rows = [{"sample": s, "rank": r, "score": 0.5 + r / 10} for s in range(2) for r in range(3)]
    assert kept(rows, choose="largest") == ([0, 3], {"choose": 4})
    assert kept(rows, choose="largest", min_score=0.6) == ([1, 4], {"min_score": 2, "choose": 2})
    assert kept(rows, choose="largest_n", largest_n=2) == ([0, 1, 3, 4], {"choose": 2})


def test_the_person_seen_most():
    rows = [
        {"sample": 0, "rank": 0, "track": 0, "track_share": 0.25, "face_px": 90.0},
        {"sample": 0, "rank": 1, "track": 1, "track_share": 0.5, "face_px": 20.0},
        {"sample": 1, "rank": 0, "track": 2, "track_share": 0.5, "face_px": 30.0},
        {"sample": 1, "rank": 1, "track": 1, "track_share": 0.5, "face_px": 20.0},
        {"sample": 2, "rank": 0, "track": 2, "track_share": 0.5, "face_px": 30.0},
    ]
    assert kept(rows, choose="main_track") == ([2, 4], {"choose": 3})
    # Of equally many and equally large ones, the earlier.
    level = [row | {"face_px": 20.0} for row in rows]
    assert kept(level, choose="main_track")[0] == [1, 3]
    assert kept(rows, choose="min_track", min_track=0.5)[0] == [1, 2, 3, 4]
    assert kept(rows, choose="min_track", min_track=0.51) == ([], {"choose": 5})


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 9)), min_size=1))
def test_main_tracks_are_those_of_a_plain_count(rows):
    video, track, face_px = (np.array(column) for column in zip(*rows, strict=True))
    seen = Counter(zip(video.tolist(), track.tolist(), strict=True))
    size = Counter()
    for v, t, px in rows:
        size[v, t] += px
    share = np.array([seen[v, t] / len(rows) for v, t, _ in rows])
    best = {
        v: max((t for w, t in seen if w == v), key=lambda t: (seen[v, t], size[v, t], -t))
        for v, _ in seen
    }
    chosen = main_tracks(video, track, share, face_px.astype(float))
    assert chosen.tolist() == [best[v] == t for v, t, _ in rows]


def test_the_person_altered_most_and_whoever_is_altered_enough():
    rows = [
        {"sample": 0, "rank": 0, "track": 0, "altered": 0.02},
        {"sample": 0, "rank": 1, "track": 1, "altered": 0.03},
        {"sample": 1, "rank": 0, "track": 0, "altered": 0.03},
        {"sample": 1, "rank": 1, "track": 1, "altered": 0.04},
        {"sample": 2, "rank": 0, "track": 0, "altered": 0.3},
        {"sample": 2, "rank": 1, "track": 1, "altered": 0.5},
        {"sample": 3, "rank": 0, "track": 0, "altered": -1.0},
        {"sample": 3, "rank": 1, "track": 1, "altered": -1.0},
        {"sample": 3, "rank": 2, "track": 2, "altered": -1.0},
    ]
    assert kept(rows, choose="altered", min_altered=0.4) == ([1, 3, 5, 7], {"choose": 5})
    assert kept(rows, choose="altered", min_altered=0.2)[0] == [1, 3, 4, 5, 7]
    assert kept(rows, choose="altered", min_altered=0.1)[0] == list(range(8))
    unknown = [row | {"altered": -1.0} for row in rows]
    assert kept(unknown, choose="altered")[0] == list(range(9))
    untouched = [row | {"altered": LEAST_MEAN / 2} for row in rows]
    assert kept(untouched, choose="altered") == ([], {"choose": 9})


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.sampled_from([-1, 0, 1, 2, 8, 64])),
        min_size=1,
    ),
    st.sampled_from([0.01, 0.1, 1.0]),
)
def test_altered_faces_are_those_of_a_plain_walk(rows, least):
    rows = [(v, t, share / 64 if share > 0 else share) for v, t, share in rows]
    known = {(v, t): [s for w, u, s in rows if (w, u) == (v, t) and s >= 0] for v, t, _ in rows}
    mean = {who: sum(shares) / len(shares) for who, shares in known.items() if shares}
    best = {
        v: max((who for who in mean if who[0] == v), key=lambda who: (mean[who], -who[1]))
        for v, _ in mean
    }
    wanted = []
    for v, t, share in rows:
        top = best.get(v) == (v, t) and mean[v, t] >= LEAST_MEAN
        enough = max(least, LEAST_OF_MOST * mean[best[v]]) if v in best else 0
        wanted.append(v not in best or top or mean.get((v, t), -1) >= enough or share >= enough)
    video, track, share = (np.array(column) for column in zip(*rows, strict=True))
    assert altered(video, track, share.astype(float), least).tolist() == wanted


def test_every_split_chooses_for_itself():
    specs, counts = [], {}
    for split in fields.SPLITS:
        s, c = world([2], [2], split=split, dataset=f"d_{split}")
        specs, counts = specs + s, counts | c
    m = run(specs, counts, ranks=3, per_split={"test": {"choose": "largest"}}).metrics
    assert [m[f"{split}_fake"] for split in fields.SPLITS] == [6, 6, 2]
    assert m["left_out_choose"] == m["left_out"] == 8


def test_a_class_that_is_absent():
    specs, counts = world([], [3, 3], dataset="wild")
    with pytest.raises(UserError, match=r"Dataset wild has fake but no real .*train.*scope: all"):
        run(specs, counts)
    with pytest.raises(UserError, match=r"All data together has fake but no real .*train: all"):
        run(specs, counts, scope="all")
    assert run(specs, counts, train="all").metrics["train_fake"] == 6
    reals, real_counts = world([5], [], dataset="other")
    m = run(specs + reals, counts | real_counts, scope="all").metrics
    assert (m["train_real"], m["train_fake"]) == (5, 5)


def test_a_class_whose_videos_have_no_face_is_absent():
    specs, counts = world([0, 0], [3])
    with pytest.raises(UserError, match="Dataset d has fake but no real"):
        run(specs, counts)


def test_empty_splits_are_fine():
    specs, counts = world([2], [2], split="test")
    found = run(specs, counts)
    assert (found.metrics["outputs"], found.metrics["train_real"]) == (4, 0)
    nothing = run([], {})
    assert nothing.samples.num_rows == nothing.metrics["inputs"] == 0


def test_a_face_of_no_video():
    with pytest.raises(UserError, match=r"videos\.parquet lacks d/real/x, which another table"):
        run([], {"d/real/x": 1})


some_counts = st.lists(st.integers(1, 40), min_size=1, max_size=12)


@settings(deadline=None)
@given(some_counts, some_counts, st.integers(0, 3), st.randoms(use_true_random=False))
def test_the_whole(real, fake, seed, random):
    specs, counts = world(real, fake)
    found = run(specs, counts, seed)
    samples, m = found.samples, found.metrics
    chosen = per_video(samples)

    assert m["inputs"] == m["outputs"] + m["rejects"] + m["left_out"]
    assert set(chosen) == set(counts), "at least one face per video"
    smaller = min(sum(real), sum(fake))
    larger_videos = len(real) if sum(real) > sum(fake) else len(fake)
    wanted = max(smaller, larger_videos) if sum(real) != sum(fake) else smaller
    assert sorted((m["train_real"], m["train_fake"])) == [smaller, wanted]
    quota = dict(
        zip(samples.column("face_id").to_pylist(), samples.column("quota").to_pylist(), strict=True)
    )
    assert all(chosen[face.rsplit("/", 1)[0]] == n for face, n in quota.items())

    weight = samples.column("weight").to_numpy().astype(float)
    label = samples.column("label").to_numpy()
    assert weight.mean() == pytest.approx(1, rel=1e-5)
    assert weight[label == 0].sum() == pytest.approx(weight[label == 1].sum(), rel=1e-5)
    for one, number in ((0, len(real)), (1, len(fake))):
        of_video = Counter()
        for face, w, lab in zip(samples.column("face_id").to_pylist(), weight, label, strict=True):
            if lab == one:
                of_video[face.rsplit("/", 1)[0]] += w
        assert list(of_video.values()) == pytest.approx(
            [len(weight) / 2 / number] * number, rel=1e-5
        )

    # The order of the rows changes the order of the samples, never the choice.
    faces = faces_table(counts)
    order = list(range(faces.num_rows))
    random.shuffle(order)
    random.shuffle(specs)
    again = done(videos_table(specs), faces.take(pa.array(order)), BalanceParams(), seed)
    assert again.samples.sort_by("face_id") == samples.sort_by("face_id")
    assert again.metrics == m
    kept = set(samples.column("face_id").to_pylist())
    shuffled = faces.take(pa.array(order)).column("face_id").to_pylist()
    assert again.samples.column("face_id").to_pylist() == [f for f in shuffled if f in kept]


def test_the_seed_moves_the_remainder_only():
    specs, counts = world([17], [17] * 10)
    picks = [per_video(run(specs, counts, seed).samples) for seed in range(8)]
    assert {frozenset(Counter(p.values()).items()) for p in picks} == {
        frozenset({(17, 1), (2, 7), (1, 3)})
    }
    assert len({frozenset(p.items()) for p in picks}) > 1


def test_one_more_video_moves_few_faces():
    specs, counts = world([17] * 20, [17] * 100)
    before = set(run(specs, counts).samples.column("face_id").to_pylist())
    specs, counts = world([17] * 20, [17] * 101)
    after = set(run(specs, counts).samples.column("face_id").to_pylist())
    new = {face for face in after if face.startswith("d/fake/f0100/")}
    assert after - before == new
    assert len(before - after) == len(new)


def test_a_million_faces_take_seconds():
    n_videos, per = 50_000, 20
    video = np.repeat(np.arange(n_videos), per)
    ids = np.array([f"d/{'fake' if i % 6 else 'real'}/{i:06d}" for i in range(n_videos)])
    faces = pa.table(
        {
            "face_id": pa.array([f"{i}" for i in range(n_videos * per)]),
            "video_id": pa.array(ids).take(pa.array(video)),
            "sample": pa.array(np.tile(np.arange(per), n_videos), pa.int32()),
            "rank": pa.array(np.zeros(n_videos * per), pa.int16()),
        }
    )
    specs = [(one, "d", "train", int(i % 6 > 0)) for i, one in enumerate(ids.tolist())]
    videos = videos_table(specs)
    start = time.perf_counter()
    found = balance(videos, faces, BalanceParams(), 0)
    elapsed_s = time.perf_counter() - start
    assert found.metrics["train_fake"] == found.metrics["train_real"]
    assert elapsed_s < 10, "a loose bound for a loaded machine; alone it takes about a second"


def numbers(found, dataset="d"):
    return tuple(found.metrics[f"{dataset}_train_{one}"] for one in ("real", "fake"))


def test_the_ratio_of_fakes_to_reals():
    specs, counts = world([10] * 4, [10] * 40)
    assert numbers(run(specs, counts, target_ratio=2.0)) == (40, 80)
    assert numbers(run(specs, counts, target_ratio=20.0)) == (20, 400)
    assert numbers(run(specs, counts, target_ratio=0.5)) == (40, 40), "one of each of 40 videos"


def test_faces_per_fake_video_in_place_of_the_ratio():
    one, counts_one = world([10] * 4, [10, 10, 2], dataset="one")
    two, counts_two = world([10] * 4, [30, 30], dataset="two")
    found = run(one + two, counts_one | counts_two, per_video={"one": 3}, target_ratio=0.5)
    assert numbers(found, "one") == (40, 8)
    assert numbers(found, "two") == (40, 20)
    assert per_video(found.samples)["one/fake/f0002"] == 2


def test_a_cap_on_every_video():
    specs, counts = world([50, 3], [9, 9, 9])
    found = run(specs, counts, cap_per_video=5)
    assert numbers(found) == (8, 8)
    taken = per_video(found.samples)
    assert (taken["d/real/r0000"], taken["d/real/r0001"]) == (5, 3)
    assert sorted(n for video, n in taken.items() if "/fake/" in video) == [2, 3, 3]


def test_a_largest_total_of_each_dataset():
    one, counts_one = world([10] * 4, [10] * 4, dataset="one")
    two, counts_two = world([1, 1], [1] * 3, dataset="two")
    found = run(one + two, counts_one | counts_two, max_total=31)
    assert numbers(found, "one") == (16, 15)
    assert numbers(found, "two") == (2, 3)
    found = run(one + two, counts_one | counts_two, max_total=31, scope="all")
    assert (found.metrics["train_real"], found.metrics["train_fake"]) == (16, 15)
    # At least one of each video comes first.
    assert numbers(run(one, counts_one, max_total=2), "one") == (4, 4)


def test_videos_of_a_heavier_method_give_more():
    specs, counts = world([12], [20] * 2)
    counts |= {"d/rare/x": 20}
    specs = [*specs, ("d/rare/x", "d", "train", 1)]
    found = per_video(run(specs, counts, method_weights={"rare": 4.0}).samples)
    assert (found["d/rare/x"], found["d/fake/f0000"], found["d/fake/f0001"]) == (8, 2, 2)
    found = per_video(run(specs, counts, method_weights={"rare": 0.001}).samples)
    assert found["d/rare/x"] == 1


options = st.fixed_dictionaries(
    {
        "target_ratio": st.sampled_from((0.3, 1.0, 2.5)),
        "cap_per_video": st.sampled_from((0, 1, 4, 9)),
        "max_total": st.sampled_from((0, 5, 20, 60)),
        "per_video": st.sampled_from(({}, {"d": 1}, {"d": 3})),
        "method_weights": st.sampled_from(({}, {"fake": 2.0}, {"g": 0.5})),
    }
)


@settings(deadline=None)
@given(some_counts, some_counts, some_counts, options)
def test_every_option_keeps_one_face_of_every_video_and_its_limits(real, fake, other, chosen):
    specs, counts = world(real, fake)
    counts |= {f"d/g/{i}": n for i, n in enumerate(other)}
    specs += [(f"d/g/{i}", "d", "train", 1) for i in range(len(other))]
    taken = per_video(run(specs, counts, **chosen).samples)
    assert set(taken) == set(counts)
    cap = chosen["cap_per_video"] or 99
    assert max(taken.values()) <= cap
    if chosen["max_total"]:
        assert sum(taken.values()) <= max(chosen["max_total"], len(real)) + len(fake + other)
    # Equal over the videos of a class and method: who has more to give gives one more at most.
    for method in ("real", "fake", "g"):
        mine = [(n, min(counts[v], cap)) for v, n in taken.items() if v.split("/")[1] == method]
        least = [n for n, available in mine if n < available]
        assert not least or max(n for n, _ in mine) <= min(least) + 1


@settings(deadline=None)
@given(some_counts, some_counts, options, st.data())
def test_a_larger_limit_keeps_every_face(real, fake, chosen, data):
    specs, counts = world(real, fake)
    name = data.draw(st.sampled_from(("cap_per_video", "max_total", "per_video")))
    if name == "per_video":
        limits = [{"d": n} for n in sorted(data.draw(st.tuples(*[st.integers(1, 12)] * 2)))]
    else:
        limits = sorted(data.draw(st.tuples(*[st.integers(1, 120)] * 2)))
    if name != "max_total":
        # What is added must not take from others: by a total, or by weight where short videos end.
        chosen = chosen | {"max_total": 0}
    if name == "cap_per_video":
        chosen = chosen | {"method_weights": {}}
    few, many = (
        set(run(specs, counts, **chosen | {name: n}).samples["face_id"].to_pylist()) for n in limits
    )
    assert few <= many
