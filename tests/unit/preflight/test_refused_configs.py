"""What cannot work is refused by its words, with the key and the fix; what could be taken for it is let through."""

from __future__ import annotations

import inspect
import re

import pytest
from confs import compose
from lightning.pytorch import Trainer

from hardneg.errors import ConfigError
from hardneg.preflight.config import check_config
from hardneg.preflight.trainer_arguments import REFUSED

pytestmark = pytest.mark.usefixtures("nothing_is_loaded")


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["negatives=[in_batch,bm25]", "filter=teacher_score"], "none of negatives=[in_batch,bm25] has a teacher"),
        (
            ["teacher=bi_encoder", "negatives=[bm25]"],
            "teacher=bi_encoder needs weights: a checkpoint, as teacher.ckpt_path=FILE",
        ),
        (["teacher=cross_encoder", "teacher.model=x"], "none of negatives=[in_batch] has lists that it could score"),
        (
            ["teacher=cross_encoder", "teacher.model=x"],
            "write, in place of teacher=, +teacher@negatives.in_batch.teacher=bi_encoder"
            " +encoder@negatives.in_batch.teacher.encoder=minilm",
        ),
        (["loss=kl"], "loss=kl reads teacher scores"),
        (["encoder=minilm", "encoder.lr=auto"], "encoder.lr=auto is for encoder=static"),
        (["negatives=[mined]", "remine.warmup_epochs=2"], "trains without negatives=mined"),
        (["negatives=[in_batch,mined]", "remine.warmup_epochs=3"], "leaves none of trainer.max_epochs=3"),
        (
            ["negatives=[in_batch,mined]", "remine.warmup_epochs=1", "loss.infonce.sources=[mined]"],
            "trains on negatives=[in_batch] alone, which loss=[infonce] does not read",
        ),
        (["negatives=[in_batch,mined]", "negatives.mined.miner.weights=average"], "add callbacks=[ema]"),
        (["filter=[in_batch_margin]", "filter.in_batch_margin.sources=[inbatch]"], "sources names inbatch"),
        (["filter=[guide]"], "filter.guide has no guide"),
        (["filter=[guide]", "filter.guide.ckpt_path=none.ckpt"], "ckpt_path=none.ckpt: there is no such file"),
        (["alarms.p=1.5"], "alarms.p is a share"),
        (["evaluate.every_n_steps=0"], "evaluate.every_n_steps=0 must be a whole number, 1 or more"),
        (["evaluate.every_n_epochs=null"], "evaluate.every_n_epochs=None must be a whole number, 1 or more"),
        (["evaluate.documents=some"], "evaluate.documents='some' must be all or subset"),
        (["evaluate.documents=subset", "split.dev=null"], "is of the dev split, and split.dev is null"),
        (["evaluate.compare_with_all=perhaps"], "evaluate.compare_with_all='perhaps' must be true or false"),
        (["+evaluate.subset.top=3"], "evaluate.subset.top is unknown"),
        (["evaluate.subset.size=-1"], "evaluate.subset.size=-1 must be a whole number"),
        (["remine.every_n_epochs=0"], "remine.every_n_epochs=0 must be a whole number, 1 or more"),
        (["remine.keep_last=1"], "remine.keep_last=1 must be a whole number, 2 or more"),
        (["negatives=[mined]", "negatives.mined.miner.ckpt_path=nowhere"], "ckpt_path=nowhere: there is no such file"),
        (["negatives=[mined]", "negatives.mined.pool=500"], "k <= pool <= depth"),
        (["negatives=[mined]", "negatives.mined.swap.every_n_steps=0"], "swap.every_n_steps must be a whole number"),
        (["negatives=[bm25]", "negatives.bm25.swap.every_n_steps=9", "negatives.bm25.depth=4"], "k=4 is depth=4"),
        (
            ["negatives=[mined]", "negatives.mined.swap.every_n_steps=9"],
            "remine.every_n_epochs=1 gives each epoch",
        ),
    ],
)
def test_mining_that_cannot_work_is_refused(overrides, says):
    with pytest.raises(ConfigError, match=re.escape(says)):
        check_config(compose(*overrides))


def test_a_teacher_without_lists_to_score_is_refused_with_words_that_work():
    with pytest.raises(ConfigError) as refused:
        check_config(compose("loss=margin_mse", "teacher=cross_encoder", "teacher.model=x"))
    check_config(compose("loss=margin_mse", *re.findall(r"\+\S+", str(refused.value))))


SWAP = ["negatives=[mined]", "negatives.mined.swap.every_n_steps=9"]


@pytest.mark.parametrize(
    "more", ["remine.every_n_epochs=null", "remine.every_n_epochs=2", "negatives.mined.swap.floor=0.4"]
)
def test_negatives_are_swapped_where_some_are_drawn_twice(more):
    check_config(compose(*SWAP, more))


@pytest.mark.parametrize("name", ["train", "train_teacher"])
def test_a_batch_holds_a_query(name):
    with pytest.raises(ConfigError, match="batch_size=0 must be a whole number, 1 or more"):
        check_config(compose("batch_size=0", name=name))


def test_a_cross_encoder_swaps_nothing():
    with pytest.raises(ConfigError, match=r"negatives\.bm25\.swap is by similarities of a dual encoder"):
        check_config(compose("negatives=[bm25]", "negatives.bm25.swap.every_n_steps=9", name="train_teacher"))


AVERAGE = "+callbacks.other={{_target_: lightning.pytorch.callbacks.{}}}"
EMA = AVERAGE.format("EMAWeightAveraging")


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (
            ["+callbacks.swa={_target_: lightning.pytorch.callbacks.StochasticWeightAveraging, swa_lrs: 0.1}"],
            "callbacks.swa",
        ),
        (["callbacks=[ema]", EMA], "callbacks=ema,other keep an average each"),
        ([EMA, "negatives=[in_batch,queue]"], "would average what negatives=queue holds"),
        ([EMA, "encoder=minilm", "encoder.freeze=document"], "averages weights that encoder.freeze keeps"),
        (["callbacks=[ema]", "callbacks.ema.decay=1.0"], "callbacks.ema: decay is the share"),
    ],
)
def test_averaged_weights_that_would_not_count_or_be_wrong_are_refused(overrides, says):
    with pytest.raises(ConfigError, match=re.escape(says)):
        check_config(compose(*overrides))


def test_a_scheduler_may_have_a_value_for_each_group_of_weights():
    check_config(compose("schedule=any", f"schedule.scheduler._target_={ONE_CYCLE}", ONE_CYCLE_LR))
    lists = "+schedule.scheduler.max_lr=[0.1,0.2]"
    check_config(compose("schedule=any", f"schedule.scheduler._target_={ONE_CYCLE}", lists))


@pytest.mark.parametrize("more", ["monitor=val/world/mrr@10", "monitor=train/loss"])
def test_a_run_is_stopped_by_what_is_measured(more):
    """Also by one data set's metric, and without dev in a trial."""
    check_config(compose(*MIX, "callbacks=[early_stopping]", f"callbacks.early_stopping.{more}"))
    check_config(compose("callbacks=[early_stopping]", "debug=overfit"))


@pytest.mark.parametrize("override", ["callbacks=[ema]", EMA, AVERAGE.format("WeightAveraging")])
def test_averaged_weights_are_let_through(override):
    check_config(compose(override))


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["+trainer.val_check_interval=0.5"], "trainer.val_check_interval has no effect here; the dev split is"),
        (["+trainer.check_val_every_n_epoch=2"], "give evaluate.every_n_epochs"),
        (["+trainer.limit_val_batches=5"], "split.dev=null"),
        (["+trainer.num_sanity_val_steps=1"], "evaluate.before=true"),
        (["+trainer.enable_checkpointing=false"], "checkpoint.every_n_steps"),
        (["+trainer.logger=true"], "logger=csv"),
        (["+trainer.default_root_dir=x"], "hydra.run.dir"),
        (["+trainer.overfit_batches=2"], "debug=overfit trainer.limit_train_batches=N"),
        (["+trainer.limit_train_batches=2", "curriculum=temperature"], "give trainer.max_steps"),
        (["+trainer.limit_train_batches=1", "curriculum=temperature"], "give trainer.max_steps"),
        (["+trainer.limit_train_batches=0"], "leaves nothing to train on"),
        (["trainer.max_epochs=-1"], "leave the training without an end"),
        (["trainer.max_epochs=null"], "leave the training without an end"),
        (["trainer.max_epochs=0"], "trainer.max_epochs=0 must be 1 or more; -1 is without a limit"),
        (["trainer.max_steps=-2"], "trainer.max_steps=-2 must be 1 or more"),
        (["trainer.accumulate_grad_batches=0"], "trainer.accumulate_grad_batches=0 must be 1 or more"),
        (["trainer.max_steps=true"], "trainer.max_steps=True must be a whole number"),
        (["callbacks=[lr_monitor]", "logger=[]"], "callbacks.lr_monitor writes to loggers, and there are none"),
        (["callbacks=[device_stats]", "logger=[]"], "give one, as in logger=csv, or leave it out"),
    ],
)
@pytest.mark.parametrize("command", ["train", "train_teacher"])
def test_arguments_of_the_trainer_that_do_nothing_are_refused_with_the_key_that_does(command, overrides, says):
    if command == "train_teacher" and any(word.startswith("curriculum") for word in overrides):
        pytest.skip("a cross-encoder has no curriculum")
    with pytest.raises(ConfigError, match=re.escape(says)):
        check_config(compose(*overrides, name=command))


def test_every_refused_argument_is_one_of_the_trainer_and_the_others_pass():
    taken = inspect.signature(Trainer).parameters
    assert REFUSED.keys() <= taken.keys()
    check_config(compose("+trainer.limit_train_batches=2", "+trainer.max_time=00:01:00:00", "+trainer.profiler=simple"))


@pytest.mark.parametrize("debug", ["overfit", "limit", "profiler"])
def test_a_trial_may_cut_the_epochs_of_a_curriculum(debug):
    check_config(compose("curriculum=temperature", f"debug={debug}"))


EASY = ["strategy=easy_to_hard"]
ONE_CYCLE, ONE_CYCLE_LR = "torch.optim.lr_scheduler.OneCycleLR", "+schedule.scheduler.max_lr=0.1"


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["curriculum=custom"], "moves nothing; give curriculum.share, window or temperature"),
        (["curriculum=easy_to_hard"], "curriculum.share names bm25, mined, random, but only in_batch of this run"),
        (["curriculum=temperature", "loss=triplet"], "curriculum.temperature names infonce, but only nothing"),
        (["curriculum=temperature", "loss.infonce.learn_temperature=true"], "but only nothing of this run has one"),
        (["curriculum=rank_window", "negatives=[random]"], "curriculum.window names mined"),
        (["curriculum=rank_window", "negatives=[mined]", "negatives.mined.depth=150"], "beyond negatives.mined.depth"),
        ([*EASY, "curriculum.share.random=[1,1,0]"], "adds up to 2 at 33% of the training; at most 1"),
        ([*EASY, "curriculum.share.random=[2,0,0]"], "is a share, 0 to 1"),
        ([*EASY, "curriculum.share.random=[]"], "curriculum.share.random is empty"),
        ([*EASY, "curriculum.at=[0.5]"], "curriculum.share.random has 3 values, but curriculum.at=[0.5] asks for 2"),
        ([*EASY, "curriculum.at=[0.6,0.5]"], "rising shares of the training"),
        ([*EASY, "curriculum.shape=wild"], "curriculum.shape must be one of steps, linear"),
        ([*EASY, "curriculum.slots=0"], "curriculum.slots must be 1 or more"),
        ([*EASY, "negatives.mined.pool=3", "negatives.mined.k=3"], "k <= pool <= depth, got k=4"),
        ([*EASY, "+curriculum.share.in_batch=[1,0.5]"], "must be 1 (on) or 0 (off)"),
        ([*EASY, "trainer.max_epochs=-1"], "needs to know the run's length"),
        (["negatives=random", "curriculum=custom", "+curriculum.share.random=[1,0]"], "leaves no source of negatives"),
        (
            [
                "curriculum=two_stage",
                "negatives=[in_batch,bm25]",
                "loss=[infonce,gor]",
                "loss.infonce.sources=[in_batch]",
            ],
            "leaves negatives=[bm25] at 75% of the training, which loss=[infonce,gor] does not read",
        ),
        ([*EASY, "curriculum=self_paced", "curriculum.pace.above=1"], "one bound, either below or above"),
        ([*EASY, "curriculum=self_paced", "curriculum.pace.metrics=[negatives/fused/loss]"], "of none of negatives="),
        ([*EASY, "curriculum=self_paced", "curriculum.pace.metrics=[negatives/bm25/los]"], "margin, similarity, loss"),
        ([*EASY, "curriculum=self_paced", "curriculum.pace.metrics=[]"], "names nothing to measure"),
        ([*EASY, "curriculum=self_paced", "curriculum.pace.rises=0"], "every_n_steps and rises must be 1 or more"),
    ],
)
def test_a_curriculum_that_cannot_work_is_refused(overrides, says):
    with pytest.raises(ConfigError, match=re.escape(says)):
        check_config(compose(*overrides))


@pytest.mark.parametrize(
    "words",
    [
        ["curriculum=two_stage", "negatives=[in_batch,bm25]", "loss.infonce.sources=[bm25]"],
        ["curriculum=hard_ratio", "curriculum.share={bm25: [0,1], random: [1,0]}", "loss.infonce.sources=[bm25]"],
        ["experiment=f2llm_v2_small", "remine.warmup_epochs=1", "trainer.max_epochs=3"],
    ],
)
def test_what_a_loss_reads_may_be_little_or_for_another_loss(words):
    more = ["negatives=[in_batch,bm25,random]"] if "curriculum=hard_ratio" in words else []
    check_config(compose(*words, *more))


def test_what_takes_turns_is_not_corrected_alike():
    both = ("negatives=[in_batch,queue]", "negatives.in_batch.logq=true", "curriculum=custom")
    check_config(compose(*both, "+curriculum.share={in_batch: [1,0], queue: [0,1]}"))
    for moved in "share={in_batch: [1,1,0], queue: [0,1,1]}", "temperature={infonce: [0.1,0.05]}":
        with pytest.raises(ConfigError, match="loss=infonce reads in_batch and queue"):
            check_config(compose(*both, f"+curriculum.{moved}"))


MIX = ["data=mix", "+data@data.sets.code=pydocs", "+data@data.sets.world=toy"]
CLOSED = ["filter=[known_positives,same_set]", "filter.same_set.offline_only=[world]"]


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["data=mix"], "data.sets is empty"),
        ([*MIX, "data.sets.world.docs=1"], "data.docs: 1 cannot hold"),
        ([*MIX, "data.sets.world._target_=os.system"], "data.sets.world._target_='os.system' is not allowed"),
        ([*MIX, "+data.sets.world.dosc=3"], "data.sets.world.dosc is unknown"),
        ([*MIX, "+data@data.sets.more=beir"], "no value for data.sets.more.path"),
        ([*MIX, "+data.prompts.law={query: x}"], "data.prompts.law: there is no such set; data.sets has code, world"),
        ([*MIX, *CLOSED], "leaves these sets none of negatives=[in_batch]"),
        ([*CLOSED, "negatives=[in_batch,bm25]"], "offline_only names world, and there are no sets"),
        ([*MIX, *CLOSED, "negatives=[in_batch,mined]", "remine.warmup_epochs=1"], "leaves these sets none"),
        (
            [*MIX, *CLOSED, "negatives=[in_batch,bm25]", "loss.infonce.symmetric=true"],
            "set loss.infonce.symmetric=false",
        ),
        (
            [*MIX, CLOSED[0], "data.batches=blended", "loss.infonce.symmetric=true"],
            "set loss.infonce.symmetric=false or data.batches=same_set",
        ),
        ([*MIX, "negatives=[in_batch,queue]", "negatives.queue.logq=true"], "set negatives.queue.logq=false"),
        (
            [*MIX, "+negatives.memory={_target_: hardneg.negatives.queue.Queue, logq: true}"],
            "set negatives.memory.logq=false",
        ),
        ([*MIX, *CLOSED, "negatives=[bm25]", "filter.same_set.offline_only=[law]"], "none of data.sets (code, world)"),
    ],
)
def test_a_mix_that_cannot_work_is_refused(overrides, says):
    with pytest.raises(ConfigError, match=re.escape(says)):
        check_config(compose(*overrides))


@pytest.mark.parametrize("name", ["train", "train_teacher", "mine", "probe"])
def test_every_command_takes_a_mix(name):
    check_config(compose(*MIX, *CLOSED, "negatives=[bm25]", name=name))


@pytest.mark.parametrize("typo", ["+batch_sise=3", "+evaluate.dept=5", "+split.tset=x", "+checkpoint.every=3"])
def test_a_key_that_nothing_reads_is_refused(typo):
    with pytest.raises(ConfigError, match=typo.split("=")[0].removeprefix("+").rsplit(".")[-1]):
        check_config(compose(typo))


TWO_SETS = ["data=mix", "+data@data.sets.web=toy", "+data@data.sets.faq=toy"]


@pytest.mark.parametrize(
    ("overrides", "key", "fix"),
    [
        (["+negatives.in_batch.hrad=true"], "negatives.in_batch.hrad is unknown", "it takes hard"),
        (["+loss.infonce.temprature=1"], "loss.infonce.temprature is unknown", "temperature"),
        (["data=beir"], "no value for data.path", "data.path=VALUE"),
        (["encoder=transformer"], "no value for encoder.model", "encoder.model=VALUE"),
        (["data._target_=os.system"], "data._target_='os.system' is not allowed", "hardneg."),
        (["encoder._target_=builtins.open"], "encoder._target_='builtins.open'", "must start with one of"),
        (["negatives.in_batch._target_=subprocess.run"], "negatives.in_batch._target_", "must start with one of"),
        (["+callbacks.mine={_target_: os.remove, path: x}"], "callbacks.mine._target_", "must start with one of"),
        (["evaluate.bm25._target_=shutil.rmtree"], "evaluate.bm25._target_", "must start with one of"),
        (["+callbacks.deep=[{_target_: os.system}]"], "callbacks.deep[0]._target_", "must start with one of"),
        (["data._target_=hardneg.data.toy.Toi"], "data._target_='hardneg.data.toy.Toi' cannot be imported", "Toi"),
        (["negatives=[random]", "negatives.random.k=0"], "negatives.random: ", "k >= 1"),
        (["negatives=[bm25]", "negatives.bm25.k=9", "negatives.bm25.pool=5"], "negatives.bm25: ", "k <= pool <= depth"),
        (["negatives=[bm25]", "negatives.bm25.miner.language=klingon"], "negatives.bm25", "english"),
        (["negatives=[bm25]", "~negatives.bm25.miner"], "negatives.bm25.miner is missing", "needs it"),
        (["loss.infonce.temperature=0.0"], "loss.infonce", "positive"),
        (["loss.infonce.weight=0.0"], "loss.infonce: ", "leave the loss out"),
        (["loss=triplet", "loss.triplet.reduction=none"], "loss.triplet.reduction", "hardest"),
        (["encoder.query.max_length=1"], "max_length", "at least 2"),
        (["encoder.dim=0"], "dim", ">= 1"),
        (["encoder=minilm", "encoder.pooling=sum"], "encoder.pooling", "mean, cls, last"),
        (["schedule.warmup=10.0"], "schedule.warmup", "0 <= warmup < 1"),
        (["evaluate.metrics=[ndgc@10]"], "evaluate.metrics: 'ndgc@10'", "ndcg@k"),
        (["++negatives.bm25.k=3"], "negatives.bm25 has settings but was not chosen", "negatives=[bm25]"),
        (["filter.known_positives=null"], "filter.known_positives=null takes nothing away", "~filter.known_positives"),
        (["++filter.margin.x=3"], "filter.margin has settings but was not chosen", "filter=[margin]"),
        (["negatives=[random]", "loss.infonce.symmetric=true"], "loss.infonce.symmetric", "needs in_batch"),
        (
            ["loss.infonce.hardness=5.0", "loss.infonce.hardness_sources=[bm52]"],
            "hardness_sources names bm52",
            "in_batch",
        ),
        (["loss.infonce.sources=[bm52]"], "loss.infonce.sources names bm52", "negatives=[in_batch]"),
        (["loss.infonce.sources=in_batch"], "loss.infonce: sources is a list", "[in_batch]"),
        (
            ["negatives=[in_batch,bm25]", "loss.infonce.symmetric=true", "loss.infonce.sources=[bm25]"],
            "loss.infonce.symmetric",
            "needs in_batch",
        ),
        (["loss.infonce.sets=[web]"], "loss.infonce.sets names web", "data=mix"),
        ([*TWO_SETS, "loss.infonce.sets=[web]"], "no loss reads faq", "null for all"),
        ([*TWO_SETS, "loss.infonce.sets=web"], "loss.infonce: sets is a list", "[web]"),
        ([*TWO_SETS, "negatives=bm25", "+data.k.faq=3"], "data.k.faq=3", "{SOURCE: NUMBER}"),
        (["callbacks=[temperature_warmup]", "callbacks.temperature_warmup.losses=[nope]"], "names nope", "infonce"),
        (
            ["callbacks=[temperature_warmup]", "curriculum=custom", "+curriculum.temperature.infonce=[0.1,0.05]"],
            "curriculum.temperature.infonce",
            "leave one of them out",
        ),
        ([*TWO_SETS, "data.batches=mixed"], "data.batches='mixed'", "same_set, blended"),
        ([*TWO_SETS, "data.batches=blended", "negatives.in_batch.logq=true"], "logq=true", "data.batches=same_set"),
        (
            [*TWO_SETS, "negatives=[in_batch,queue]", "negatives.in_batch.logq=true"],
            "loss=infonce",
            "documents; set negatives.in_batch.logq=false, or leave",  # a queue of several sets is not corrected
        ),
        ([*TWO_SETS, "+data.k.faq={bm25: 1}"], "data.k.faq.bm25", "source of drawn negatives"),
        ([*TWO_SETS, "negatives=bm25", "+data.k.faq={bm25: -1}"], "data.k.faq={'bm25': -1}", "{SOURCE: NUMBER}"),
        ([*TWO_SETS, "negatives=bm25", "+data.k.fqa={bm25: 1}"], "data.k.fqa", "web, faq"),
        (["batches=topics"], "batches=topics clusters", "+encoder@batches.encoder=minilm"),
        (
            ["batches=topics", "+encoder@batches.encoder=minilm", "negatives.in_batch.logq=true"],
            "logq=true",
            "batches.clusters=null",
        ),
        (
            ["+teacher@negatives.in_batch.teacher=cross_encoder", "negatives.in_batch.teacher.model=x", "loss=kl"],
            "a CrossEncoderTeacher cannot score every pair",
            "+teacher@negatives.in_batch.teacher=bi_encoder",
        ),
        (["negatives.in_batch.logq=true", "loss=triplet"], "negatives.in_batch.logq=true corrects", "add infonce"),
        (["negatives=[in_batch,queue]", "negatives.queue.logq=true"], "loss=infonce", "in_batch.logq=true too"),
        (["negatives=[in_batch,queue]", "negatives.in_batch.logq=true"], "loss=infonce", "queue.logq=true too"),
        (["encoder.matryoshka=[64,512]"], "encoder.matryoshka needs widths of at most 256", "got 512"),
        (
            ["encoder=minilm", "encoder.matryoshka=[64,512]"],
            "encoder.matryoshka needs widths of at most 384",
            "got 512",
        ),
        (["encoder.init=minilm", "encoder.matryoshka=[512]"], "encoder.matryoshka needs widths of at most 384", "512"),
        (["encoder.matryoshka={64: 0}"], "encoder.matryoshka: the weight of 64", "must be positive"),
        (["negatives=[]"], "negatives=[]", "negatives=in_batch"),
        (["loss=[]"], "loss=[]", "loss=infonce"),
        (["batch_size=1"], "batch_size=1", "larger batch_size"),
        (["positives=0"], "positives=0", "1 or more"),
        (["positives=1.5"], "positives=1.5", "whole number"),
        (["+negatives.odd={_target_: hardneg.losses.infonce.InfoNCE}"], "negatives.odd is a InfoNCE", "source"),
        (["+loss.odd={_target_: hardneg.negatives.random.Random, k: 1}"], "loss.odd is a Random", "not a loss"),
        (["encoder=llm", "encoder.model=x", "encoder.lora.r=null"], "encoder.dtype=bfloat16", "encoder.lora.r"),
        (["encoder=minilm", "encoder.lora.r=0"], "encoder.lora.r", "or null"),
        (["encoder=minilm", "encoder.latents.heads=0"], "encoder.latents", "at least 1"),
        (["init_from=nowhere"], "init_from=nowhere", "no such file"),
        (["trainer=fsdp2", "encoder.momentum=0.9"], "trainer=fsdp2", "encoder.momentum=null"),
        (["trainer=fsdp2", "encoder=minilm", "encoder.freeze=document"], "trainer=fsdp2", "encoder.freeze=null"),
        (["encoder.freeze=document"], "start from random weights", "init_from=CHECKPOINT"),
        (["encoder=momentum", "encoder.freeze=document"], "encoder.momentum", "set one of the two to null"),
        (["trainer=fsdp2", "encoder=minilm", "encoder.grad_cache=true"], "trainer=fsdp2", "encoder.grad_cache=false"),
        (["trainer=fsdp2", "encoder=minilm", "encoder.tokens=500"], "trainer=fsdp2", "encoder.tokens=auto"),
        (["trainer=fsdp2", "loss.infonce.learn_temperature=true"], "loss.infonce", "learn_temperature=false"),
        (["trainer=fsdp2", "callbacks=[ema]"], "trainer=fsdp2", "callbacks=[ema]"),
        (
            ["trainer=fsdp2", "encoder=minilm", "encoder.separate=true", "encoder.lora.r=4"],
            "trainer=fsdp2",
            "encoder.separate=false",
        ),
        (["trainer=fsdp2", "optimizer=adafactor"], "trainer=fsdp2", "optimizer=adamw"),
        (["optimizer.groups={top: {lr: 1}}"], "optimizer.groups.top", "add match"),
        (["optimizer.groups={head: {rate: 1}}"], "optimizer.groups.head.rate", "a group takes match, lr"),
        (["optimizer.groups={head: {lr: -1.0}}"], "optimizer.groups.head with lr=-1.0", "Invalid learning rate"),
        (["optimizer.layer_decay=2"], "optimizer.layer_decay", "at most 1"),
        (["optimizer=any", "optimizer._target_=torch.optim.LBFGS"], "LBFGS", "optimizer=adamw"),
        (["optimizer=any", "optimizer._target_=torch.optim.SparseAdam"], "SparseAdam makes no step", "optimizer=adamw"),
        (["schedule=plateau", "split.dev=null"], "schedule=plateau", "schedule=constant"),
        (["callbacks=[early_stopping]", "split.dev=null"], "callbacks.early_stopping", "leave it out"),
        (
            ["callbacks=[early_stopping]", "callbacks.early_stopping.monitor=val/map"],
            "callbacks.early_stopping.monitor=val/map",
            "one of val/ndcg@10, val/mrr@10",
        ),
        (["schedule=wsd", "schedule.decay=0.95"], "schedule.decay=0.95", "more than it"),
        (
            ["optimizer=adafactor", "schedule=any", f"schedule.scheduler._target_={ONE_CYCLE}", ONE_CYCLE_LR],
            "schedule.scheduler with optimizer=torch.optim.Adafactor",
            "must support momentum",
        ),
        (
            ["schedule=any", "schedule.scheduler._target_=torch.optim.lr_scheduler.CosineAnnealingWarmRestarts"],
            "schedule.scheduler (CosineAnnealingWarmRestarts): missing a required argument: 'T_0'",
            "+schedule.scheduler.NAME=VALUE",
        ),
        (["run_name=${no.such.key}"], "cannot be resolved", "no.such.key"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_work_is_refused_with_the_key_and_the_fix(overrides, key, fix):
    with pytest.raises(ConfigError) as raised:
        check_config(compose(*overrides))
    assert key in str(raised.value)
    assert fix in str(raised.value)


def test_an_optimizer_that_steps_on_a_gpu_alone_is_let_through():
    check_config(compose("optimizer=any", "optimizer._target_=torch.optim.Adam", "+optimizer.capturable=true"))


def test_a_loss_that_reads_teacher_scores_needs_a_source_with_a_teacher(monkeypatch):
    from hardneg.losses.infonce import InfoNCE

    monkeypatch.setattr(InfoNCE, "needs_teacher", True)
    with pytest.raises(ConfigError, match=r"loss=infonce reads teacher scores.*in_batch.*add a source with a teacher"):
        check_config(compose())
