"""Prints as JSON where Volatility finds memory in a crash dump: [physical address, offset in the file, bytes] of each stretch."""

import json
import pathlib
import sys

from volatility3.framework import contexts
from volatility3.framework.layers import crash, physical

context = contexts.Context()
context.config["file.location"] = pathlib.Path(sys.argv[1]).as_uri()
context.add_layer(physical.FileLayer(context, "file", "file"))
context.config["crash.base_layer"] = "file"
kind = crash.WindowsCrashDump64Layer if sys.argv[2] == "64" else crash.WindowsCrashDump32Layer
layer = kind(context, "crash", "crash")
mapping = layer.mapping(0, layer.maximum_address + 1, ignore_errors=True)
json.dump([[address, offset, length] for address, length, offset, _, _ in mapping], sys.stdout)
