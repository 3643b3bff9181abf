"""Lists of small faults that the tests should notice (tests/mutations/*.toml), read and checked; docs/testing.md.

As a program it writes one source with a fault in it, for a build that is to be caught: mutations.py LIST NAME OUT
"""
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LISTS = "tests/mutations"
KEYS = {"name", "file", "find", "replace", "tests"}


@dataclass(frozen=True)
class Mutation:
    list_name: str
    name: str
    file: str
    find: str
    replace: str
    tests: tuple

    @property
    def title(self):
        return f"{self.list_name}: {self.name}"

    def problem(self, root):
        """Why it cannot be applied to the tree as it is, or None."""
        path = root / self.file
        if not path.is_file():
            return f"there is no file {self.file}"
        count = path.read_text().count(self.find)
        if count != 1:
            return f"the text to find occurs {count} times in {self.file}"
        return None

    def applied(self, root):
        """The whole file with the fault in it."""
        return (root / self.file).read_text().replace(self.find, self.replace)

    def apply(self, root):
        (root / self.file).write_text(self.applied(root))


def read_list(path):
    """The mutations of one file. ValueError says what is wrong with it."""
    found = []
    for number, entry in enumerate(tomllib.loads(path.read_text()).get("mutation", []), 1):
        where = f"{path.name}, mutation {number} ({entry.get('name', 'without a name')})"
        if entry.keys() != KEYS:
            raise ValueError(f"{where}: has {sorted(entry)}, needs {sorted(KEYS)}")
        if not entry["tests"] or not all(isinstance(test, str) for test in entry["tests"]):
            raise ValueError(f"{where}: names no tests")
        if entry["find"] == entry["replace"] or not entry["find"]:
            raise ValueError(f"{where}: changes nothing")
        if any(entry["name"] == other.name for other in found):
            raise ValueError(f"{where}: the name is there twice")
        found.append(Mutation(path.stem, entry["name"], entry["file"], entry["find"], entry["replace"],
                              tuple(entry["tests"])))
    return found


def read_lists(root=ROOT):
    return [mutation for path in sorted((root / LISTS).glob("*.toml")) for mutation in read_list(path)]


def test_exists(root, test):
    """Test names are those of ctest (a module's name, or `module:Filter*` for some of its cases), `simulation` or
    `network_simulation`, or a file of Python tests below tests/ (`e2e/test_x.py`, `e2e/test_x.py::test_y`)."""
    if test.split("::")[0].endswith(".py"):
        return (root / "tests" / test.split("::")[0]).is_file()
    module = test.split(":")[0]
    return module in ("simulation", "network_simulation") or any(any((root / top / module).glob("*_test.cpp")) for top in ("src", "apps"))


def main():
    list_name, name, out = sys.argv[1:]
    found = [mutation for mutation in read_list(ROOT / LISTS / f"{list_name}.toml") if mutation.name == name]
    problem = found[0].problem(ROOT) if found else "there is no such mutation"
    if problem:
        sys.exit(f"{list_name}: {name}: {problem}")
    Path(out).write_text(found[0].applied(ROOT))


if __name__ == "__main__":
    main()
