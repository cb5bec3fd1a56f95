"""Chat with Qwen2.5 on your own GPU: a page, an OpenAI-compatible API and the engine behind both."""

import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from types import ModuleType

__version__ = "0.1.0"

# torch's OpenMP threads spin while they wait for each other. Beside a browser or a client on the same cores, libgomp's
# own patience of some milliseconds makes tokens several times slower; this little costs a few per cent on idle cores.
# libgomp reads it once, when torch is first imported.
os.environ.setdefault("GOMP_SPINCOUNT", "3000")


class GradioWithoutStubs(SourceFileLoader):
    """Gradio's ``component_meta`` without what it does for editors: at every import it parses all its components and
    writes type stubs of them into its own folder. That is half the time of its import, and two processes that start
    at once write the same files."""

    module = "gradio.component_meta"

    @classmethod
    def find_spec(cls, name: str, path: Sequence[str] | None = None, target: object = None) -> ModuleSpec | None:
        found = PathFinder.find_spec(name, path) if name == cls.module else None
        if found is None or found.origin is None:
            return None
        return spec_from_file_location(name, found.origin, loader=cls(name, found.origin))

    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        vars(module)["create_or_modify_pyi"] = lambda *component: None


sys.meta_path.insert(0, GradioWithoutStubs)
