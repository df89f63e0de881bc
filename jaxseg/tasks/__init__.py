"""Tasks, one in a file: what a batch needs, loss, predictions, metrics."""

SHARED = ("targets",)  # used by several tasks, itself none
