"""The house rules hold: imports go down only, one door to numba, files short, and tests mirror modules."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path

import pytest

import skattn

PACKAGE = Path(skattn.__file__).parent
TESTS = Path(__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
NAMES = [str(path.relative_to(PACKAGE)) for path in MODULES]
DOTTED = {".".join(["skattn", *Path(name).with_suffix("").parts]): name for name in NAMES}

# What each floor may import of the floors, and of the outside besides NumPy and the standard library.
INSPECTION, TOP, NETWORK, TRAINING, KERNELS = "inspection", "top", "_network", "_training", "_kernels"
MAY_IMPORT = {
    INSPECTION: {INSPECTION, TOP, NETWORK, TRAINING},
    TOP: {TOP, NETWORK, TRAINING, KERNELS},
    NETWORK: {NETWORK, KERNELS},
    TRAINING: {TRAINING, KERNELS},
    KERNELS: {KERNELS},
}
OUTSIDE = {
    INSPECTION: {"numpy", "scipy", "sklearn", "joblib", "matplotlib", "pandas"},
    TOP: {"numpy", "scipy", "sklearn", "joblib", "safetensors"},
    NETWORK: {"numpy"},
    TRAINING: {"numpy"},
    KERNELS: {"numpy", "numba", "llvmlite", "joblib"},
}
# Tested by way of another module: the pairs, for one, by walking tapes made of them.
PAIRS = [
    *["activation", "attention", "dropout", "heads", "input", "linear", "loss", "norm", "pooling", "position"],
    *["convolve", "lookup", "operation", "random", "softmax", "update"],
]
TESTED_ELSEWHERE = {
    "_target_state": "persistence",
    **dict.fromkeys(["encoding", "beginning"], "fitting"),
    "reconstruction": "walk",
    "step_labels": "steps",
    "step_target": "steps",
    **dict.fromkeys(PAIRS, "walk"),
    **dict.fromkeys(["layers", "losses", "positions", "runner"], "network"),
    **dict.fromkeys(["shares", "tables", "walking"], "learner"),
    "contrast": "contrasting",
    "updates": "loop",
    "explaining": "gradients",
    "counting": "summary",
    "head_removal": "pruning",
    "subject": "gradients",
    **dict.fromkeys(["findings", "head_frame", "head_statistics"], "head_report"),
    **dict.fromkeys(["architecture", "rules"], "tape"),
    **dict.fromkeys(["invoke", "passes", "record"], "jit"),
    "description": "defaults",
    **dict.fromkeys(["responses", "stem_learning"], "stem"),
    **dict.fromkeys(["_samples", "_step_checks"], "sequences"),
    "_feature_names": "feature_names",
    **dict.fromkeys(["_dates", "_time_column"], "dates"),
    "_containers": "containers",
    "_suspicions": "suspicions",
    **dict.fromkeys(["_array_layouts", "_steps"], "frames"),
    **dict.fromkeys(["_frame_building", "_frame_columns", "_frame_lists", "_frame_roles", "_frame_rows"], "frames"),
    "_wording": "wording",
    "_loaders": "datasets",
    "_attempt": "base",
    "_storage": "storage",
    "_weights_file": "interchange",
    "checks": "persistence",
    "_overflow": "numbers",
    "_long_fits": "long_fits",
    **dict.fromkeys(["columns", "convolution", "projection", "projector", "tokenising"], "stem"),
    "fitted": "maps",
    "model": "ensemble",
    "sizes": "parameters",
    "lookup_table": "soft_lookup",
    **dict.fromkeys(["_page_content", "_page_maps", "_page_sequences"], "attention_page"),
    **dict.fromkeys(["_attention_arrays", "_attention_call", "_bounds"], "sparse_attention"),
    **dict.fromkeys(["attend", "attending", "best", "bias", "head"], "sparse_attention"),
    "linear_blocks": "linear_attention",
    "given_importance": "importance_display",
    **dict.fromkeys(["_stream_checks", "kept", "one_query", "step", "step_attention", "stepper"], "stream"),
}


def floor_of(name):
    """Give the floor of a module, by its path inside the package or its dotted name."""
    first = name.removeprefix("skattn").replace(".", "/").strip("/").split("/")[0]
    return first if first in MAY_IMPORT else TOP


def imports_of(path):
    """Give the dotted names that a module imports, at its top or inside its functions."""
    package = ["skattn", *path.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            # A name taken from a package may be a module of it.
            named = [f"{base}.{alias.name}" for alias in node.names]
            yield from (name if base == "skattn" or name in DOTTED else base for name in named)


@pytest.mark.parametrize("name", NAMES)
def test_imports_go_down_only(name):
    floor = floor_of(name)
    imported = [other for other in imports_of(PACKAGE / name) if other.split(".")[0] == "skattn"]
    assert {floor_of(other) for other in imported} <= MAY_IMPORT[floor]


def test_imports_make_no_circle():
    """Not even those for types alone."""
    graph = {
        dotted: set(imports_of(PACKAGE / name)) for dotted, name in DOTTED.items() if Path(name).stem != "__init__"
    }
    # Raises where there is one, and names it.
    assert set(graph) <= set(TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("name", NAMES)
def test_each_floor_knows_only_its_own_libraries(name):
    roots = {other.split(".")[0] for other in imports_of(PACKAGE / name)}
    outside = roots - {"skattn"} - set(sys.stdlib_module_names)
    assert outside <= OUTSIDE[floor_of(name)]


def test_the_door_to_numba_alone_names_its_options():
    for name in NAMES:
        tree = ast.parse((PACKAGE / name).read_text(encoding="utf-8"))
        options = {word.arg for word in ast.walk(tree) if isinstance(word, ast.keyword)}
        assert Path(name) == Path("_kernels/jit.py") or not options & {"fastmath", "nopython", "nogil"}, name


def test_no_two_modules_share_a_name():
    names = [path.stem for path in MODULES if path.stem != "__init__"]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("name", [name for name in NAMES if Path(name).stem != "__init__"])
def test_each_module_has_its_tests(name):
    stem = Path(name).stem
    assert (TESTS / f"test_{TESTED_ELSEWHERE.get(stem, stem)}.py").exists()


@pytest.mark.parametrize("name", NAMES)
def test_no_file_is_two_things(name):
    assert len((PACKAGE / name).read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.parametrize("name", NAMES)
def test_each_module_says_what_it_is_for(name):
    assert ast.get_docstring(ast.parse((PACKAGE / name).read_text(encoding="utf-8")))


def test_each_folder_of_modules_is_a_package():
    assert {path.parent for path in MODULES} == {path.parent for path in MODULES if path.stem == "__init__"}


def test_the_version_is_written_once():
    try:
        assert skattn.__version__ == version("skattn")
    except PackageNotFoundError:
        pytest.skip("the package is not installed")


def test_types_are_shipped():
    assert (files("skattn") / "py.typed").is_file()


@pytest.mark.parametrize("name", sorted(skattn.__all__))
def test_public_names_are_there(name):
    assert getattr(skattn, name) is not None and name in dir(skattn)


def test_the_data_sets_come_when_they_are_asked_for(monkeypatch):
    monkeypatch.delattr(skattn, "datasets", raising=False)
    assert "skattn.datasets" == skattn.datasets.__name__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'SelfAttentoin'"):
        skattn.SelfAttentoin  # noqa: B018


def test_importing_the_package_imports_no_library():
    code = "import sys, skattn; print(*{'numba', 'sklearn', 'torch'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "" == run.stdout.strip()


def test_every_module_imports_without_an_extra():
    modules = [".".join(["skattn", *Path(name).with_suffix("").parts]).removesuffix(".__init__") for name in NAMES]
    code = f"import importlib, sys; [importlib.import_module(name) for name in {modules}]"
    code += "; print(*{'torch', 'matplotlib', 'safetensors', 'skops'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "" == run.stdout.strip()


@pytest.mark.parametrize("name", ["datasets", "inspection"])
def test_parts_are_there_without_an_import_of_their_own(name):
    result = subprocess.run(
        [sys.executable, "-c", f"import skattn; print(skattn.{name}.__name__)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == f"skattn.{name}"
