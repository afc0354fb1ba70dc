"""Fail where a `raise` of the package was not reached by the tests that coverage has watched.

coverage run -m pytest && python .ci/raises.py
"""

import ast
import pathlib
import sys

import coverage

import skattn

# Reached only in processes that tests start, which are not watched: a damaged cache is compiled anew.
ELSEWHERE = {("_kernels/jit.py", "rebuild")}


def raises(tree, owner=""):
    """First line and enclosing function of each `raise`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Raise) and "NotImplementedError" not in ast.unparse(node):
            yield node.lineno, owner
        is_function = isinstance(node, ast.FunctionDef)
        yield from raises(node, node.name if is_function else owner)


def main():
    data = coverage.Coverage()
    data.load()
    folder = pathlib.Path(skattn.__file__).parent
    n_raises, missed = 0, []
    for path in sorted(folder.rglob("*.py")):
        name, uncovered = path.relative_to(folder).as_posix(), set(data.analysis2(str(path))[3])
        for line, owner in raises(ast.parse(path.read_text())):
            n_raises += 1
            if line in uncovered and (name, owner) not in ELSEWHERE:
                missed.append(f"skattn/{name}:{line}, in {owner}")
    print(f"{n_raises} raises, {len(missed)} of them in no test", *missed, sep="\n")
    return bool(missed) or not n_raises


if __name__ == "__main__":
    sys.exit(main())
