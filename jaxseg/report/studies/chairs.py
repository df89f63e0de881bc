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
  source    "random", "chairs" or "scene_chairs" (COCO chairs' stand-in); composites
            start from "random"
  baseline  "random" of objects; no baseline of composites

The model P that objects start from is the composites' cell of target "chairs/64" with
the same model and seed 0. The training on chairs in scenes has columns role="source",
target="scene_chairs", variant (U-Net), source="random", seed=0.

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
  constant  one stage with the columns role="measure", setting="composites",
            target="chairs/64" and without parents: the answer "background" for each
            pixel of the test images. Rows {metric, value}, of the names of
            `metrics.binary`.
"""
