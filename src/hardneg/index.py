"""hardneg index: embed a corpus into an index beside the live one, check it, and switch."""

from __future__ import annotations

import logging
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from hardneg import checkpoint, configs, preflight
from hardneg.data.tables import RetrievalData
from hardneg.serving.backends.base import Backend
from hardneg.serving.build import Builder
from hardneg.serving.encoder import TextEncoder
from hardneg.serving.folder import IndexFolder
from hardneg.serving.live import open_build
from hardneg.serving.words import located

log = logging.getLogger(__name__)

OWN = ("ckpt_path=", "index.path=", "switch=", "rebuild=", "keep=")  # words that the command to mend an index gives


def index(cfg: DictConfig) -> None:
    """Build, check, switch, and remove what is no longer kept."""
    preflight.check(cfg)
    backend: Backend = configs.build(cfg.index)
    backend.check()
    encoder = TextEncoder(checkpoint.load(cfg.ckpt_path), cfg.device, cfg.precision, cfg.width)
    data: RetrievalData = configs.build(cfg.data).load()
    folder = IndexFolder(backend.path)
    with folder.writing():
        builder = Builder(folder, backend, encoder, cfg.shard, cfg.rebuild)
        build = builder.build(data, source_of(cfg))
        opened = open_build(build, encoder, data.corpus, new=True)  # raises for a build that must not answer
        opened.close()
        if cfg.switch:
            folder.switch(build)
        else:
            folder.put_beside(build)
        folder.prune(cfg.keep, build, build.manifest.space if cfg.rebuild else None)
    log.info("%s", opened.freshness)
    if build.name in folder.stack()[:1]:
        log.info('live: hardneg search %s "..."', backend.path)
    else:
        log.info("beside the live one; to switch: hardneg index switch %s %s", backend.path, build.name)


def source_of(cfg: DictConfig) -> dict:
    """Where checkpoint and data are, and the words of the command that another index of them takes."""
    words = [word for word in HydraConfig.get().overrides.task if not word.startswith(OWN)]
    data, words = located(configs.plain(cfg.data), words)  # hardneg check may be called from anywhere
    return {"ckpt_path": str(Path(cfg.ckpt_path).resolve()), "data": data, "words": words}
