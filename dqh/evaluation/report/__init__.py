"""The page about an evaluation: its sections, its pictures, and the table for a terminal."""

from dqh.evaluation.report.grid import Grid, GridResult, GridRow
from dqh.evaluation.report.page import write_report
from dqh.evaluation.report.table import render

__all__ = ["Grid", "GridResult", "GridRow", "render", "write_report"]
