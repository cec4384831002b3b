"""Forms for other systems, of an artifact and of an index, and the check of what was exported."""
