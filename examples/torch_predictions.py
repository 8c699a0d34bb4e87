"""Predictions of a network of PyTorch: of some samples while it trains, and of all by its exported file.

python examples/torch_predictions.py OUT
"""

import sys
from pathlib import Path

import torch
from torch import nn

import tb2csv
from tb2csv.recorders import TorchPredictionRecorder


def main(out: Path) -> None:
    """Train a classifier for some epochs, and write what it predicts into ``out``."""
    torch.manual_seed(0)
    inputs, targets = torch.randn(30, 2), torch.arange(30) % 3
    model = nn.Sequential(nn.Linear(2, 3), nn.Softmax(dim=1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    with TorchPredictionRecorder(model, inputs, out / "logs", targets=targets, sample_size=5) as predictions:
        for epoch in range(3):
            optimizer.zero_grad()
            nn.functional.nll_loss(model(inputs).log(), targets).backward()
            optimizer.step()
            predictions.end_epoch(epoch)
    tb2csv.convert(out / "logs", out / "tables")
    print(f"classes of five samples: {out}/tables/tensors/predictions/output/label.csv")

    exported = torch.export.export(model.eval(), (inputs,), dynamic_shapes=[{0: torch.export.Dim("samples")}])
    torch.export.save(exported, out / "model.pt2")
    tb2csv.predict(out / "model.pt2", inputs.numpy(), out / "predictions.csv", target=targets.numpy(), trust=True)
    print(f"sample, label, target, class_0 to class_2: {out}/predictions.csv")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
