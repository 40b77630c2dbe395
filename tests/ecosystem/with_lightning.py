"""A LightningModule with the wrapper as an attribute."""

import importlib

import torch

from tests.ecosystem.grown_up import Trained, optimizer_of
from tests.noisy_batches import batch

BATCHES = 6

QUIET_LIGHTNING = (
    # what it says to everybody whose data set is small
    "ignore:.*does not have many workers",
    # it asks torch for a class that torch has renamed
    "ignore:.isinstance.treespec, LeafSpec.. is deprecated:FutureWarning",
)


def parts(inner: str, fresh: bool, folder, last_epoch: int, callbacks=()):
    """The module, a loader of the same batches in each epoch, and a trainer of few words."""
    lightning = importlib.import_module("lightning.pytorch")

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.trained = Trained(inner, fresh)
            self.values: list[torch.Tensor] = []
            self.rates: list[float] = []

        def training_step(self, rows_and_labels, number):
            value = self.trained(*(part[0] for part in rows_and_labels))
            self.values.append(value.detach())
            return value

        def validation_step(self, rows_and_labels, number):
            rows, labels = (part[0] for part in rows_and_labels)
            self.trained.loss.trust(self.trained.network(rows), labels)
            self.rates.append(self.trained.loss.noise_rate)

        def configure_optimizers(self):
            return optimizer_of(self)

    rows, labels = zip(*(batch(100 + number)[:2] for number in range(BATCHES)), strict=True)
    dataset = torch.utils.data.TensorDataset(torch.stack(rows), torch.stack(labels))
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=last_epoch,
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=list(callbacks),
    )
    return Module(), torch.utils.data.DataLoader(dataset), trainer
