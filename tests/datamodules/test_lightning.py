"""The batches under a real trainer: interrupted anywhere, on one process and on two."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor

from lightning_gan.datamodules import RealData, Split

pytestmark = [
    # Lightning 2.6 flattens batches with a class that torch 2.14 deprecates
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*:DeprecationWarning"),
]

Seen = list[tuple[list[int], list[float]]]


class Counted(RealData):
    """26 training pictures and 7 for validation, each labelled with its row."""

    name = "counted"
    channels = 1
    image_size = 2
    num_classes = 0
    class_names = ()

    def read_splits(self) -> dict[str, Split]:
        images = torch.arange(26 * 4, dtype=torch.uint8).view(26, 1, 2, 2)
        labels = torch.arange(26)
        held_out = Split(images[:7], labels[:7])
        return {"train": Split(images, labels), "val": held_out, "test": held_out}


class Recorder(LightningModule):
    """Notes what it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: Seen = []
        self.evaluated: list[list[int]] = []

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def training_step(self, batch: tuple[Tensor, Tensor]) -> None:
        images, labels = batch
        self.seen.append((labels.tolist(), images.flatten().tolist()))
        optimizer: Any = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(self.weight * images.mean())
        optimizer.step()

    def validation_step(self, batch: tuple[Tensor, Tensor]) -> None:
        self.evaluated.append(batch[1].tolist())


class SaveEverywhere(Callback):
    """Saves in every hook that ModelCheckpoint and others save in, under the batches seen."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.saved: dict[str, int] = {}

    def _save(self, trainer: Trainer, module: LightningModule, hook: str) -> None:
        assert isinstance(module, Recorder)
        if not trainer.sanity_checking:
            name = str(self.folder / f"{hook}-{len(module.seen)}.ckpt")
            trainer.save_checkpoint(name)
            self.saved[name] = len(module.seen)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, *args: object
    ) -> None:
        self._save(trainer, pl_module, "batch")

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._save(trainer, pl_module, "validation")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._save(trainer, pl_module, "epoch")


def make_trainer(folder: Path, *callbacks: Callback, **settings: Any) -> Trainer:
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False}
    return Trainer(
        accelerator="cpu",
        devices=1,
        default_root_dir=folder,
        callbacks=list(callbacks),
        enable_checkpointing=any(isinstance(one, ModelCheckpoint) for one in callbacks),
        **quiet,
        **settings,
    )


SETTINGS: list[dict[str, Any]] = [
    {"max_epochs": 3},
    {"max_epochs": -1, "max_steps": 15},
    {"max_epochs": 3, "limit_val_batches": 0},
    {"max_epochs": 3, "limit_train_batches": 3, "val_check_interval": 2},
    {"max_epochs": -1, "max_steps": 9, "limit_train_batches": 3},
    {"max_epochs": 3, "reload_dataloaders_every_n_epochs": 1, "limit_val_batches": 0},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda given: "-".join(map(str, given)))
def test_a_run_that_is_cut_anywhere_goes_on_with_the_very_batches(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    straight = Recorder()
    saver = SaveEverywhere(tmp_path)
    make_trainer(tmp_path, saver, **settings).fit(straight, datamodule=Counted(5, flip=True))
    limit = settings.get("limit_train_batches", 5)
    assert len(straight.seen) == 3 * limit
    epochs = [straight.seen[start : start + limit] for start in range(0, 3 * limit, limit)]
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]
    assert len(saver.saved) >= 3 * limit + 2  # the last epoch's hook may be cut by max_steps
    for path, count in saver.saved.items():
        resumed = Recorder()
        make_trainer(tmp_path, **settings).fit(
            resumed, datamodule=Counted(5, flip=True), ckpt_path=path, weights_only=True
        )
        assert resumed.seen == straight.seen[count:], path


# Lightning advises to save weights from before the step, of automatic optimization's kind
@pytest.mark.filterwarnings("ignore:Using ModelCheckpoint with manual optimization")
@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")
def test_checkpoints_of_lightning_resume_in_mid_epoch_and_at_its_end(tmp_path: Path) -> None:
    straight = Recorder()
    each = ModelCheckpoint(tmp_path, "{step}", every_n_train_steps=3, save_top_k=-1)
    make_trainer(tmp_path, each, max_epochs=3).fit(straight, datamodule=Counted(5))
    for step in (3, 6, 9, 12, 15):
        resumed = Recorder()
        path = str(tmp_path / f"step={step}.ckpt")
        again = ModelCheckpoint(tmp_path, "{step}", every_n_train_steps=3, save_top_k=-1)
        make_trainer(tmp_path, again, max_epochs=4).fit(
            resumed, datamodule=Counted(5), ckpt_path=path
        )
        assert resumed.seen[: 15 - step] == straight.seen[step:]
        assert len(resumed.seen) == 20 - step


@pytest.mark.parametrize("settings", [{"max_epochs": 4}, {"max_epochs": -1, "max_steps": 20}])
@pytest.mark.parametrize("hook", ["batch", "epoch"])
def test_a_run_that_is_cut_again_and_again_sees_what_an_uncut_one_sees(
    tmp_path: Path, settings: dict[str, Any], hook: str
) -> None:
    straight = Recorder()
    make_trainer(tmp_path, **settings).fit(straight, datamodule=Counted(5))
    seen: Seen = []
    path = None
    for cut in (5, 7, 10, 15) if hook == "batch" else (5, 10, 15):
        part = Recorder()
        saver = SaveEverywhere(tmp_path)
        make_trainer(tmp_path, saver, **settings).fit(
            part, datamodule=Counted(5), ckpt_path=path, weights_only=True
        )
        count = cut - len(seen)
        path = str(tmp_path / f"{hook}-{count}.ckpt")
        seen += part.seen[:count]
    last = Recorder()
    make_trainer(tmp_path, **settings).fit(last, datamodule=Counted(5), ckpt_path=path)
    assert seen + last.seen == straight.seen


def test_what_one_trainer_sees_is_what_a_plain_loop_sees(tmp_path: Path) -> None:
    recorder = Recorder()
    make_trainer(tmp_path, max_epochs=3).fit(recorder, datamodule=Counted(4, flip=True))
    batches = Counted(4, flip=True).train_dataloader()
    plain = [(y.tolist(), x.flatten().tolist()) for _ in range(3) for x, y in batches]
    assert recorder.seen == plain
    assert recorder.evaluated[-2:] == [[0, 1, 2, 3], [4, 5, 6]]


def test_a_second_fit_of_the_same_module_and_data_starts_at_the_first_epoch(tmp_path: Path) -> None:
    data, first, second = Counted(4), Recorder(), Recorder()
    make_trainer(tmp_path, max_epochs=2).fit(first, datamodule=data)
    make_trainer(tmp_path, max_epochs=2).fit(second, datamodule=data)
    assert first.seen == second.seen


def test_overfitting_shows_the_same_batches_in_every_epoch(tmp_path: Path) -> None:
    recorder = Recorder()
    trainer = make_trainer(tmp_path, max_epochs=2, overfit_batches=2)
    with pytest.warns(UserWarning, match="turning off the train dataloader shuffling"):
        trainer.fit(recorder, datamodule=Counted(4, flip=True))
    assert recorder.seen[:2] == recorder.seen[2:]


class WriteDown(Callback):
    """Writes what a process saw to a file, since its memory ends with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, Recorder)
        torch.save(
            {"seen": pl_module.seen, "evaluated": pl_module.evaluated},
            self.folder / f"rank{trainer.global_rank}.pt",
        )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::Warning")  # those of the spawned processes are not ours
def test_two_processes_share_batches_without_a_sampler_or_padding(tmp_path: Path) -> None:
    one = Recorder()
    make_trainer(tmp_path, max_epochs=2).fit(one, datamodule=Counted(4, flip=True))
    Trainer(
        accelerator="cpu",
        devices=2,
        strategy="ddp_spawn",
        max_epochs=2,
        callbacks=[WriteDown(tmp_path)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    ).fit(Recorder(), datamodule=Counted(2, flip=True))
    ranks = [torch.load(tmp_path / f"rank{rank}.pt") for rank in range(2)]
    together = [
        (rows + more_rows, pixels + more_pixels)
        for (rows, pixels), (more_rows, more_pixels) in zip(
            ranks[0]["seen"], ranks[1]["seen"], strict=True
        )
    ]
    assert together == one.seen
    assert ranks[0]["evaluated"] == [[0, 1], [4]] * 2
    assert ranks[1]["evaluated"] == [[2, 3], [5, 6]] * 2
