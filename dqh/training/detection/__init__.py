"""The training of detectors: what it has of its own beside that of hashes, whose loop and folder it shares."""
