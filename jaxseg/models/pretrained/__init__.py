"""Published weights, one family in each file: ARCHITECTURES, with rules of names."""

SHARED = ("architecture", "convert", "torch_file")  # modules that are no families
