"""Convert a file: from wishes to a plan, from a plan to a file."""
