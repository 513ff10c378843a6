"""Lets Volatility 3 read a symbol file of rebox in a part of the time that it takes for one of anybody's."""

import gc

from volatility3.framework.symbols import linux


class ReboxKernelSymbols(linux.LinuxKernelIntermedSymbols):
    """The symbols of a guest's kernel, out of a file that rebox has written for this run or an earlier one.

    Volatility knows by a sum over the whole file, written as text once more, whether it has compared it with its schema before: a second
    for each run. A test of rebox compares its files with the schema.
    """

    def __init__(self, *args, **kwargs) -> None:
        # Nothing of a million objects becomes garbage, neither now nor later.
        gc.disable()
        try:
            super().__init__(*args, **{**kwargs, "validate": False})
            gc.freeze()
        finally:
            gc.enable()
