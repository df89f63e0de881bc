"""Chair Segments (Pinto-Alva et al., 2020): claims C1 to C9, Tables 1 to 5, Figs. 3-7.

What this file reads, and configs/chairs.py therefore writes:

Trainings, `train` (or `select`) stages. `headline="test"` with the metric
`iou_per_image`; `choose_by="validation"`, `keep="best"`, `patience` and `eval_every`
set: the validation IoU between steps is the curve of Fig. 6. Columns of a cell:

  role="target", seed=0, 1, ...
  variant   the model: "U-Net", "FCN-VGG-16", "FCN-ResNet-50" or "FCN-ResNet-101",
            whatever the size of its backbone (`backbone` is derived, as unet/small)
  setting   "composites" (section 5.2) or "objects" (section 5.3)
  target    "chairs/32", "chairs/64", "chairs/128", "chairs/256" of the composites;
            "car", "horse", "airplane" or any other name of a set of objects
  samples   (of the stage) 3 or more at seed 0: Figs. 3 to 5 are drawn from them
  source    "random", "chairs" or "scene_chairs" (COCO chairs' stand-in); composites
            start from "random"
  baseline  "random" of objects; no baseline of composites

The model P that objects start from is the composites' cell of target "chairs/64" with
the same model and seed 0. No random start of objects may begin with the weights that P
began with: the seeds of their stages differ from P's, whatever the column says. The
training on chairs in scenes has the columns role="source", target="scene_chairs",
variant (U-Net), source="random", seed=0.

Measurements, `measure` stages of U-Net. Their columns, beside what follows, have
role="measure", variant="U-Net", setting="objects" and the target:

  parameter_distance  one stage for each target, with the parents P, Ft0, Ft1, ...
            (fine-tuned from P, by seed) and Ri0, Ri1, ... (from random weights, by
            seed). Rows {a, b, layer, distance}: for each pair of parents (a, b are
            their roles) one with layer "total" and one for each prefix of paths.
  interpolation  a stage for each target and each pair of seeds (0, 1), (2, 3), ...,
            once of kind "Ft-Ft" and once of kind "Ri-Ri". Columns: pair (the kind) and
            seed (the first of the two). Rows {t, statistics, metric, value, loss,
            barrier}: t from 0 (a) to 1 (b); statistics "raw" or "re-estimated";
            metric "iou_per_image" on the test images; barrier: the maximum over t of
            the loss minus the straight line between its ends, the same in all rows of
            one kind of statistics.
  constant_predictor  one stage with the columns role="measure",
            setting="composites", target="chairs/64" and without parents: background for
            each pixel of the test images. Rows {metric, value}, of the names of
            `metrics.binary`.
"""

from jaxseg.report import claims
from jaxseg.report.studies import _chairs_claims as measures
from jaxseg.report.studies import _chairs_figures, _chairs_tables
from jaxseg.report.studies import _chairs_weights as weights

LEAD = "tables"
PAPER = "Pinto-Alva et al., Chair Segments, arXiv 2012.01250"
POINTS = claims.ABOVE + claims.ENDS.format(ends="ends below 1 point")
TIMES = claims.ABOVE + claims.ENDS.format(ends="ends below 5 %")
GATE = (
    ". Pretext not learned: the U-Net's source is no better than a constant predictor"
)
LEARNED = ". Left out: seeds of which a model learned nothing"
CLAIMS = (
    claims.Claim(
        "C1",
        "The U-Net beats the FCNs at 64 px.",
        "IoU 85.08 against 61.09 (VGG-16), 60.19 (ResNet-50), 61.62 (ResNet-101)",
        "differences of IoU by seed, a part for each FCN; "
        + POINTS
        + claims.PARTLY
        + LEARNED,
        measures.c1,
    ),
    claims.Claim(
        "C2",
        "IoU grows with resolution, by less each time (U-Net).",
        "77.59, 85.08, 89.79, 91.68 at 32, 64, 128, 256 px; not so for the FCNs",
        "differences of neighbouring resolutions, and differences of these, their mean "
        "in each seed; "
        + POINTS
        + claims.PARTLY
        + "; not wherever the part of growth is"
        + LEARNED,
        measures.c2,
    ),
    claims.Claim(
        "C3",
        "The order of the models is kept over resolutions.",
        "kept (Fig. 4); in Table 1 VGG-16 and ResNet-50 change places at 256 px",
        "each pair of models at each other resolution against 64 px, by seed; held: "
        "all keep the order of their means, half of them surely; weakly: none is "
        "surely turned, half surely kept; not: one is surely turned; undecided: fewer "
        "than half surely kept; with one seed: all, more than half, or not" + LEARNED,
        measures.c3,
    ),
    claims.Claim(
        "C4",
        "For the U-Net chairs beat chairs in scenes as a source, and these scratch.",
        "IoU on car, horse, airplane: 88.22, 70.47, 71.59 from chairs; 87.17, 68.61, "
        "68.05 from COCO chairs; 86.16, 66.41, 64.93 from scratch",
        "differences of IoU by seed of each set; "
        + POINTS
        + claims.PARTLY
        + LEARNED
        + GATE,
        measures.gated(("chairs", "scene_chairs"), measures.c4),
    ),
    claims.Claim(
        "C5",
        "From chairs the U-Net converges faster and ends higher.",
        "both (Fig. 6, mean of two runs)",
        "higher: differences of IoU by seed of each set; faster: log ratio of the "
        "steps to 99 % of the best validation IoU of the random start of the same "
        "seed, where a run that never gets there takes all steps of both; "
        + claims.ABOVE
        + claims.ENDS.format(ends="ends below 1 point, or 5 % of steps")
        + claims.JOINT
        + LEARNED
        + GATE,
        measures.gated(("chairs",), measures.c5),
    ),
    claims.Claim(
        "C6",
        "Two fine-tuned models are nearer to each other than two random starts.",
        "L2 distance 373.94 against 637.05",
        "log ratio of distances, of seeds 0 and 1, 2 and 3, ... of each set: no model "
        "is in two pairs; one interval for all pairs; " + TIMES + LEARNED + GATE,
        measures.gated(("chairs",), weights.c6),
    ),
    claims.Claim(
        "C7",
        "A fine-tuned model is nearer to the pretrained one than a random start.",
        "L2 distance 313.06 against 549.94",
        "log ratio of distances, by seed of each set; one interval for all pairs; "
        + TIMES
        + LEARNED
        + GATE,
        measures.gated(("chairs",), weights.c7),
    ),
    claims.Claim(
        "C8",
        "No barrier lies between fine-tuned models, one between random starts.",
        "Fig. 7, by eye",
        "a barrier: IoU on the straight path falls by more than 10 % below the line "
        "between its ends, with re-estimated batch statistics; seeds 0 and 1, 2 and 3, "
        "... of each set; two parts: the mean fall is below 10 % between fine-tuned "
        "models, and above it between random starts; "
        + claims.ABOVE
        + claims.ENDS.format(ends="ends at 0 or below")
        + claims.JOINT
        + LEARNED
        + "; intervals of falls are cut at 0 and 100 %, where falls end"
        + GATE,
        measures.gated(("chairs",), weights.c8),
    ),
    claims.Claim(
        "C9",
        "Pretraining on chairs helps most cells of the FCNs.",
        "IoU rises in 5 of 9; not for VGG-16 on horse and airplane, nor for ResNet-101 "
        "on car and airplane (whose IoU is misprinted)",
        "differences of IoU by seed, each FCN on each set; held: more than half surely "
        "better (with one seed: better by the mean); weakly: more than half by the "
        "mean, and more surely better than surely worse; not: half or more surely "
        "worse; undecided: else; pretext not learned: no FCN learned chairs" + LEARNED,
        measures.c9,
    ),
)
tables, figures = _chairs_tables.tables, _chairs_figures.figures_of
