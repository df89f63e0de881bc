"""What curves are drawn of."""

from jaxseg.report import pictures


def test_a_curve_is_of_one_evaluation():
    """Beside the one in between, all evaluations have a line of the last step."""
    lines = [
        {"kind": kind, "step": step, "split": split, "metrics": {"miou": value}}
        for kind, step, split, value in [
            ("train", 1, "", 0.9),
            ("evaluation", 1, "held_out", 0.1),
            ("evaluation", 2, "held_out", 0.2),
            ("evaluation", 2, "validation", 0.7),
        ]
    ]
    assert pictures.evaluated(lines, "miou") == [(1, 0.1), (2, 0.2)]
    assert pictures.evaluated(lines[:1], "miou") == []
