"""The way of onnx and numpy: load the model, and look at each initializer."""

import sys

import onnx
from onnx import numpy_helper

from common import describe, report

model = onnx.load(sys.argv[1])
report({tensor.name: describe(numpy_helper.to_array(tensor)) for tensor in model.graph.initializer})
