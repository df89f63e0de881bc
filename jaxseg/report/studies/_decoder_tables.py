"""Tables 2 to 5 of the decoder study with the paper's numbers, what its pretexts
learned, and the similarity of encoders.
"""

from collections.abc import Iterable, Mapping, Sequence

from jaxseg.report import gains, rows
from jaxseg.report import view as views
from jaxseg.report.absolute import Column, Table
from jaxseg.report.studies import _decoder_cells as cells
from jaxseg.report.studies import _decoder_claims as measures
from jaxseg.report.view import View

HEADS = ("scenario", "start")
EMBEDDED = "Measured on images that jaxseg draws; the paper's are photographs."
TABLE_2 = {  # Dice at 1, 5 and 20 % of Flowers 17, and of Pets
    "random": (79.1, 89.4, 94.3, 71.7, 84.2, 88.2),
    "SimCLR": (77.7, 88.8, 94.1, 79.2, 85.1, 88.2),
    "Reconstruction": (84.4, 91.8, 95.0, 80.5, 86.8, 89.6),
    "ConRec": (85.7, 92.2, 95.3, 83.1, 87.5, 90.0),
    "Reconstruction-EncOnly": (84.6, 92.0, 95.0, 81.2, 86.9, 89.5),
    "ConRec-EncOnly": (84.7, 92.1, 95.3, 83.3, 87.2, 89.8),
}
TABLE_4 = {  # on bus and airplane
    "random": (75.0, 65.8),
    "SimCLR": (74.5, 68.3),
    "Classification": (77.6, 68.3),
    "Reconstruction": (76.6, 68.7),
    "Segmentation": (82.3, 71.0),
    "ConRec": (76.9, 70.6),
    "Reconstruction-EncOnly": (76.4, 68.2),
    "Segmentation-EncOnly": (82.0, 70.2),
    "ConRec-EncOnly": (77.3, 70.9),
}
TABLE_5 = {  # on cat and horse
    "random": (74.2, 65.0),
    "Classification": (76.0, 70.1),
    "Segmentation": (83.2, 79.0),
    "Segmentation-EncOnly": (82.3, 77.7),
}
# {setting: (title, {start: numbers}, targets in their order)}.
PRINTED = {
    "cars": ("Table 4: encoders of streets", TABLE_4, ("bus", "airplane")),
    "dogs": ("Table 5: encoders of dogs", TABLE_5, ("cat", "horse")),
    "underwater": ("Table 3: a stand-in on another domain", {}, ()),
    cells.SIMILARITY: ("The seven encoders of Fig. 7 on two targets", {}, ()),
    "own": ("Your own sets", {}, ()),
}
STAND_IN = (
    "Not reproduced: the paper's Table 3 is Models Genesis on lung nodules in volumes "
    "(Dice 71.54 from random weights, 75.20 with a random decoder, 75.10 with both). "
    "This is a stand-in with the same three arms in two dimensions."
)
PETS = "The paper prints 74, 368 and 1475 of 7375 pets; the set has 7349."


def tables(view: View) -> list[Table]:
    """Those with a measured value."""
    made = [_2(view), *(_one(view, setting) for setting in PRINTED)]
    made += [_pretexts(view), _probes(view), _similarity(view), _gains(view)]
    return [table for table in made if table.measured]


def _2(view: View) -> Table:
    targets = list(dict.fromkeys(t for _, t in cells.places(view, cells.LABELS)))
    names = {
        (setting, target): f"{target} {setting}"
        for target in targets
        for setting in cells.LABELS
    }
    order = [(s, t) for t in ("flowers", "pets") for s in cells.LABELS]
    title = "Table 2: few labels of images that encoders have seen"
    notes = (PETS,) if "pets" in targets else ()
    return _table(view, title, names, TABLE_2, order, notes)


def _one(view: View, setting: str) -> Table:
    title, printed, order = PRINTED[setting]
    names = {place: place[1] for place in cells.places(view, (setting,))}
    notes = (STAND_IN,) if setting == "underwater" else ()
    return _table(view, title, names, printed, [(setting, t) for t in order], notes)


def _table(
    view: View,
    title: str,
    names: Mapping[tuple[str, str], str],
    printed: Mapping[str, Sequence[float]],
    order: Sequence[tuple[str, str]],
    notes: Iterable[str],
) -> Table:
    """Dice by start; names: {(setting, target): column}; order: that of the printed
    numbers of a start.
    """
    here = [cell for cell in cells.cells(view) if cell[:2] in names]
    starts = sorted(
        dict.fromkeys((cells.scenario(start, s), start) for s, _, start in here),
        key=lambda line: line[0],
    )
    runs = {
        ((cells.scenario(cell[2], cell[0]), cell[2]), names[cell[:2]]): (
            cell,
            cells.runs(view, cell),
        )
        for cell in here
    }
    lost = dict.fromkeys(
        cells.not_learned(view, *source)
        for cell, _ in runs.values()
        if (source := cells.source_of(view, cell))
    )
    paper = {
        ((cells.scenario(start), start), names[place]): number
        for start, numbers in printed.items()
        for place, number in zip(order, numbers)
        if place in names and (cells.scenario(start), start) in starts
    }
    planned = [row for row in view.cells if (row["setting"], row["target"]) in names]
    drawn = any(rows.embedded(row["target_dataset"]) for row in planned)
    notes = [*notes, *(f"Pretext not learned: {why}." for why in lost if why)]
    return Table(
        view.study.name,
        title,
        HEADS,
        starts,
        [Column(name) for name in names.values()],
        {
            place: [100 * r["value"] for r in found]
            for place, (_, found) in runs.items()
        },
        paper,
        ["Dice in per cent, mean over images.", *notes, *[EMBEDDED] * drawn],
        marked={
            place
            for place, (_, found) in runs.items()
            if any(map(gains.learned_nothing, found))
        },
    )


def _pretexts(view: View) -> Table:
    """Which pretexts were learned."""
    lines, values = [], {}
    for source, name in cells.pretexts(view):
        verdict = "no" if cells.not_learned(view, source, name) else "yes"
        line = (source, name, verdict)
        lines.append(line)
        for column, lead in (
            ("linear probe, points", cells.probed(view, source, name)),
            ("reconstruction, %", cells.rebuilt(view, source, name)),
        ):
            values[line, column] = [] if lead is None else [lead.mean]
            values[line, f"{column}: lower end"] = (
                [] if lead is None or lead.low is None else [lead.low]
            )
        scores = views.where(view.results, role="source", target=f"{source}, {name}")
        values[line, "own score"] = [100 * row["value"] for row in scores]
    columns = [
        "linear probe, points",
        "linear probe, points: lower end",
        "reconstruction, %",
        "reconstruction, %: lower end",
        "own score",
    ]
    notes = (
        "Linear probe: accuracy of a linear classifier on the frozen encoder, minus "
        "that on random encoders. Reconstruction: by how much the squared error of the "
        "whole image is below that of its set's mean colour. Lower ends are of 95 % "
        "intervals.",
        "Learned: the lower ends of the probe (SimCLR, ConRec) and of the "
        "reconstruction (Reconstruction, ConRec) are above 0; with labels, the own "
        "score (accuracy, or Dice on held-out images) beats a constant answer.",
    )
    return Table(
        view.study.name,
        "What the pretexts learned",
        ("images", "pretext", "learned"),
        lines,
        [
            Column(name, "{:+.1f}" if name != "own score" else "{:.1f}")
            for name in columns
        ],
        values,
        notes=notes,
        over="trainings",
    )


def _probes(view: View) -> Table:
    """Accuracies of the linear probes."""
    planned = views.where(view.cells, setting="probe")
    sources = list(dict.fromkeys(row["target"] for row in planned))
    starts = list(dict.fromkeys(row["source"] for row in planned))
    return Table(
        view.study.name,
        "Linear probes",
        ("encoder",),
        [(start,) for start in starts],
        [Column(source) for source in sources],
        {
            ((start,), source): cells.probes(view, source, start)
            for start in starts
            for source in sources
        },
        notes=("Accuracy in per cent. Each random encoder has weights of its own.",),
    )


def _similarity(view: View) -> Table:
    """CKA of all pairs, with and without bias."""
    both = {key: measures.similarities(view, key) for key in ("value", "biased")}
    pairs = list(dict.fromkeys(tuple(sorted(p)) for p in both["value"] if p[0] != p[1]))
    return Table(
        view.study.name,
        "Fig. 7 in numbers: CKA of encoders",
        ("encoder", "other"),
        pairs,
        [Column("CKA", "{:.3f}"), Column("biased", "{:.3f}")],
        {
            (pair, column): [both[key][pair]]
            for pair in pairs
            for column, key in (("CKA", "value"), ("biased", "biased"))
        },
        notes=("Biased: the usual estimate, which grows with the number of features.",),
    )


def _gains(view: View) -> Table:
    """Similarity to the best encoder of a target, and gain (D7)."""
    found, _ = measures.explained(view)
    values = {
        ((target, name), column): [number]
        for target, points in found.items()
        for name, pair in points.items()
        for column, number in zip(("CKA to the best", "gain, points"), pair)
    }
    lines = list(dict.fromkeys(line for line, _ in values))
    return Table(
        view.study.name,
        "Similarity and gain (D7)",
        ("target", "encoder"),
        lines,
        [Column("CKA to the best", "{:.3f}"), Column("gain, points", "{:+.2f}")],
        values,
        notes=(
            "Gain: Dice minus that of random weights, mean over seeds. The best "
            "encoder of a target is not in its rows.",
        ),
    )
