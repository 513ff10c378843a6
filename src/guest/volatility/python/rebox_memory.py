"""Lets Volatility 3 read the memory of a guest that runs in rebox, or of an image that rebox has opened, where it is.

rebox starts Volatility with its own memory (/proc/self/mem) or the image open for reading, as a file descriptor. Two layers lead there: the
guest's physical memory, in pieces that leave out what is no RAM, and below it the memory of the process, or the image.
"""

import os
from typing import List

from volatility3.framework import exceptions, interfaces
from volatility3.framework.configuration import requirements
from volatility3.framework.layers import segmented


class ReboxProcessLayer(interfaces.layers.DataLayerInterface):
    """The memory of the process that rebox runs in, or the image that it has opened."""

    @property
    def minimum_address(self) -> int:
        return 0

    @property
    def maximum_address(self) -> int:
        return (1 << 47) - 1

    def is_valid(self, offset: int, length: int = 1) -> bool:
        return 0 <= offset and offset + length - 1 <= self.maximum_address

    def read(self, offset: int, length: int, pad: bool = False) -> bytes:
        pieces = []
        missing = length
        while missing > 0:
            try:
                piece = os.pread(self.config["descriptor"], missing, offset + length - missing)
            except OSError:
                piece = b""
            if not piece:
                break
            pieces.append(piece)
            missing -= len(piece)
        if missing > 0:
            if not pad:
                raise exceptions.InvalidAddressException(
                    self.name, offset + length - missing, "rebox has no memory there: the guest may have ended"
                )
            pieces.append(bytes(missing))
        return b"".join(pieces)

    def write(self, offset: int, data: bytes) -> None:
        raise NotImplementedError("the guest's memory is open for reading only")

    @classmethod
    def get_requirements(cls) -> List[interfaces.configuration.RequirementInterface]:
        return [requirements.IntRequirement(name="descriptor", description="The open file", optional=False)]


class ReboxMemoryLayer(segmented.SegmentedLayer):
    """The guest's physical memory."""

    def _load_segments(self) -> None:
        words = [word.split(":") for word in self.config["pieces"].split()]
        numbers = [[int(number, 16) for number in word] for word in words]
        self._segments = sorted((address, host, size, size) for address, size, host in numbers)

    @classmethod
    def get_requirements(cls) -> List[interfaces.configuration.RequirementInterface]:
        pieces = requirements.StringRequirement(
            name="pieces", description="ADDRESS:SIZE:PLACE, in hexadecimal, with blanks between them", optional=False
        )
        return super().get_requirements() + [pieces]
