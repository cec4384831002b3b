"""Verbs of the command line, one a file: its arguments, and the function that runs. Nothing heavy is imported."""
