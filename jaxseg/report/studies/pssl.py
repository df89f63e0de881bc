"""The PSSL study (Li et al. 2023): claims P1 to P8, Tables 1 to 4, Figs. 2 and 3.

What this file reads, and configs/pssl.py therefore writes:

Fine-tunings, `train` and `select` stages with the metric `miou` and the columns

  role="target", seed=0, 1, ..., baseline="ImageNet"
  setting   the model: "PSPNet"; "DeepLabV3-ResNet" for Tables 1 and 2
  target    "CamVid"
  source    "ImageNet", the backbone of a classifier; "PSSL"; "PSSL, twice the epochs";
            for Tables 1 and 2 "500 samples, background 0.1", and for the ablations
            "500 samples, D8 ignored"

Classifiers are stages with the columns role="source", target="classification" and
source="resnet". The stage `pseudo` makes the labels; the `measure` stage `consensus`
says whether they show objects, and stages `pixel_vote` with the column source="PSSL"
how a pretrained network classifies; Fig. 3 is the stage `predictions`. The walks of
Fig. 4 are the searches of the page.
"""

from jaxseg.report import claims
from jaxseg.report.studies import _pssl_claims as measures
from jaxseg.report.studies import _pssl_figures

LEAD = "tables"
PAPER = "Li et al. 2023, Machine Learning 112"
POINTS = claims.ABOVE + claims.ENDS.format(ends="ends below 1 point")
GATE = (
    "; not measured where saliency finds no objects: the 95 % interval, over images, "
    "of the IoU of the top decile of the consensus minus that of a disc in the middle "
    "does not lie above 0"
)
CLAIMS = (
    claims.Claim(
        "P1",
        "A weight of the background between the extremes is best.",
        "0.1 is the best of 0.001, 0.01, 0.1 and 1 (Table 1)",
        "mIoU averaged over the weights in between minus that of the smallest, and of "
        "the largest, by seed, for each number of samples; each: "
        f"{POINTS}{claims.JOINT}{GATE}",
        measures.p1,
    ),
    claims.Claim(
        "P2",
        "More images with pseudo labels are better.",
        "74.1, 75.4, 76.7, 77.8 with 50K, 200K, 500K, 1M (Table 2)",
        "mIoU of each step up in samples, by seed; one cell for each step; "
        f"{POINTS}{GATE}",
        measures.p2,
    ),
    claims.Claim(
        "P3",
        "Enough of them, among the numbers tried, overtake the classifier's backbone.",
        "76.2 after ImageNet lies between 200K and 500K (Table 2)",
        "mIoU after the classifier minus that with the fewest samples, and with the "
        f"most samples minus that after the classifier, by seed; each: {POINTS}"
        f"{claims.JOINT}{GATE}",
        measures.p3,
    ),
    claims.Claim(
        "P4",
        "Pretraining the whole network beats pretraining its backbone.",
        "15 of 15 cells gain (Table 3)",
        "mIoU from the whole network minus that from a classifier's backbone, mean "
        "over seeds; one cell for each model and target, the interval is over these; "
        f"{POINTS}{GATE}",
        measures.p4,
    ),
    claims.Claim(
        "P5",
        "The gain is largest on the smallest set.",
        "+2.2, +2.5, +3.6 on CamVid, at most +1.5 elsewhere (Table 3)",
        "the gain of P4 on the target with the fewest images minus its mean on the "
        "others, mean over seeds; one cell for each model, the interval is over these; "
        f"{POINTS}{GATE}",
        measures.p5,
    ),
    claims.Claim(
        "P6",
        "Longer pretraining classifies better and segments worse.",
        "30 to 60 epochs: top-1 77.6 to 78.6, mIoU on VOC 80.3 to 80.0 (Table 4)",
        "accuracy by mean probability over pixels after twice the epochs minus after "
        "once, of one pretraining each, so that the means decide; mIoU after once "
        f"minus after twice, by seed; each: {POINTS}{claims.JOINT}{GATE}",
        measures.p6,
    ),
    claims.Claim(
        "P7",
        "Models together find the object better than one alone.",
        "the ensemble is much better aligned with objects than single models (3.1)",
        "IoU of the top decile with the object, of the mean of the maps minus the mean "
        f"over single maps, by image; {POINTS}",
        measures.p7,
    ),
    claims.Claim(
        "P8",
        "Other uses of the deciles are worse.",
        "D8 ignored, all below D9 dropped, more deciles: each worse (4.1)",
        "mIoU with the top decile as foreground and the rest as background minus that "
        f"with the other labels, by seed; each: {POINTS}{claims.JOINT}{GATE}",
        measures.p8,
    ),
)
tables, figures = _pssl_figures.tables, _pssl_figures.figures_of
