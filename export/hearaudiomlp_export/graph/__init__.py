"""The networks as ONNX graphs of standard operators."""
