"""What a node did to its disk, recorded by a preloaded library (disk_recorder.c), and what a power failure would have left.

The page cache hides a missing sync from every test that kills a process: the kernel still has the bytes. Here a model of
the disk is fed with what the process did, and keeps only what was synced, content and names apart.
"""
import copy
import mmap
import os
import struct
from pathlib import Path

from node import BIN

LIBRARY = BIN.parent / "lib/libdisk_recorder.so"
RECORD = struct.Struct("=IIQQ")
FAULTS = ("short_writes", "interrupted", "failing_syncs", "full", "failing_writes", "slow_sync_us", "hangs")


class Event:
    __slots__ = ("kind", "inode", "value", "payload", "end")

    def __init__(self, kind, inode, value, payload, end=0):
        self.kind, self.inode, self.value, self.payload, self.end = kind, inode, value, payload, end

    @property
    def names(self):
        first, second = self.payload.split(b"\0", 1)
        return os.fsdecode(first), os.fsdecode(second)

    def __repr__(self):
        return f"<{self.kind} {self.inode} {self.value} {self.payload[:60]!r}>"


class Recorder:
    """The record of one process, and the faults that it meets."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir()
        self.log, self.faults_file = self.folder / "record", self.folder / "faults"
        self.faults_file.write_bytes(bytes(4096))
        with self.faults_file.open("r+b") as file:
            self._faults = mmap.mmap(file.fileno(), 4096)

    def environment(self):
        assert LIBRARY.exists(), f"{LIBRARY} is missing: build the target e2e_programs"
        return {"LD_PRELOAD": str(LIBRARY), "DISK_RECORDER_LOG": str(self.log),
                "DISK_RECORDER_FAULTS": str(self.faults_file),
                # A library before that of the sanitizer is fine as long as it needs nothing from it at its start.
                "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}

    def set(self, **faults):
        """Sets these faults and ends all others."""
        values = [int(faults.pop(name, 0)) for name in FAULTS]
        assert not faults, f"there are no such faults: {faults}"
        self._faults[:4 * len(values)] = struct.pack(f"={len(values)}I", *values)

    def position(self):
        """Everything recorded later ends behind this."""
        return self.log.stat().st_size

    def events(self):
        data, offset, found = self.log.read_bytes(), 0, []
        while offset + RECORD.size <= len(data):
            kind, size, inode, value = RECORD.unpack_from(data, offset)
            payload = data[offset + RECORD.size:offset + RECORD.size + size]
            if len(payload) < size:
                break
            offset += RECORD.size + size
            found.append(Event(chr(kind), inode, value, payload, offset))
        return found


class File:
    """Content as the process sees it, and as the disk has it. Changes are (offset, bytes), or (size, None) for a cut."""

    def __init__(self, content=b""):
        self.current, self.durable = bytearray(content), bytearray(content)
        self.pending, self.forsaken, self.begun = [], [], []

    @staticmethod
    def _apply(content, offset, data):
        if len(content) < offset:
            content.extend(bytes(offset - len(content)))
        if data is None:
            del content[offset:]
        else:
            content[offset:offset + len(data)] = data

    def change(self, offset, data):
        self._apply(self.current, offset, data)
        self.pending.append((offset, data))

    def sync_begins(self):
        self.begun.append(list(self.pending))

    def sync_ends(self):
        """What was written before the sync began is on the disk."""
        for change in self.begun.pop(0):
            if any(change is other for other in self.pending):
                self.pending = [other for other in self.pending if other is not change]
                self._apply(self.durable, *change)

    def sync_fails(self):
        """The kernel takes the pages for clean after that: no later sync writes them."""
        self.forsaken += self.pending
        self.pending = []

    def after_power_loss(self, randomness):
        left = bytearray(self.durable)
        for change in self.pending + self.forsaken if randomness else ():
            if randomness.random() < 0.5:
                self._apply(left, *change)
        return bytes(left)


DIRECTORY = object()


class Disk:
    """The files below a folder, from before the process began to the last event that was applied.

    Names are durable once the directory that holds them was synced after they changed, and those of the directories above.
    """

    def __init__(self, folder, working_directory):
        self.folder, self.working_directory = Path(folder), Path(working_directory)
        self.names, self.inodes, self.pending_names, self.begun = {}, {}, [], {}
        for path in sorted(self.folder.rglob("*")):
            name = str(path.relative_to(self.folder))
            self.names[name] = DIRECTORY if path.is_dir() else File(path.read_bytes())
        self.durable_names = dict(self.names)

    def _name(self, given):
        """Relative to the folder; None for what lies outside."""
        path = os.path.normpath(self.working_directory / given)
        name = os.path.relpath(path, self.folder)
        return None if name.startswith("..") else name

    def apply(self, event):
        getattr(self, f"_apply_{event.kind}", lambda event: None)(event)

    def _rename(self, names, before, after):
        for name in [name for name in names if name == before or name.startswith(before + "/")]:
            names[after + name[len(before):]] = names.pop(name)

    def _change_name(self, *change):
        self._apply_change(self.names, change)
        self.pending_names.append(change)

    def _apply_change(self, names, change):
        kind, name, more = change
        if kind == "make":
            names[name] = more
        elif kind == "remove":
            names.pop(name, None)
        elif name in names:
            self._rename(names, name, more)

    def _apply_c(self, event):
        name = self._name(event.names[0])
        self.inodes[event.inode] = File()
        if name is not None:
            self._change_name("make", name, self.inodes[event.inode])

    def _apply_o(self, event):
        name = self._name(event.names[0])
        if name is not None:
            self.inodes[event.inode] = self.names[name]

    def _apply_w(self, event):
        self.inodes[event.inode].change(event.value, event.payload)

    def _apply_t(self, event):
        self.inodes[event.inode].change(event.value, None)

    def _apply_d(self, event):
        if (name := self._name(event.names[0])) is not None:
            self._change_name("make", name, DIRECTORY)

    def _apply_r(self, event):
        before, after = map(self._name, event.names)
        assert before is not None and after is not None, f"a rename into or out of the folder: {event}"
        self._change_name("rename", before, after)

    def _apply_u(self, event):
        if (name := self._name(event.names[0])) is not None:
            self._change_name("remove", name, None)

    def _apply_l(self, event):
        raise AssertionError(f"the model knows no links: {event}")

    _apply_x = _apply_l

    def _is_directory(self, name):
        return name == "." or self.names.get(name) is DIRECTORY

    def _apply_b(self, event):
        name = self._name(event.names[0])
        if name is not None and self._is_directory(name):
            self.begun.setdefault(name, []).append(list(self.pending_names))
        elif event.inode in self.inodes:
            self.inodes[event.inode].sync_begins()

    def _apply_e(self, event):
        name = self._name(event.names[0])
        if name is not None and self._is_directory(name):
            for change in self.begun[name].pop(0):
                if self._touches(change, name) and any(change is other for other in self.pending_names):
                    self.pending_names = [other for other in self.pending_names if other is not change]
                    self._apply_change(self.durable_names, change)
        elif event.inode in self.inodes:
            self.inodes[event.inode].sync_ends()

    def _apply_f(self, event):
        if event.inode in self.inodes:
            self.inodes[event.inode].sync_fails()

    @staticmethod
    def _touches(change, directory):
        kind, name, more = change
        return directory in {os.path.dirname(path) or "." for path in (name, more if kind == "rename" else name)}

    def current(self):
        return {name: bytes(file.current) for name, file in self.names.items() if file is not DIRECTORY}

    def after_power_loss(self, randomness=None):
        """Files by name. Only what was synced is left; with `randomness`, also any part of what was not."""
        names = dict(self.durable_names)
        if randomness:
            for change in self.pending_names[:randomness.randrange(len(self.pending_names) + 1)]:
                self._apply_change(names, change)

        def reachable(name):
            above = os.path.dirname(name)
            return not above or (names.get(above) is DIRECTORY and reachable(above))

        return {name: file.after_power_loss(randomness) for name, file in names.items()
                if file is not DIRECTORY and reachable(name)}


def write_image(files, folder):
    """Puts files by name into a folder, and nothing else."""
    for name, content in files.items():
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o600)


def node_on(node, files, folder):
    """A node like `node`, to be started on what a power failure left."""
    other = copy.copy(node)
    other.folder = Path(folder)
    other.home, other.common = other.folder / node.home.name, other.folder / node.common.name
    other.home.mkdir(parents=True)
    write_image(files, other.folder)
    other.ledger, other.log_file = other.home / node.ledger.name, other.home / "log"
    other.service_certificate = other.common / node.service_certificate.name
    other.process = None
    return other
