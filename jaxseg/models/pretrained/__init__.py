"""Published weights, one family in a file: how others name what we name otherwise."""

SHARED = ("architecture", "convert", "torch_file")  # used by all families
