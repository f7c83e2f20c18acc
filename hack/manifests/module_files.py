"""Files out of pinned Go modules, which are fetched once and nothing of which is built."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from hack.cluster.components import cache_key, go_version
from hack.cluster.go_build import GoBuilder, cache_root, only_builder
from hack.cluster.go_toolchain import find_go
from hack.cluster.progress import open_progress


@dataclass(frozen=True, slots=True)
class ModuleFiles:
    """Files of one module. source: the folder of go.mod and go.sum; within: their folder in the module; prefix: of the
    name of the cached folder.
    """

    module: str
    source: Path
    within: str
    names: tuple[str, ...]
    prefix: str

    @property
    def paths(self) -> list[Path]:
        """Where they are cached, under a key of everything that says which they are."""
        go_mod, go_sum = ((self.source / name).read_bytes() for name in ("go.mod", "go.sum"))
        folder = cache_root() / f"{self.prefix}{cache_key(go_mod, go_sum, self.names)}"
        return [folder / name for name in self.names]

    @property
    def are_there(self) -> bool:
        """Whether `ensure` has nothing to do."""
        return all(path.exists() for path in self.paths)

    def ensure(self) -> list[Path]:
        """The files, copied out of Go's module cache if that was never done. Raises ClusterError."""
        wanted = self.paths
        if self.are_there:
            return wanted
        folder = wanted[0].parent
        folder.mkdir(parents=True, exist_ok=True)
        with open_progress(1) as progress, only_builder(folder, progress):
            go = find_go(go_version((self.source / "go.mod").read_text()), cache_root(), progress)
            builder = GoBuilder(go, self.source, folder, progress)
            module = Path(json.loads(builder.run(self.module, "mod", "download", "-json", self.module))["Dir"])
            for file in wanted:
                # Under another name first: a file of this name is whole.
                shutil.copyfile(module / self.within / file.name, file.with_suffix(".new"))
                file.with_suffix(".new").rename(file)
            builder.clean()
        return wanted
