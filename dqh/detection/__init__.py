"""Photos to objects: where each lies, of which class it is, and how sure the detector is.

One protocol, `Detector`, for whatever detects, and `open_detector` for those that are kept in a folder. Nothing here
loads torch: a model that was exported to ONNX runs in ONNX Runtime, all around it in numpy. Nothing here trains.
"""
