"""The house: imports go down the floors or sideways within one package, and what must be fast does not import torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

import nemgan

ROOT = Path(nemgan.__file__).parent

# Floor of each module or package of nemgan (docs/architecture.md). The report reads files that a run left and nothing
# else, so it lies below the experiments that end with it.
FLOORS = {
    "callers": 0,
    "errors": 0,
    "seeding": 0,
    "settings": 0,
    "storage": 0.5,
    "data": 1,
    "losses": 1,
    "layers": 0.5,
    "parts": 0.5,
    "networks": 1,
    "second_look": 1,
    "prior": 1,
    "merging": 1,
    "smoothing": 1.2,
    "prevalence": 1,
    "tones": 1,
    "marginals": 1,
    "cutting": 1.25,
    "consensus": 1.5,
    "counting": 1.5,
    "latent": 2,
    "models": 3,
    "training": 4,
    "evaluation": 4,
    "report": 4.5,
    "experiments": 5,
    "estimators": 6,
    "priors": 6.5,
    "terminal": 6,
    "cli": 7,
    "__main__": 8,
}
HEAVY = {"torch", "sklearn", "scipy", "matplotlib", "safetensors"}


def files() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in files()}


def _typing_only(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def imports(tree: ast.AST, *, top_only: bool) -> Iterator[str]:
    """Modules that a file imports: everywhere in it, or only those imported when the file is."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "write absolute imports"
            base = node.module or ""
            # `from package import module` imports the module, `from module import name` the module alone
            yield from ({f"{base}.{a.name}" if f"{base}.{a.name}" in MODULES else base for a in node.names})
        elif top_only and (
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            or (isinstance(node, ast.stmt) and _typing_only(node))
        ):
            continue
        else:
            yield from imports(node, top_only=top_only)


def floor(module: str) -> float | None:
    """Floor of a module of nemgan; None for the package itself and for other libraries."""
    parts = module.split(".")
    if parts[0] != "nemgan" or len(parts) == 1:
        return None
    assert parts[1] in FLOORS, f"{module} has no floor: add it here and to docs/architecture.md"
    return FLOORS[parts[1]]


def part(module: str) -> str:
    return module.split(".")[1]


@pytest.mark.parametrize("module", [name for name in MODULES if name != "nemgan"])
def test_imports_go_down(module: str) -> None:
    here = floor(module)
    assert here is not None
    for target in imports(ast.parse(MODULES[module].read_text("utf-8")), top_only=False):
        there = floor(target)
        if there is not None and part(target) != part(module):
            assert there < here, f"{module} imports {target}, which is not below"


def loaded_by(module: str, seen: set[str] | None = None) -> set[str]:
    """Everything that importing ``module`` imports, by reading the files: modules of nemgan and top-level libraries."""
    seen = set() if seen is None else seen
    pieces = module.split(".")
    for name in [".".join(pieces[: i + 1]) for i in range(len(pieces))]:
        if name in seen or name not in MODULES:
            continue
        seen.add(name)
        for target in imports(ast.parse(MODULES[name].read_text("utf-8")), top_only=True):
            if target.split(".")[0] == "nemgan":
                loaded_by(target, seen)
            else:
                seen.add(target.split(".")[0])
    return seen


@pytest.mark.parametrize(
    "module",
    ["nemgan", "nemgan.cli", "nemgan.data.catalog", "nemgan.models.catalog", "nemgan.experiments.prepare"],
)
def test_quick_commands_import_nothing_heavy(module: str) -> None:
    assert not loaded_by(module) & HEAVY


def test_no_file_imports_pickle_or_pyplot() -> None:
    for name, path in MODULES.items():
        found = set(imports(ast.parse(path.read_text("utf-8")), top_only=False))
        assert not {each for each in found if each.split(".")[0] in ("pickle", "dill", "joblib", "cloudpickle")}, name
        assert "matplotlib.pyplot" not in found, name


def test_importing_the_package_and_listing_data_leave_torch_alone() -> None:
    """The same, in a fresh process: what is found by reading files could miss an import made by a function."""
    code = (
        "import sys, nemgan, nemgan.cli\n"
        "try: nemgan.cli.main(['data', '--json'])\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "sys.exit(str(sorted({'torch', 'sklearn', 'scipy', 'matplotlib'} & set(sys.modules)) or ''))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr.strip() == "", done.stderr


def test_the_package_exports_what_it_lists() -> None:
    for name in nemgan.__all__:
        assert getattr(nemgan, name) is not None
    assert set(nemgan.__all__) <= set(dir(nemgan))
    assert ("NEMGANOverSampler" in nemgan.__all__) == (find_spec("imblearn") is not None)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = nemgan.nothing


def test_without_an_extra_the_rest_is_exported_and_the_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['imblearn'] = None\n"
        "import inspect, nemgan; from nemgan import *\n"
        "assert 'NEMGANClusterer' in dict(inspect.getmembers(nemgan)) and 'NEMGANOverSampler' not in dir(nemgan)\n"
        "try: from nemgan import NEMGANOverSampler\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert "pip install 'nemgan[imbalanced]'" in done.stdout, done.stderr
