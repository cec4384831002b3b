import json
import logging

from dqh.service.journal import JSONLines, write_json_lines


def line(**more: object) -> dict[str, object]:
    record = logging.LogRecord("dqh.x", logging.WARNING, "x.py", 1, "a %s", ("b\nc\x1b",), None)
    vars(record).update(more)
    text = JSONLines().format(record)
    assert "\n" not in text
    return json.loads(text)


def test_a_record_is_one_line() -> None:
    told = line()
    assert told.pop("time").endswith("+00:00")
    assert told == {"level": "warning", "logger": "dqh.x", "message": "a b\nc\x1b"}


def test_fields_and_tracebacks() -> None:
    assert line(fields={"status": 200})["status"] == 200
    try:
        raise ValueError("no")
    except ValueError as error:
        told = line(exc_info=(type(error), error, error.__traceback__))
    assert told["traceback"].endswith("ValueError: no")


def test_all_handlers_write_it() -> None:
    handler = logging.StreamHandler()
    root = logging.getLogger()
    before = [(own, own.formatter) for own in root.handlers]
    root.addHandler(handler)
    try:
        write_json_lines()
        assert isinstance(handler.formatter, JSONLines)
    finally:
        root.removeHandler(handler)
        for own, formatter in before:
            own.setFormatter(formatter)
