"""Verbs of the command line: each is a function that adds a parser and names what runs. Nothing heavy is imported."""
