"""The package, where Python takes the repository's folder for it.

A script or notebook beside a clone that is called `hardneg` finds this folder first, and without this file would get an
empty package: "module 'hardneg' has no attribute 'train'". What is installed otherwise than from this clone goes first.
"""

import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

if __name__ == "hardneg":
    here = Path(__file__).parent
    spec = PathFinder.find_spec(__name__, [path for path in sys.path if Path(path).resolve() != here.parent.resolve()])
    if spec is None or spec.origin is None:
        place = here / "src" / "hardneg"
        spec = spec_from_file_location(__name__, place / "__init__.py", submodule_search_locations=[str(place)])
    assert spec is not None and spec.loader is not None
    sys.modules[__name__] = package = module_from_spec(spec)
    spec.loader.exec_module(package)
