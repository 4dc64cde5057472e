"""Where no split is held out, all that needs the training split alone is measured all the same."""

from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer
from tiny import Pictures, picture_gan

import lightning_gan
from lightning_gan.callbacks import Evaluation
from lightning_gan.callbacks.measurements import measurements
from lightning_gan.datamodules import EvaluationBatches, Samples, Split


class AllTrained(Pictures):
    """Pictures of which none are held out."""

    def read_splits(self) -> dict[str, Split]:
        splits = super().read_splits()
        none = Split(torch.empty(0, 1, 8, 8, dtype=torch.uint8), torch.empty(0, dtype=torch.long))
        return {"train": splits["train"], "val": none, "test": none}


def trained(folder: Path) -> Trainer:
    gan = picture_gan(max_images=64, validate_every=32)
    return lightning_gan.fit(
        gan,
        AllTrained(8),
        folder,
        callbacks=[Evaluation(num_samples=20, cache_dir=str(folder / "cache"))],
        accelerator="cpu",
        enable_progress_bar=False,
    )


def test_the_distance_is_measured_and_the_best_generator_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trainer = trained(tmp_path)
    run = Path(trainer.log_dir)
    lines = (run / "evaluations.jsonl").read_text().splitlines()
    assert len(lines) == 2  # after 32 and 64 images
    assert all('"fid/pixel"' in line for line in lines)
    assert (run / "checkpoints" / "best.ckpt").is_file()
    assert len(list((run / "samples").glob("0*.png"))) == 3
    latest = measurements(trainer)
    assert latest.val is None
    assert latest.samples is not None
    assert sum("Nothing is held out in the val split" in each for each in caplog.messages) == 1


def test_a_test_without_held_out_data_measures_the_rest(tmp_path: Path) -> None:
    trainer = trained(tmp_path)
    trainer.test(trainer.lightning_module, AllTrained(8), verbose=False, weights_only=True)
    found = measurements(trainer).samples
    assert found is not None
    assert found.kernel is not None
    assert found.memorisation is not None
    assert found.memorisation.ct is None


def test_an_empty_split_is_one_empty_batch_on_every_process() -> None:
    empty = Split(torch.empty(0, 1, 8, 8, dtype=torch.uint8), torch.empty(0, dtype=torch.long))
    for rank in range(2):
        batches = EvaluationBatches(Samples(empty), 4, rank, 2)
        assert [len(labels) for _, labels in batches] == [0]
        assert len(batches) == 1
