"""Analyses, one in a file: Spec, ROLES, reads(spec), run(models, spec, sources)."""

SHARED = ("batch_statistics", "features")  # used by several, itself none
