"""Objectives and tasks, one in each file: fields, loss, predictions, metric."""

SHARED = ("build", "masking", "objective", "targets")  # modules that are no tasks
