"""The decoder paper (Dippel et al. 2022): claims D1 to D8, Tables 2 to 5, Figs. 2 to 7.

What this file reads, and configs/decoder.py therefore writes:

Fine-tunings, `train` stages with the metric `dice_per_image` and the columns

  role="target", seed=0, 1, ..., baseline="random"
  setting   "1 %", "5 %", "20 %" of the labels (Table 2), "cars" (Table 4), "dogs"
            (Table 5), "underwater" (a stand-in for Table 3), "similarity" (Fig. 7),
            "own"
  target    "flowers", "pets"; "bus", "airplane"; "cat", "horse"; "underwater"; a set
  source    "random", "SimCLR", "Classification", "Reconstruction", "ConRec",
            "Segmentation"; the last three also with "-EncOnly": a random decoder
            (scenario 4). In "similarity" all are encoders alone, and there may be
            several segmentations, "Segmentation car".

An evaluation called "curve" between steps is Fig. 4 and D2. Pretexts are stages called
pretext/IMAGES/NAME with the columns role="source", target="IMAGES, NAME". What they
learned is said by linear probes (setting="probe", target=IMAGES, source=NAME or
"random") and by the `measure` stages `reconstructions` (columns target=IMAGES,
source=NAME), beside them `grad_cam` (the same columns) and one `cka`, whose parents
have the names of the starts.
"""

from jaxseg.report import claims
from jaxseg.report.studies import _decoder_claims as measures
from jaxseg.report.studies import _decoder_figures, _decoder_tables

LEAD = "tables"
PAPER = "Dippel et al., Skip the Decoder, arXiv 2207.14508"
POINTS = claims.ABOVE + claims.ENDS.format(ends="ends below 1 point")
GATE = "; cells whose pretext was not learned are left out"
CLAIMS = (
    claims.Claim(
        "D1",
        "A pretrained decoder gives no better result: scenario 3 equals scenario 4.",
        "differences of -0.3 to +1.3 Dice points (Tables 2, 4, 5)",
        "differences of Dice by seed, over all cells; "
        + claims.EQUAL.format(
            margin="the larger of 1 point and a third of what the encoder alone gains"
        )
        + "; power: the chance of this verdict if there is no difference"
        + GATE,
        measures.d1,
    ),
    claims.Claim(
        "D2",
        "A pretrained decoder converges faster.",
        "by eye (Fig. 4)",
        "log ratio of the steps to 99 % of the best Dice of the random decoder of the "
        "same seed, where a run that never gets there takes all steps of both; "
        + claims.ABOVE
        + claims.ENDS.format(ends="ends below 5 % of steps")
        + GATE,
        measures.d2,
    ),
    claims.Claim(
        "D3",
        "Within a domain segmentation beats reconstruction as a pretext, and this "
        "classification.",
        "82.0, 76.4, 77.6 on bus; segmentation over classification 82.3 to 76.0 on "
        "cat, 77.7 to 70.1 on horse",
        "encoders alone, differences of Dice by seed on bus, cat and horse; "
        + POINTS
        + claims.PARTLY
        + GATE,
        measures.d3,
    ),
    claims.Claim(
        "D4",
        "Across domains self-supervised pretexts beat random weights, and ConRec is at "
        "least as good as the others.",
        "airplane: random 65.8, SimCLR 68.3, Reconstruction 68.2, ConRec 70.9",
        "encoders alone, differences of Dice by seed, those to the same run averaged, "
        "on airplane from streets, and on "
        "bus from single things; over random weights: "
        + POINTS
        + "; at least: held if the 95 % interval lies above -1 point, not if below 0"
        + claims.PARTLY
        + GATE,
        measures.d4,
    ),
    claims.Claim(
        "D5",
        "Segmentation encoders resemble each other more than the classifier.",
        "by eye (Fig. 7)",
        "CKA of each two segmentation encoders against CKA of each and the "
        "classifier; held: the smallest is above the largest; weakly: the mean is; "
        "else not. Each encoder is trained once, so that there is no interval; ranges "
        "are in brackets" + GATE,
        measures.d5,
    ),
    claims.Claim(
        "D6",
        "Self-supervised encoders resemble each other more than the supervised.",
        "by eye (Fig. 7)",
        "as D5, of the three self-supervised encoders against the four others" + GATE,
        measures.d6,
    ),
    claims.Claim(
        "D7",
        "Similarity does not explain gain.",
        "not measured: similarities to supervised encoders do not differ",
        "Kendall's tau of CKA to the best encoder of a target and gain over random "
        "weights, of the others; mean over targets with its 95 % interval; held: it "
        f"ends below {measures.EXPLAINED}; not: it lies above 0; undecided: else"
        + GATE,
        measures.d7,
    ),
    claims.Claim(
        "D8",
        "Gains shrink with more labels.",
        "ConRec-EncOnly over random weights: 5.6, 2.7, 1.0 on flowers; 11.6, 3.0, 1.6 "
        "on pets, at 1, 5, 20 %",
        "gain of encoders alone at 1 % minus that at 20 %, by seed, averaged over the "
        "encoders of a target, which share its random runs; " + POINTS + GATE,
        measures.d8,
    ),
)
tables, figures = _decoder_tables.tables, _decoder_figures.figures_of
