"""Curves of changed faces."""

from pipeline.report.robustness import robustness_charts


def numbers(auc: float, one_class: int = 0) -> dict[str, dict[str, float]]:
    about = {"one_class": one_class}
    return {
        "overall": about
        | ({} if one_class else {"video_auc": auc, "video_balanced_accuracy": auc / 2})
    }


def test_a_line_per_change_by_strength() -> None:
    found = {
        "jpeg": {str(s): numbers(1 - s / 10) for s in range(6)},
        "noise": {"0": numbers(1), "5": numbers(0.25)},
    }
    auc, accuracy = robustness_charts(found)
    assert auc.words == "jpeg 1 to 0.5; noise 1 to 0.25"
    assert (auc.x_ticks[0].text, [len(line.points) for line in auc.lines]) == ("0", [6, 2])
    assert accuracy.words == "jpeg 0.5 to 0.25; noise 0.5 to 0.125"


def test_nothing_to_draw() -> None:
    assert robustness_charts({}) == ()
    assert robustness_charts({"jpeg": {"0": numbers(0, one_class=1)}}) == ()
