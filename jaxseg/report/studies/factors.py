"""Factors of influence (Mensink et al., 2021): claims A1 to A14, V1 to V4, Tables 7 to
11, Fig. 3. Gain tables 4 to 6 and their absolute twins are those of every study.

Section 6 of arXiv:2103.13318. Each finding has a fixed rule, which is printed beside
its verdict. Only gains that are sure and in the direction of the finding support it. A
finding is undecided where the intervals are too wide; with one seed there are none, and
the means decide. It is not measured where no row applies.

What this file reads beside gains, and configs/factors.py therefore writes:

  setting   "small", "full", "small_source"; names of targets and sources are the same
            in all of them, such as driving_day and driving_day@depth
  overlap   "part": the target was a part of the source, a multi-source model; "images":
            source and target are one data set with other labels
  domain_distance  a `measure` stage over sets of segmentation, called as in the columns
            target_dataset and source_dataset: Tables 9 and 10, Fig. 3a, A11 to A13
  task_features    `measure` stages, one for each set of images: Fig. 3b, c and A14
  role="source", source="random"   a source trained from random weights, beside the row
            of its training from the baseline

V1 to V3 compare a study with smaller ones of the same workdir; V3 and V4 read those
whose baseline is of the task "simclr", V4 also setting="probe": linear classifiers.
"""

from collections.abc import Callable

from jaxseg.report import claims
from jaxseg.report.studies import _factors_cells as cells
from jaxseg.report.studies import _factors_claims as measures
from jaxseg.report.studies import _factors_figures, _factors_tables
from jaxseg.report.studies import _factors_variants as variants
from jaxseg.report.studies import _factors_wide as wide

LEAD = "gains"
PAPER = "Mensink et al., arXiv 2103.13318"
PRINTED = {  # gain tables, and their absolute twins in appendix C
    ("small", "segmentation"): "Tables 4a, 4b, A.5a and A.6",
    ("small", "detection"): "Tables 4c and A.7a",
    ("small", "keypoints"): "Tables 4d and A.8a",
    ("small", "depth"): "Tables 4e and A.9",
    ("full", "segmentation"): "Tables 5a and A.5b",
    ("full", "detection"): "Tables 5b and A.7b",
    ("full", "keypoints"): "Tables 5c and A.8b",
    ("full", "depth"): "Tables 5d and A.9",
    ("small_source", "segmentation"): "Tables 6 and A.5c",
}
SMALL, BOTH = ("small",), ("small", "full")


def _claim(
    name: str,
    finding: str,
    paper: str,
    rule: str,
    measure: Callable[[cells.Rows], claims.Result],
    settings: tuple[str, ...],
) -> claims.Claim:
    """A finding on the gains of one setting."""
    of_gains = lambda view: measure(view.gains)
    return claims.Claim(name, finding, paper, rule, of_gains, settings)


HALF = (
    "held: at least half P with an interval that leaves out 0 (with one seed: by the "
    "mean); weakly: at least half P by the mean; undecided: at least half have P "
    "within their interval"
)
UNSURE = "; undecided: no interval behind it leaves out 0"
ALWAYS = (
    "held: {better} on every target, and surely on half{nothing}; weakly: {better} on "
    "half of the targets; undecided: sure on none, either way"
)
LARGER = (
    "held: P share from larger sources at least twice that from smaller; "
    "weakly: it is higher" + UNSURE
)
CLAIMS = (
    _claim(
        "A1",
        "The pretrained start always beats training from scratch.",
        "always; by 5 to 46 % with the full target set",
        ALWAYS.format(
            better="better", nothing=" (a random start that learned nothing is sure)"
        ),
        measures.a1,
        BOTH,
    ),
    _claim(
        "A2",
        "For most targets some source brings more than the pretraining alone.",
        "small targets 85 % (67 %), full targets 56 % (19 %)",
        HALF,
        measures.a2,
        BOTH,
    ),
    _claim(
        "A3",
        "The image domain strongly affects gains.",
        "within the task, small: within domain P/N 69/17 %, cross domain 14/55 %; "
        "full: 33/22 % and 8/43 %",
        "held: 95 % t interval over targets of (mean within - mean cross) above 0; "
        "weakly: the difference is positive; undecided: it is not, but its interval "
        "reaches above 0, or with one target no interval of its cells leaves out 0",
        measures.a3,
        BOTH,
    ),
    _claim(
        "A3-task",
        "The image domain matters more than the task type.",
        "within domain, cross task P/N 43/37 %; cross domain, within task 14/55 %; "
        "full: 22/39 % and 8/43 %",
        "held: more P and fewer N in the first; weakly: one of the two" + UNSURE,
        measures.a3_task,
        BOTH,
    ),
    _claim(
        "A4",
        "No driving or indoor source helps a consumer target.",
        "none is positive",
        "held: no pair has P within its interval (with one seed: by the mean); weakly: "
        "none is P by the mean; undecided: some are, none surely",
        measures.a4_into,
        SMALL,
    ),
    _claim(
        "A4-out",
        "Consumer sources include driving and indoor scenes and help such targets.",
        "positive transfer on driving and indoor (Table 4a)",
        f"{HALF}; weakly also: mean gain above 0",
        measures.a4_out,
        SMALL,
    ),
    _claim(
        "A5",
        "A multi-source model helps every target that was no part of it.",
        "above 0 on all 10 targets",
        "targets of its task type that were no part of it; "
        + ALWAYS.format(better="above 0", nothing=""),
        measures.a5,
        SMALL,
    ),
    _claim(
        "A5-largest",
        "The largest source of the target's domain beats the multi-source model.",
        "by more than 2 % on 7 of 10 targets; the reverse only on SUN RGB-D",
        "differences of gains by seed, on targets that were no part of it; held: above "
        "2 points on at least half of the targets by the interval (with one seed: by "
        "the mean); weakly: by the mean; undecided: at least half have intervals that "
        "reach above 2 points",
        measures.a5_largest,
        SMALL,
    ),
    _claim(
        "A6",
        "Transfer across task types helps within a domain, and not across domains.",
        "the best such source helps 65 % of targets; across domains P/N 5/79 %",
        f"two parts; within, of the best source: {HALF}; across: more N than P by the "
        f"mean{UNSURE}{claims.PARTLY}",
        measures.a6,
        SMALL,
    ),
    _claim(
        "A6-same",
        "On one data set a source of the target's task beats one of another.",
        "BDD and COCO as detection targets (Table 4c), of other sets of the domain",
        "sources that are one set with two kinds of labels, differences of gains by "
        "seed; " + claims.ABOVE + claims.ENDS.format(ends="ends below 2 points"),
        measures.a6_same,
        SMALL,
    ),
    _claim(
        "A7",
        "A source of the same domain and task type gives very positive transfer.",
        "69 % of pairs; best source 73 % (64 %) of targets; full: 33 % and 50 % (15 %)",
        HALF,
        measures.a7,
        BOTH,
    ),
    _claim(
        "A8",
        "Transfer flows from larger to smaller datasets (within domain and task).",
        "60 % positive from larger sources, 5 % from smaller",
        "size of the target: all images of its set, of which a small target has few; "
        "without multi-source models, which the printed shares leave out: 54 of 64 "
        "and 78 pairs are of one set. " + LARGER,
        measures.a8,
        BOTH,
    ),
    claims.Claim(
        "A9",
        "Effects are larger for small target sets than for full ones.",
        "80 % of full P are small P, 43 % the other way; no small N becomes P",
        "segmentation in both settings by the mean gain, as in Tables 4a and 5a, "
        "without targets that were a part of the source; held: at least half of full P "
        "are small P, a smaller share the other way, and no small N becomes P; weakly: "
        "most of these, or all that could be measured" + UNSURE,
        wide.a9,
    ),
    claims.Claim(
        "A10",
        "The patterns stay where all sources have few images.",
        "most patterns stay roughly the same (Table 6 against 4a)",
        "Kendall's tau of the gains from all images and from few, over the sources of "
        "each target that are two trainings; " + cells.OVER_TARGETS,
        wide.a10,
    ),
    claims.Claim(
        "A11",
        "Distance between sets of images predicts gains better than source size.",
        "Kendall's tau 0.40 of distance, 0.12 of source size, over all pairs",
        "segmentation, as in Table 9; tau(-distance, gain) - tau(source size, gain) "
        "over the sources of each target; " + cells.OVER_TARGETS,
        wide.a11,
        SMALL,
    ),
    claims.Claim(
        "A12",
        "The nearest set is of the own domain, and consumer images include others.",
        "Table 9; except vKITTI2, which is near to driving sets",
        "two parts; nearest other set of each set: held: within the domain for half, "
        "twice as often as by chance; weakly: more often than by chance. Mean distance "
        "of consumer sets to each driving or indoor set minus that of it to them; "
        + cells.OVER_TARGETS
        + claims.PARTLY,
        wide.a12,
    ),
    claims.Claim(
        "A13",
        "Of four assignments target to source predicts gains best.",
        "tau: one-to-one 0.20, target to source 0.42, source to target 0.06, mean of "
        "both 0.27 (Table 10)",
        "sources and targets of few images; three parts, the tau of target to source "
        "minus that of another, over the sources of each target; "
        + cells.OVER_TARGETS
        + claims.JOINT,
        wide.a13,
    ),
    claims.Claim(
        "A14",
        "Features cluster by the task type of the model rather than by image.",
        "Fig. 3b and c, by eye",
        "silhouettes (cosine distance) by model minus those by image, means for each "
        "image, intervals over images and not over trainings; count: models; "
        + claims.ABOVE
        + claims.ENDS.format(ends="ends at or below 0"),
        wide.a14,
    ),
    claims.Claim(
        "V1",
        "At one resolution for all sets the significant cells stay.",
        "88 % of them; mIoU -0.01 at 713 px",
        "sure P and N of segmentation, small targets (with one seed: P and N); held: "
        f"{variants.KEPT:.0f} % have a mean gain of the same side there; weakly: half; "
        "undecided: none is sure",
        variants.v1,
    ),
    claims.Claim(
        "V2",
        "ResNet-50 is worse, and more cells turn from N to P than back.",
        "mIoU -0.11; 13 % of N become P, 81 % alike, 69 % of gains stronger; from "
        "segmentation to detection 12 P for 6",
        "segmentation, small targets; two parts: ours minus its mean values of each "
        f"target; {cells.OVER_TARGETS}; by the mean gain more N become P than P become "
        f"N{UNSURE}{claims.PARTLY}",
        variants.v2,
    ),
    claims.Claim(
        "V3",
        "Pretraining without labels leaves the best sources as they are.",
        "in the best three on all targets with a positive source; pretraining alone: "
        "mIoU +0.01",
        f"segmentation, small targets with a positive source here: its best one is "
        f"among the best {variants.TOP} there, of more than {variants.TOP}; held: on "
        f"{variants.KEPT:.0f} % of the targets; weakly: on half; undecided: there is "
        "none",
        variants.v3,
    ),
    claims.Claim(
        "V4",
        "A second pretraining without labels, on another set, is worse.",
        "on all targets, mIoU -0.07 in the mean; accuracy of its linear probe +0.4",
        "segmentation, small targets; per cent that the chain is worse than its first "
        "part alone, by seed; "
        + claims.ABOVE
        + claims.ENDS.format(ends="ends below 0"),
        variants.v4,
    ),
)
tables, figures = _factors_tables.tables, _factors_figures.figures_of
