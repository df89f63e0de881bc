"""The SimMIM study (Branyicskai-Nagy): claims S1 to S6, Figs. 1 to 3.

What this file reads, and configs/simmim.py therefore writes:

Fine-tunings, `train` stages with the metrics `miou` and `pixel_accuracy` and the
columns

  role="target", seed=0, 1, ..., baseline="random"
  setting   "250 images", the number that is fine-tuned on
  target    "pets"
  source    "random"; "4000", the images of the pretraining; "4000 + scenes", with the
            classification of scenes in between

Pretrainings are stages with the columns role="source", target="masked, 4000", and the
classifications with target="scenes, 4000" and the metric `top1`. What the first learned
is said by `measure` stages `reconstructions` with the column source="4000".
"""

from jaxseg.report import claims
from jaxseg.report.studies import _simmim_claims as measures
from jaxseg.report.studies import _simmim_figures

LEAD = "tables"
PAPER = "Branyicskai-Nagy, Investigating Self-Supervised Pre-training (UCL)"
POINTS = claims.ABOVE + claims.ENDS.format(ends="ends below 1 point")
GATE = (
    "; a pretraining counts where its squared error on masked patches is below that of "
    "the mean colour"
)
GAIN = (
    "mIoU of fine-tunings with pretraining minus that of random weights, by seed, "
    "averaged over the numbers of images of the pretraining, which share the random "
    "runs"
)
LOSS = (
    "mIoU without the scenes minus that with them, by seed, averaged over the numbers "
    "of images of the pretraining"
)
EACH = (
    "; one cell for each number of labelled images, the interval is of the mean over "
    "these, since of one seed they share draws and fresh weights; "
)
CLAIMS = (
    claims.Claim(
        "S1",
        "Pretraining helps at every number of labelled images.",
        "more images, labelled or unlabelled, increase performance (4; Fig. 2, left)",
        GAIN + EACH + POINTS + GATE,
        measures.s1,
    ),
    claims.Claim(
        "S2",
        "It helps most with the fewest labelled images, and less with more.",
        "differences are most marked in the sparse limit, and become less and less "
        "relevant (4; Fig. 2, left)",
        f"{GAIN}: that with the fewest images minus the mean of those with more; and "
        "its fall from the fewest to the most, along a straight line over the "
        f"logarithm; each: {POINTS}{claims.JOINT}{GATE}",
        measures.s2,
    ),
    claims.Claim(
        "S3",
        "More images of the pretraining help less and less.",
        "from none to 200k the improvement decreases quickly with each step up (4)",
        "mIoU averaged over the numbers of labelled images, by seed: each step up in "
        "images of the pretraining, the first from none, minus the next step; each: "
        f"{POINTS}{claims.JOINT}{GATE}",
        measures.s3,
    ),
    claims.Claim(
        "S4",
        "mIoU reaches a plateau with more labelled images, sooner with pretraining.",
        "a plateau after 5 to 6k images, with fewer after more pretraining (4)",
        "plateau: mIoU with the most labelled images minus that with the next fewer, "
        "by seed, averaged over starts without scenes; held: its 95 % interval ends "
        "below 1 point; not: it begins above; undecided: otherwise. Sooner: doublings "
        f"of the labelled images until {measures.CLOSE:.0%} of the best mIoU of the "
        "same start and seed, from random weights minus after the most images of a "
        f"pretraining that counts: {claims.ABOVE}; not: the interval does not lie "
        "above 0, and ends below a tenth of a doubling; undecided: otherwise"
        f"{claims.JOINT}{GATE}",
        measures.s4,
    ),
    claims.Claim(
        "S5",
        "Classifying scenes in between lowers mIoU at every number of labelled images.",
        "all of the tested numbers are in the regime of a negative effect (4; Fig. 2, "
        "right)",
        LOSS + EACH + POINTS + GATE,
        measures.s5,
    ),
    claims.Claim(
        "S6",
        "It lowers mIoU by less with more labelled images.",
        "a clear trend of this gap decreasing (4; Fig. 2, right)",
        f"{LOSS}: that with the fewest labelled images minus that with the most; "
        f"{POINTS}{GATE}",
        measures.s6,
    ),
)
tables, figures = _simmim_figures.tables, _simmim_figures.figures_of
