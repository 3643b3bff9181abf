"""What the code cites exists: pages, and sections of the reference sheets (docs/reference)."""
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHEETS = {path.name: path for path in (ROOT / "docs/reference").glob("*.md")}
CITING = ("src", "include", "apps", "bench", "tests", "scripts", "cmake", "docs")
SUFFIXES = {".h", ".cpp", ".c", ".rs", ".py", ".toml", ".md", ".txt", ".cmake", ""}
PAGE = re.compile(r"([A-Za-z0-9-]+\.md)\b((?:[\s/*#,]|//|and|to)*§[\d.]+(?:(?:[\s,]|and|to)*§?\d+\.\d+)*)?")
SECTION = re.compile(r"\d+(?:\.\d+)*")
HEADING = re.compile(r"^#+ (\d+(?:\.\d+)*)\.?\s", re.M)


def citations():
    """(file, page, its sections) of everything cited as `page.md` or `page.md §1.2`."""
    for folder in CITING:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and path.suffix in SUFFIXES and "corpus" not in path.parts and path != Path(__file__):
                for page, sections in PAGE.findall(path.read_text(errors="replace")):
                    yield path.relative_to(ROOT), page, SECTION.findall(sections)


def test_every_page_and_section_that_is_cited_exists():
    pages = {path.name for path in ROOT.rglob("*.md") if "build" not in path.relative_to(ROOT).parts}
    known = {name: set(HEADING.findall(path.read_text())) for name, path in SHEETS.items()}
    wrong, counted = set(), 0
    for path, page, sections in citations():
        if page not in pages:
            wrong.add(f"{path} cites {page}, which does not exist")
        for section in sections if page in known else ():
            counted += 1
            if section not in known[page]:
                wrong.add(f"{path} cites {page} §{section}, which it does not have")
    assert not wrong, "\n".join(sorted(wrong))
    assert counted > 100, "the citations are not found any more"
