"""`dqh VERB …`: what is done with artifacts and indexes; experiments have `train.py` and `evaluate.py`.

Here is the entry alone, which loads nothing, so that Ctrl-C is heeded from its first line on; the verbs are in
`dqh.verbs`. Results go to stdout, messages to stderr, and `--json` makes the result one JSON object.

Exit status: 0 all well, 1 corrupt or mismatched, 2 usage, 3 too many bad images, 130 / 143 interrupted.
"""


def main(argv: "list[str] | tuple[str, ...] | None" = None) -> int:
    """Run one verb, by the arguments of the process where none are given, and return the exit status.

    Raises:
        SystemExit: with the exit status of an error, or 2 where the arguments make no sense.
    """
    try:
        from dqh import signals

        signals.listen()
        from dqh.verbs.running import run

        return run(argv)
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    raise SystemExit(main())
