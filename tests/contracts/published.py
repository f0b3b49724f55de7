"""What sources publish of some recipes, key by key, beside what conf/experiment composes to.

`python tests/contracts/published.py` prints the table. A key that differs has its reason here, and the reader of the
recipe finds it in the yaml.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import recipe_page

NOTHING = "nothing"  # the key is not there


class Published(NamedTuple):
    """What a source says of a key; `ours` and `why` where ours is not that. What is remembered is not confirmed."""

    key: str
    says: Any
    ours: Any = None
    why: str = ""
    confirmed: bool = True

    @property
    def expected(self) -> Any:
        """What the recipe must compose to."""
        return self.ours if self.why else self.says


MASKED = Published("filter.known_positives.at", NOTHING, "both", "known positives are masked, in every recipe")
UNSAID_DECAY = Published("optimizer.weight_decay", "not said", 0.01, "our default where a source is silent")
E5_START = "intfloat/e5-base-unsupervised"
BGE_PROMPT = "Represent this sentence for searching relevant passages: "
OWN_SET = "as the source's other stages are not public, and a published model has seen this one already"
YOURS = "a teacher is given by the user; the published one is not in a form that is read"


def remembered(*rows: Published) -> list[Published]:
    return [row._replace(confirmed=False) for row in rows]


def lengths(query: int, document: int | None = None) -> list[Published]:
    return [
        Published("encoder.query.max_length", query),
        Published("encoder.document.max_length", query if document is None else document),
    ]


def prompts(query: str, document: str = "") -> list[Published]:
    return [Published("encoder.query.prompt", query), Published("encoder.document.prompt", document)]


def pooled(how: str, normalize: bool) -> list[Published]:
    return [Published("encoder.pooling", how), Published("encoder.normalize", normalize)]


def trained(lr: float, batch: int, **length: int) -> list[Published]:
    found = [Published("optimizer.lr", lr), Published("batch_size", batch)]
    return found + [Published(f"trainer.{key}", value) for key, value in length.items()]


NV_MINER = [
    Published("negatives.mined.miner.encoder.model", "intfloat/e5-mistral-7b-instruct"),
    Published("negatives.mined.sampling", "top"),
    *remembered(Published("negatives.mined.k", 7)),
    Published("filter.relative_margin.margin", 0.05),
]
ROCKET_TOWER = [
    Published("encoder.model", "ERNIE 2.0 base", "nghuyong/ernie-2.0-base-en", "its conversion for transformers"),
    *pooled("cls", False),
    *lengths(32, 128),
    Published("loss.infonce.temperature", 1.0),
    *trained(3e-5, 4096),
    Published("optimizer.weight_decay", 0.0),
]
DENOISED = [
    *ROCKET_TOWER,
    Published("trainer.max_epochs", "10 of four instances a query", 40, "a query is one row of an epoch here"),
    Published("negatives.mined.depth", 50),
    Published("negatives.mined.pool", 4),
    Published("negatives.mined.k", 1),
    Published("filter.teacher_score.high", "a probability of 0.1", -2.2, "its logit, which is what the teacher gives"),
    Published("negatives.random", "fill up below rank 50", NOTHING, "a list left short stays short"),
]

# By recipe, or stage of one.
PUBLISHED: dict[str, list[Published]] = {
    "e5": [
        Published("encoder.model", E5_START),
        *pooled("mean", True),
        *prompts("query: ", "passage: "),
        *lengths(192),
        Published("negatives.mined.k", 7),
        Published("negatives.mined.miner.encoder", "SimLM's lists", None, "mined by the model itself before training"),
        Published("loss.kl.temperature", 0.01),
        Published("loss.kl.weight", 1.0),
        Published("loss.infonce.temperature", 0.01),
        Published("loss.infonce.weight", 0.2),
        Published("teacher.model", "a cross-encoder", "yours", YOURS),
        *trained(2e-5, 256, max_epochs=3),
        Published("schedule.warmup_steps", 400),
        UNSAID_DECAY,
        MASKED,
    ],
    "bge": [
        Published("encoder.model", "BGE before fine-tuning", E5_START, OWN_SET),
        *pooled("cls", True),
        *prompts(BGE_PROMPT),
        *lengths(512),
        Published("negatives.mined.k", 1),
        Published("filter.rank_window.skip", 10),
        Published("filter.rank_window.last", 210),
        Published("negatives.mined.depth", 210),
        Published("negatives.mined.sampling", "15 at random, once", "uniform", "drawn anew each epoch from all ranks"),
        Published("loss.infonce.temperature", 0.02),
        Published("loss.kl", NOTHING),
        Published("batch_size", "not said", 256, "base.sh's 2 is for testing"),
        Published("optimizer.lr", 1e-5),
        Published("optimizer.weight_decay", 0.0),
        Published("schedule.warmup", 0.1),
        Published("trainer.max_epochs", 5),
        MASKED,
    ],
    "nv_embed/1_in_batch": [
        Published("encoder.model", "mistralai/Mistral-7B-v0.1"),
        Published("encoder.bidirectional", True),
        *pooled("latent_attention", True),
        Published("encoder.include_prompt", False),
        *remembered(
            Published("encoder.latents.count", 512),
            Published("encoder.latents.heads", 8),
            Published("encoder.lora.r", 16),
            Published("encoder.lora.alpha", 32.0),
            *lengths(512),
            Published("loss.infonce.temperature", 0.02),
            *trained(2e-5, 128, max_steps=20_000),
        ),
        Published(
            "encoder.query.prompt",
            "of each task",
            "Instruct: Given a question, retrieve passages that answer it\nQuery: ",
            "one, where data=mix data.prompts gives each set its own",
        ),
        Published("negatives.in_batch.hard", True),
        *NV_MINER,
        UNSAID_DECAY,
        MASKED,
    ],
    "nv_embed/2_hard_only": [
        Published("negatives.in_batch", NOTHING),
        *NV_MINER,
        Published("data.batches", "blended", NOTHING, "retrieval data alone; with more: data=mix data.batches=blended"),
        *remembered(*trained(1.5e-5, 128, max_steps=18_000)),
        MASKED,
    ],
    "qwen3": [
        Published("encoder.model", "after the weak stage", "Qwen/Qwen3-0.6B-Base", OWN_SET),
        *pooled("last", True),
        Published("encoder.lora.r", None),
        Published("loss.infonce.temperature", 0.01),
        Published("negatives.in_batch.hard", True),
        Published("negatives.blocks.of", ["query_query"]),
        Published("negatives.documents.of", ["document_document"]),
        Published("negatives.documents.hard", True),
        Published("filter.in_batch_margin.margin", 0.1),
        Published("filter.in_batch_margin.sources", ["in_batch", "mined", "blocks"]),
        Published("negatives.given", "the data's", NOTHING, "mined here, as its data are not public"),
        *trained(6e-6, 32, max_epochs=5, accumulate_grad_batches=4),
        UNSAID_DECAY,
        MASKED,
    ],
    "arctic": [
        *pooled("cls", True),
        *prompts(BGE_PROMPT),
        *remembered(
            Published("negatives.mined.k", 10),
            Published("filter.score_window.high", 0.8),
            Published("loss.infonce.temperature", 0.02),
        ),
        Published("negatives.mined.miner.encoder.model", "a strong one", "intfloat/e5-large-v2", "not named there"),
        Published("schedule.warmup", 0.0),
        Published("schedule.shape", "linear"),
        Published("optimizer.lr", "not said", 1e-5, "ours"),
        Published("batch_size", "not said", 256, "ours"),
        UNSAID_DECAY,
        MASKED,
    ],
    "arctic_public": [
        Published("encoder.model", E5_START),
        *pooled("cls", True),
        *prompts("query: ", "passage: "),
        *lengths(512),
        Published("negatives.in_batch", NOTHING),
        Published("negatives.mined.k", 10),
        Published("negatives.mined.depth", 1000),
        Published("negatives.mined.sampling", "top"),
        Published("negatives.mined.miner.encoder.model", "Snowflake/snowflake-arctic-embed-l-v2.0"),
        Published("filter.relative_margin.margin", 0.05),
        Published("filter.relative_margin.positive", "min"),
        Published("positives", 3),
        Published("loss.infonce.temperature", 0.02),
        *trained(3e-5, 256, max_epochs=1),
        Published("optimizer.weight_decay", 0.01),
        Published("schedule.warmup_steps", 500),
        Published("schedule.decay_steps", 1000),
        Published("trainer.gradient_clip_val", 10.0),
        Published("mined.min_negatives", 10, NOTHING, "a query with fewer negatives stays in"),
        MASKED,
    ],
    "tasb": [
        Published("encoder.model", "distilbert/distilbert-base-uncased"),
        *pooled("cls", False),
        Published("encoder.query.max_length", 30),
        Published("encoder.document.max_length", "not said", 200, "ours"),
        Published("negatives.bm25.k", 1),
        Published("negatives.bm25.sampling", "stratified"),
        Published("loss.margin_mse.scale", 1.0),
        Published("loss.margin_mse_in_batch.weight", 0.75),
        Published(
            "negatives.in_batch.teacher.encoder.model",
            "ColBERT",
            "sentence-transformers/msmarco-bert-base-dot-v5",
            "a bi-encoder: its vectors are looked up",
        ),
        *remembered(Published("batches.clusters", 2000)),
        Published("teacher.model", "three BERTs together", "yours", YOURS),
        *trained(7e-6, 256),
        *remembered(Published("trainer.max_steps", 400_000)),
        Published("optimizer.weight_decay", 0.0),
        Published("schedule.shape", "constant"),
        Published("schedule.factor", 0.25),
        MASKED,
    ],
    "rocketqa/1_cross_batch": [
        *ROCKET_TOWER,
        Published("negatives.in_batch.hard", True),
        Published("negatives.random.k", 1),
        Published("trainer.max_epochs", "40 of four instances a query", 160, "a query is one row of an epoch here"),
        MASKED,
    ],
    "rocketqa/2_teacher": [
        Published("encoder.model", "ERNIE 2.0 large", "nghuyong/ernie-2.0-large-en", "its conversion for transformers"),
        Published("encoder.max_length", 160),
        Published("negatives.mined.k", 4),
        Published("negatives.mined.depth", 1000),
        Published("negatives.mined.sampling", "uniform"),
        Published("loss.infonce", NOTHING, {"temperature": 1.0}, "beside the binary loss, for the order"),
        Published("batch_size", "64 pairs on each of 4 GPUs", 52, "in queries, with five pairs each: 260"),
        Published("optimizer.lr", 1e-5),
        Published("schedule.warmup", 0.0),
        Published("trainer.max_epochs", 2),
        UNSAID_DECAY,
    ],
    "rocketqa/3_denoised": [*DENOISED, Published("negatives.mined.relabel", None), MASKED],
    "rocketqa/4_augmented": [
        *DENOISED,
        Published("negatives.mined.relabel", "a probability of 0.9", 2.2, "its logit"),
        Published("positives", "the best candidate above", 1, "all above 0.9 in turn with the labelled ones"),
        Published("data", "1.7M unlabelled queries beside", NOTHING, "the training queries alone"),
        MASKED,
    ],
}
ABSENT = ("data.batches", "mined.min_negatives", "data")  # of which only the reason can be told


def ours(name: str, key: str) -> Any:
    """What the recipe composes to at a key, `NOTHING` where there is no such key."""
    node: Any = recipe_page.composed(name, recipe_page.recipes()[name])
    for part in () if key in ABSENT else key.split("."):
        if not isinstance(node, dict) or part not in node:
            return NOTHING
        node = node[part]
    return NOTHING if key in ABSENT else node


def table() -> str:
    """The table, in Markdown."""
    lines = ["| recipe | key | source says | ours | same / differs |", "|---|---|---|---|---|"]
    for name, rows in PUBLISHED.items():
        for row in rows:
            found = row.ours if isinstance(row.ours, dict) else ours(name, row.key)
            says, is_here = (str(value).replace("\n", "\\n") for value in (row.says, found))
            says += "" if row.confirmed else " (remembered, not confirmed)"
            verdict = f"differs on purpose: {row.why}" if row.why else "same"
            lines.append(f"| {name} | `{row.key}` | {says} | {is_here} | {verdict} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
