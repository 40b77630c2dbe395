"""One prepared run of a few minutes for a machine with a GPU."""
