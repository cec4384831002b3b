"""What is in an index, handed over to other systems: filled faiss indexes, Parquet, Lance, PostgreSQL with pgvector."""

from dqh.export.index.hand_over import FORMS, HandedOver, hand_over

__all__ = ["FORMS", "HandedOver", "hand_over"]
