"""Tasks, one in a file: what a batch needs, loss, predictions, metrics."""

SHARED = ("build", "targets")  # used by several tasks, itself none
