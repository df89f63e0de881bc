import re

import pytest

from jaxseg.report import figures, gains, heatmap, rows, tables, texts, workdir
from tests.report import workdirs


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    """Two targets, three sources and the random start; one cell failed, one pending."""
    made = workdirs.Workdir(tmp_path_factory.mktemp("grid"))
    for seed in (0, 1):
        night = lambda source, domain="driving", seed=seed: workdirs.target(
            "night", source, seed, source_domain=domain
        )
        made.cell(night("websearch", "websearch"), 0.3)
        made.cell(night("driving_day"), 0.4 + 0.001 * seed)
        made.cell(night("street_scenes", "consumer"), 0.3 + 0.03 * seed)
        made.cell(night("random", ""), 0.2)
    made.failed("x", [workdirs.target("night", "reef", source_domain="underwater")])
    made.stage("y", [workdirs.target("rooms", "driving_day", 0, "indoor")])
    (study,) = workdir.load(made.plan())
    found = gains.gains(rows.results(study))
    (grid,) = tables.grids(found, rows.planned(study))
    return grid


def test_axes_are_grouped_by_domain_as_table_4a(grid):
    assert [t.name for t in grid.targets] == ["night", "rooms"]
    assert [s.name for s in grid.sources] == [
        "street_scenes",
        "driving_day",
        "reef",
        "random",
    ]
    assert tables.blocks(grid.sources)[0] == ("consumer", 0, 1)
    assert [row["source"] for row in grid.rows()] == [
        "street_scenes",
        "driving_day",
        "random",
    ]


def test_holes_say_why(grid):
    night, rooms = grid.targets
    holes = {(t.name, s.name): status for (t, s), status in grid.holes.items()}
    assert holes == {("night", "reef"): "failed", ("rooms", "driving_day"): "pending"}
    assert grid.baselines[night] == 0.3 and rooms not in grid.baselines


def test_within_a_domain_the_larger_comes_first():
    small, large = (
        tables.Axis("a", "driving", (10,)),
        tables.Axis("b", "driving", (90,)),
    )
    assert sorted([small, large], key=tables._order) == [large, small]


def test_a_target_at_two_resolutions_is_two_rows(tmp_path):
    made = workdirs.Workdir(tmp_path)
    for size in ("64x64", "96x96"):
        for source, value in (("websearch", 0.2), ("day", 0.3)):
            label = workdirs.target("night", source, resolution=size)
            made.done(source + size, value, [label])
    (study,) = workdir.load(made.plan())
    found = gains.gains(rows.results(study))
    (grid,) = tables.grids(found, rows.planned(study))
    assert [target.detail for target in grid.targets] == ["64x64", "96x96"]
    assert len(grid.cells) == 2 and not grid.holes


def test_real_sets_are_marked_among_embedded_ones(tmp_path):
    made = workdirs.Workdir(tmp_path)
    for name, dataset in (("night", "worlds/night"), ("camvid", "camvid/11")):
        for source, value in (("websearch", 0.2), ("day", 0.3)):
            label = workdirs.target(name, source, target_dataset=dataset)
            made.done(source + name, value, [label])
    (study,) = workdir.load(made.plan())
    found = gains.gains(rows.results(study))
    (grid,) = tables.grids(found, rows.planned(study))
    assert [target.label for target in grid.targets] == ["camvid (real)", "night"]
    assert "camvid (real)" in texts.terminal(grid) + heatmap.heatmap(grid)


def test_markdown(grid):
    title, table, legend = texts.markdown(grid).split("\n\n")[:3]
    assert title == f"## {grid.title}"
    assert legend == (
        "% better than websearch (mIoU) [95 % interval]; * it leaves out 0"
    )
    lines = table.splitlines()
    assert lines[0] == (
        "| domain | target | websearch | street_scenes | driving_day | reef | random |"
    )
    shown = re.sub(r"\[[-+]\d+, [-+]\d+\]", "[,]", lines[3])
    assert shown == (
        "| driving | night | 0.300 | +4.9 [,] | +33.5 [,]* | (failed) | -33.3 [,]* |"
    )
    assert len({line.count("|") for line in lines}) == 1


def test_latex(grid):
    text = texts.latex(grid)
    assert r"\textbf{+33.5 [" in text and r"street\_scenes" in text
    assert r"\begin{tabular}{llrrrrr}" in text and text.count(r"\addlinespace") == 1
    assert text.startswith(f"% {grid.title}\n% % better than websearch")
    assert "[95 % interval]; bold: it leaves out 0" in text


def test_terminal_fits_its_width(grid):
    text = texts.terminal(grid, 60)
    table = text.split("\n\n", 1)[1]
    assert max(map(len, table.splitlines())) <= 60
    assert "+33.5 [" in text and "(failed)" in text and text.count("night") == 4
    assert texts.terminal(grid, 200).count("night") == 1


def test_heatmap_holds_every_number(grid):
    svg = heatmap.heatmap(grid)
    assert svg.startswith("<svg") and svg == heatmap.heatmap(grid)
    for text in (">+33.5<", ">failed<", ">driving<", ">0.300<", ">pending<"):
        assert text in svg
    assert "driving_day → night: +33.5 % (95 % interval" in svg


def test_no_number_is_minus_zero_and_a_low_end_keeps_its_sign():
    assert figures.signed(-0.01) == "+0.0"
    row = {"gain": -0.01, "significant": False, "undecided": False}
    row |= {"gain_low": -0.4, "gain_high": 0.4}
    assert texts.number(row) == "+0.0 [-0.4, +0.4]"


def test_no_number_stands_without_its_interval_or_a_question_mark():
    row = {"gain": 12.3, "gain_low": None, "gain_high": None}
    row |= {"significant": False, "undecided": False}  # one seed
    assert texts.number(row) == "+12.3?"
    row |= {"gain_low": -900.0, "gain_high": 1234.5, "undecided": True}
    assert texts.number(row) == "+12.3?"
    row |= {"undecided": False}
    assert texts.number(row) == "+12.3 [-900, +1234]"
    row |= {"gain_low": 1.4, "gain_high": 20.0, "significant": True}
    assert texts.number(row) == "+12.3 [+1, +20]*"


def test_curves_stay_small_whatever_was_logged():
    points = [(step, 1 / (1 + step)) for step in range(20_000)]
    svg = figures.curves([("baseline", points), ("best", points[:3])], "loss")
    assert len(svg) < 60_000 and figures.CURVES["best"] in svg


def of(folder, *cells):
    """Grids of stages (name, label set, value, more); the study named factors."""
    made = workdirs.Workdir(folder)
    for name, label, value, more in cells:
        made.stage(name, [label]) if value is None else made.done(
            name, value, [label], **more
        )
    (study,) = workdir.load(made.plan())
    found = gains.gains(rows.results(study))
    return found, tables.grids(found, rows.planned(study))


def test_each_metric_has_a_table_and_each_protocol_a_row(tmp_path):
    cells = []
    for name, metric, protocol in (
        ("coco", "map", "COCO, AP 0.5 to 0.95"),
        ("voc", "ap50", "AP at 0.5, NMS 0.3"),
        ("voc", "ap50", "AP at 0.5, no NMS"),
    ):
        for source, value in (("websearch", 0.2), ("day", 0.3)):
            label = workdirs.target(name, source)
            more = {"metric": metric, "protocol": protocol}
            cells.append(
                (f"{protocol} {source}", label, value + len(cells) / 100, more)
            )
    found, grids = of(tmp_path, *cells)
    assert [grid.metric for grid in grids] == ["ap50", "map"]
    assert sum(len(grid.cells) for grid in grids) == len(found) == 3
    assert [t.heading for t in grids[0].targets] == ["voc [1]", "voc [2]"]
    text = texts.terminal(grids[0])
    assert "segmentation, small target set, hrnet/tiny, AP50" in text
    assert "[1] AP at 0.5, NMS 0.3\n[2] AP at 0.5, no NMS" in text
    assert "+46.8" not in text and "(AP50)" in text and text.count("voc [") == 2
    assert "protocol: COCO, AP 0.5 to 0.95" in texts.terminal(grids[1])
    assert "voc [2]" in heatmap.heatmap(grids[0])


def test_what_has_not_run_has_no_metric_and_waits_with_its_target(tmp_path):
    label = workdirs.target
    _, grids = of(
        tmp_path,
        ("a", label("coco", "websearch"), 0.2, {"metric": "map"}),
        ("b", label("coco", "day"), 0.3, {"metric": "map"}),
        ("c", label("voc", "websearch"), 0.2, {"metric": "ap50"}),
        ("d", label("voc", "day"), None, {}),
        ("e", label("dogs", "day"), None, {}),
    )
    held = {grid.metric: list(grid.holes.values()) for grid in grids}
    assert held == {"": ["pending"], "ap50": ["pending"], "map": []}


def test_one_baseline_is_printed_only_where_all_cells_share_their_seeds(tmp_path):
    cells = [
        (f"{source}{seed}", workdirs.target("night", source, seed), value, {})
        for source, seed, value in (
            ("websearch", 0, 0.2),
            ("websearch", 1, 0.4),
            ("day", 0, 0.3),
            ("day", 1, 0.5),
            ("reef", 1, 0.5),
        )
    ]
    found, (grid,) = of(tmp_path, *cells)
    by_source = {row["source"]: row["baseline"] for row in found}
    assert by_source == pytest.approx({"day": 0.08**0.5, "reef": 0.4})
    assert texts.texts(grid)[0][2] == "varies" and ">varies<" in heatmap.heatmap(grid)
    _, (grid,) = of(tmp_path / "b", *cells[:4])
    assert texts.texts(grid)[0][2] == "0.283"


def test_a_baseline_that_has_not_learned_is_grey_and_said_in_words(tmp_path):
    more = {"floor": 0.05, "metric": "ap50"}
    _, (grid,) = of(
        tmp_path,
        ("a", workdirs.target("dogs", "websearch"), 0.02, more),
        ("b", workdirs.target("dogs", "day"), 0.3, more),
        ("c", workdirs.target("cats", "websearch"), 0.3, more),
        ("d", workdirs.target("cats", "day"), 0.6, more),
    )
    text = texts.terminal(grid)
    assert "(not learned)" in text and "dogs: baseline not learned: 0.02" in text
    assert "+100.0" in text and "+1400" not in text
    svg = heatmap.heatmap(grid)
    assert "#dfe3e8" in svg and "day → dogs: not learned; AP50 0.3000" in svg


def test_long_words_do_not_run_into_each_other(tmp_path):
    cells = [("a", workdirs.target("dogs", "websearch", 1), 0.2, {})]
    names = ("day", "home")
    cells += [(n, workdirs.target("dogs", n), 0.3, {}) for n in names]
    _, (grid,) = of(tmp_path, *cells)
    assert " (no baseline) " in texts.terminal(grid)


def test_lower_is_better_is_said(tmp_path):
    more = {"metric": "rmse", "higher": False}
    _, (grid,) = of(
        tmp_path,
        ("a", workdirs.target("office", "websearch"), 0.5, more),
        ("b", workdirs.target("office", "day"), 0.4, more),
    )
    text = texts.terminal(grid)
    assert "% better than websearch (RMSE, lower is better)" in text and "+20.0" in text


def test_cells_of_other_numbers_of_images_stay_in_one_row(tmp_path):
    label = workdirs.target
    _, (grid,) = of(
        tmp_path,
        ("a", label("night", "websearch", target_images=24), 0.5, {}),
        ("b", label("night", "day", target_images=30), 0.6, {}),
        ("c", label("night", "fog", target_images=30, source_images=50), 0.6, {}),
        ("d", label("rooms", "websearch"), 0.5, {}),
        ("e", label("rooms", "fog", source_images=70), 0.6, {}),
        ("f", label("rooms", "day", target_images=99), None, {}),
    )
    headings = [target.heading for target in grid.targets]
    assert headings == ["rooms", "night (24, 30 images)"]
    labels = [source.label for source in grid.sources]
    assert labels == ["day", "fog (50, 70 images)"]
    assert len(grid.cells) == 3 and list(grid.holes.values()) == ["pending"]
    text = texts.terminal(grid)
    assert text.count("night (24, 30 images)") == 1 and "0.500" in text


def test_what_a_cell_alone_has_to_say_stands_below_the_grid(tmp_path):
    label = workdirs.target
    cells = [
        (f"{name}{seed}", label("coral", name, seed), value, {})
        for name, values in (
            ("websearch", [0.5, 0.6]),
            ("day", [0.0, 0.7]),
            ("fog", [0.0, 0.0]),
            ("reef", [0.0, 0.6]),
        )
        for seed, value in enumerate(values)
    ]
    _, (grid,) = of(tmp_path, *cells)
    lines = [line for line in grid.notes() if line.startswith("coral")]
    assert sorted(lines) == [
        "coral from day, coral from reef: undecided: scored 0 on 1 of 2 seeds",
        "coral from fog: learned nothing",
    ]
    assert all(f"- {line}\n" in texts.markdown(grid) for line in lines)


def test_tables_come_in_the_order_of_the_plan(tmp_path):
    kinds = ("segmentation", "small"), ("segmentation", "full"), ("depth", "small")
    cells = []
    for task, setting in kinds:
        for source in ("websearch", "day"):
            label = workdirs.target(task, source) | {"setting": setting}
            label |= {"target_task": task, "cell": f"{setting}/{task}/{source}"}
            cells.append((f"{setting} {task} {source}", label, 0.3, {}))
    _, grids = of(tmp_path, *cells)
    assert [(grid.task, grid.setting) for grid in grids] == list(kinds)
