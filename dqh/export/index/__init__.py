"""What is in an index, handed over to other systems: filled faiss indexes, Parquet, Lance, PostgreSQL with pgvector."""

from dqh.export.index.forms import FORMS, hand_over

__all__ = ["FORMS", "hand_over"]
