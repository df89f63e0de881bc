"""Tasks, one in each file: fields of a batch, loss, predictions, metric."""

SHARED = ("build", "targets")  # modules that are no tasks
