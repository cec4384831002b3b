"""Forms of an artifact: ONNX, torch.export, empty faiss indexes, a Triton model repository."""
