"""One run of a plan: what is asked for, reused, dropped, shown and noted."""
