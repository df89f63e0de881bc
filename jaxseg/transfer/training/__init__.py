"""One training: its data, starts, evaluations, pictures, and the run of all."""
