"""The way of safetensors and numpy: open the file, and look at each tensor."""

import sys

from safetensors import safe_open

from common import describe, report

with safe_open(sys.argv[1], framework="numpy") as file:
    report({name: describe(file.get_tensor(name)) for name in file.keys()})
