SHARED = ("targets",)  # used by several tasks, itself none
