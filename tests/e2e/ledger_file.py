"""Where entries lie in a ledger file: framing only, as the format's description has it."""
import struct
from pathlib import Path

HEADER = 8
"""Bytes before the first entry, and bytes of an entry before those that its size counts."""


class Entry:
    def __init__(self, offset, data):
        self.offset, self.size = offset, len(data)
        iv = data[24:36]
        self.seqno, self.view = struct.unpack("<QI", iv)
        self.public_size, = struct.unpack("<Q", data[36:44])
        self.private_size = len(data) - 44 - self.public_size

    @property
    def end(self):
        return self.offset + self.size


def entries(path):
    """The whole entries of a ledger file, in order."""
    return entries_in(Path(path).read_bytes())


def entries_in(data):
    """The same of a file's bytes."""
    if len(data) < HEADER:
        return []
    table, = struct.unpack("<Q", data[:HEADER])
    offset, end, found = HEADER, table or len(data), []
    while offset + HEADER <= end:
        size = HEADER + int.from_bytes(data[offset + 2:offset + 8], "little")
        if offset + size > end:
            break
        found.append(Entry(offset, data[offset:offset + size]))
        offset += size
    return found


def flip(path, offset, bits=1):
    with Path(path).open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ bits]))
