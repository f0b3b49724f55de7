"""What libraries say on every run, and nobody needs to read."""

from __future__ import annotations

import logging
import os
import sys
import warnings

from hardneg.system import launch


def silence_libraries() -> None:
    """Silence tips, and hints that do not apply to us."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists and is not empty.*")
    # It is: the data module keeps the position.
    warnings.filterwarnings("ignore", message=".*your dataloader is not resumable.*")
    warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")
    warnings.filterwarnings("ignore", message=".*in eval mode at the start of training.*")  # frozen documents
    warnings.filterwarnings("ignore", message=".*smaller than the logging interval.*")
    warnings.filterwarnings("ignore", message=".*recommended to use .self.log.*sync_dist=True.*")
    if launch.local_rank() != 0:  # rank 0 says it
        logging.getLogger("hardneg").setLevel(logging.WARNING)
        logging.getLogger("hardneg.data").setLevel(logging.ERROR)  # it has read the same data
    for name in ("lightning", "lightning.pytorch"):
        logger = logging.getLogger(name)
        logger.handlers.clear()  # ours print the same lines
        logger.propagate = True  # Lightning stops it where it is imported before logging is set up, as in a notebook
    # Bars of a second each that stay on the screen; ours show what takes long.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    if os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] == "1":
        _no_bars()
    logging.getLogger("huggingface_hub").propagate = False  # it has a handler of its own: each line came twice
    # httpx tells of each request, as to a Qdrant server, and matplotlib that it has looked for fonts.
    known = (
        "lightning.fabric.utilities.distributed",
        "lightning.pytorch.utilities.rank_zero",
        "lightning.pytorch.accelerators.cuda",
        "faiss.loader",
        "httpx",
        "matplotlib.font_manager",
    )
    for noisy in known:
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _no_bars() -> None:
    """Tell what has read the variable already: libraries do when they are imported, by the check of a config, say."""
    if "huggingface_hub" in sys.modules:
        from huggingface_hub.utils import disable_progress_bars

        disable_progress_bars()
    if "transformers" in sys.modules:
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
