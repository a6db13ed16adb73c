"""What every peer in Python says of an array: what quantviz says of it too."""

import json
import sys

import numpy


def describe(array):
    counts, edges = numpy.histogram(array, bins=64)
    return {
        "min": float(array.min()),
        "max": float(array.max()),
        "mean": float(array.mean()),
        "std": float(array.std()),
        "counts": counts.tolist(),
        "edges": [float(edges[0]), float(edges[-1])],
    }


def report(described):
    json.dump(described, sys.stdout)
