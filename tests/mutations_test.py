"""The lists of mutations can be applied to the code as it is, and the runner tells what is noticed from what is not."""
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts/lib"))
import mutations  # noqa: E402

FILES = {
    ".gitignore": "build/\n",
    "CMakePresets.json": json.dumps({"version": 5, "configurePresets": [
        {"name": "asan", "generator": "Ninja", "binaryDir": "${sourceDir}/build/${presetName}"}]}),
    "CMakeLists.txt": "cmake_minimum_required(VERSION 3.25)\nproject(tiny LANGUAGES C)\nenable_testing()\n"
                      "add_executable(sums_test src/sums/sums_test.c src/sums/sums.c)\nadd_test(NAME sums COMMAND sums_test)\n",
    "src/sums/sums.c": "int larger(int a, int b)\n{\n  return a > b ? a : b;\n}\nint sum(int a, int b)\n{\n  return a + b;\n}\n"
                       "void wait_for(int a)\n{\n  for (int i = 0; i != a; ++i)\n    ;\n}\n",
    "src/sums/sums_test.c": "int larger(int, int);\nint sum(int, int);\nvoid wait_for(int);\n"
                            "int main(void)\n{\n  wait_for(2);\n  return larger(1, 2) != 2 || sum(0, 0) != 0;\n}\n",
    "src/sums/sums_test.cpp": "",
}
EDITS = {
    "the smaller one": ("a > b ?", "a < b ?"),
    "a difference": ("a + b", "a - b"),
    "half a line": ("return a + b;", "return a +;"),
    "what nobody wrote": ("a * b", "a / b"),
    "it never ends": ("++i", "i += 0"),
}


def toml(entries, **more):
    text = ""
    for name, (find, replace) in entries.items():
        values = {"name": name, "file": "src/sums/sums.c", "find": find, "replace": replace, "tests": ["sums"], **more}
        text += "[[mutation]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())
    return text


@pytest.fixture
def project(tmp_path):
    for name, content in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (tmp_path / "tests/mutations").mkdir(parents=True)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)

    def mutate(entries, *options):
        (tmp_path / "tests/mutations/sums.toml").write_text(toml(entries))
        done = subprocess.run([sys.executable, str(ROOT / "scripts/mutate"), "--root", str(tmp_path), *options],
                              capture_output=True, text=True)
        kept = tmp_path / "build/mutate/result.json"
        results = json.loads(kept.read_text()) if kept.exists() else []
        return done, {result["name"]: result["outcome"] for result in results}

    return mutate


def test_every_mutation_can_be_applied_and_names_tests_that_exist():
    wrong = []
    for mutation in mutations.read_lists(ROOT):
        if problem := mutation.problem(ROOT):
            wrong.append(f"{mutation.title}: {problem}")
        wrong += [f"{mutation.title}: there are no tests '{test}'" for test in mutation.tests
                  if not mutations.test_exists(ROOT, test)]
    assert not wrong, "\n".join(wrong)


def test_the_runner_tells_what_is_noticed_from_what_is_not(project):
    done, outcomes = project(EDITS, "--limit", "3")
    assert outcomes == {"the smaller one": "noticed", "a difference": "survived", "half a line": "does not build",
                        "what nobody wrote": "stale", "it never ends": "noticed"}, done.stdout + done.stderr
    assert done.returncode == 1
    assert re.search(r"^sums +2 +1 +1 +1 +67 %$", done.stdout, re.M), done.stdout


def test_a_list_that_is_noticed_passes_and_what_is_known_is_not_run_again(project):
    edits = {name: EDITS[name] for name in ("the smaller one", "half a line")}
    assert project(edits)[0].returncode == 0
    done, outcomes = project(edits, "--resume")
    assert done.returncode == 0 and "unchanged:" not in done.stdout and len(outcomes) == 2
    _, outcomes = project(edits, "--resume", "--name", "half")
    assert len(outcomes) == 2, "what was measured of the others is kept"
    done, outcomes = project(edits, "--name", "half")
    assert done.returncode == 2 and list(outcomes) == ["half a line"], done.stdout


def test_tests_that_fail_anyway_notice_nothing(project, tmp_path):
    (tmp_path / "src/sums/sums_test.c").write_text("int main(void)\n{\n  return 1;\n}\n")
    done, outcomes = project(EDITS)
    assert done.returncode == 2 and not outcomes and "fails without any mutation" in done.stderr


@pytest.mark.parametrize("text, complaint", [
    (toml({"a": ("x", "x")}), "changes nothing"),
    (toml({"a": ("x", "y")}, tests=[]), "names no tests"),
    (toml({"a": ("x", "y")}, why="because"), "needs"),
    (toml({"a": ("x", "y")}) * 2, "twice"),
])
def test_a_list_that_is_wrong_is_refused(tmp_path, text, complaint):
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=complaint):
        mutations.read_list(path)
