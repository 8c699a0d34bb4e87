"""Measure what a recorder costs a training step in PyTorch: a small CNN and a transformer of six layers.

    .venv-training/bin/python benchmarks/torch_recorder.py [--blocks N] [--rounds N] [--only TEXT] [--network NAME]
    .venv-training/bin/python benchmarks/torch_recorder.py --peers
    .venv-training/bin/python benchmarks/torch_recorder.py --memory

Each round is a step of every training, and begins with another, so that what else the machine does meets all. The
figures are medians over blocks of rounds: the processors' time of a training by that of the bare one, on one thread.
The exit status is 1 if one exceeds its limit. With ``--memory``, it is the memory of a training at its peak. With
``--peers``, it is what histograms of all gradients add to each step, by what they add with PyTorch's ``add_histogram``
and with ``wandb.watch`` offline, if wandb is installed; its service has a process of its own, which is not counted.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import nn

from tb2csv.recorders import TorchRecorder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: Seconds in which the threads of a peer finish what a step has left them. Sleep takes no time of a processor.
PAUSE: Final = 0.02

GRADIENTS: Final = {"gradient_statistics_every": 1}
EVERYTHING: Final = ("weights_every", "gradients_every", "activations_every", "layer_errors_every")

#: What is recorded, and the limits for the CNN and the transformer.
RECORDED: Final[dict[str, tuple[dict[str, Any], dict[str, float]]]] = {
    "statistics of gradients": (GRADIENTS, {"cnn": 1.12, "transformer": 1.12}),
    "statistics of gradients and activations": (
        {**GRADIENTS, "activation_statistics_every": 1},
        {"cnn": 1.40, "transformer": 1.25},
    ),
    "statistics of layer errors": ({"layer_error_statistics_every": 1}, {"cnn": 1.35, "transformer": 1.35}),
    "all tensors, every 100 steps": (dict.fromkeys(EVERYTHING, 100), {"cnn": 1.05, "transformer": 1.05}),
    "histograms of gradients": ({"gradient_histograms_every": 1}, {}),
}


def cnn() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """Return a network of 57 thousand parameters, and a batch of 32 images of 32 by 32 with their classes."""
    model = nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(64, 64, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, 10),
    )
    return model, torch.randn(32, 3, 32, 32), torch.randint(10, (32,))


class Transformer(nn.Module):
    """A language model of 1.26 million parameters: six layers of width 128."""

    def __init__(self) -> None:
        """Make the layers."""
        super().__init__()
        self.embedding = nn.Embedding(256, 128)
        layer = nn.TransformerEncoderLayer(128, 4, 512, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 6, enable_nested_tensor=False)
        self.head = nn.Linear(128, 256)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return [tokens, vocabulary]."""
        return self.head(self.encoder(self.embedding(tokens))).flatten(0, 1)  # type: ignore[no-any-return]


def transformer() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """Return a transformer, and a batch of 8 texts of 64 tokens with their next tokens."""
    return Transformer(), torch.randint(256, (8, 64)), torch.randint(256, (8 * 64,))


NETWORKS: Final = {"cnn": cnn, "transformer": transformer}


class Training:
    """A training whose steps can be timed."""

    def __init__(self, network: str, folder: Path, options: dict[str, Any] | None) -> None:
        """Make a network and an optimizer, and record it unless ``options`` is None."""
        torch.manual_seed(1)
        self.model, self._inputs, self._targets = NETWORKS[network]()
        self._optimizer = torch.optim.Adam(self.model.parameters())
        if options is not None:
            rates = {"learning_rate_every": None}
            TorchRecorder(self.model, folder, optimizer=self._optimizer, on_error="raise", **rates, **options)

    def cost_of_step(self) -> float:
        """Return the seconds of all processors that a step takes."""
        began = time.process_time()
        self._optimizer.zero_grad()
        self.backward()
        self._optimizer.step()
        return time.process_time() - began

    def backward(self) -> None:
        """Compute the gradients."""
        nn.functional.cross_entropy(self.model(self._inputs), self._targets).backward()


class PeerTraining(Training):
    """A training whose gradients another tool records."""

    def __init__(self, network: str, record: Callable[[nn.Module], Callable[[int], None]]) -> None:
        """Make a training; ``record`` returns what is called after each backward pass with the number of the step."""
        super().__init__(network, Path(), None)
        self._after_backward = record(self.model)
        self._step = 0

    def backward(self) -> None:
        """Compute the gradients, and record them."""
        super().backward()
        self._step += 1
        self._after_backward(self._step)


def by_summary_writer(folder: Path) -> Callable[[nn.Module], Callable[[int], None]]:
    """Return what records with PyTorch's SummaryWriter."""
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(folder)  # type: ignore[no-untyped-call]

    def record(model: nn.Module) -> Callable[[int], None]:
        def after_backward(step: int) -> None:
            for name, parameter in model.named_parameters():
                writer.add_histogram(f"gradients/{name}", parameter.grad, step)  # type: ignore[no-untyped-call]

        return after_backward

    return record


def by_wandb(folder: Path) -> Callable[[nn.Module], Callable[[int], None]] | None:
    """Return what records with Weights & Biases, or None if it is not installed."""
    if importlib.util.find_spec("wandb") is None:
        return None
    wandb: Any = importlib.import_module("wandb")
    settings = wandb.Settings(console="off", silent=True, x_disable_meta=True, x_disable_stats=True)
    run = wandb.init(mode="offline", dir=folder, settings=settings, reinit="finish_previous")

    def record(model: nn.Module) -> Callable[[int], None]:
        run.watch(model, log="gradients", log_freq=1)
        return lambda _: run.log({})

    return record


def by_itself(cost: Callable[[], float]) -> Callable[[], float]:
    """Return a step after another of the same training, with what its threads still do.

    A peer may leave work to threads, and freed memory that the next step has to get again.
    """

    def cost_of_second() -> float:
        cost()
        time.sleep(PAUSE)
        began = time.process_time()
        cost()
        time.sleep(PAUSE)
        return time.process_time() - began

    return cost_of_second


def print_peers(networks: Iterable[str], blocks: int, rounds: int) -> bool:
    """Print what histograms of gradients add by what they add with each peer; return whether a limit is exceeded."""
    is_over = False
    print(f"{'network':<13}{'histograms of gradients, by':<30}{'added':>9}{'by peer':>9}{'ratio':>7}{'limit':>7}")
    for network, (name, (limit, start)) in itertools.product(networks, PEERS.items()):
        with tempfile.TemporaryDirectory() as folder:
            record = start(Path(folder))
            if record is None:
                print(f"{network:<13}{name:<30}{'not installed':>25}")
                continue
            trainings = (
                Training(network, Path(folder), None),
                Training(network, Path(folder) / "recorder", {"gradient_histograms_every": 1}),
                PeerTraining(network, record),
            )
            bare, ours, peer = measure([by_itself(each.cost_of_step) for each in trainings], blocks, rounds)
        added, by_peer = (
            statistics.median(one - other for one, other in zip(costs, bare, strict=True)) for costs in (ours, peer)
        )
        is_over |= added / by_peer > limit
        sizes = f"{added * 1e3:>6.2f} ms{by_peer * 1e3:>6.2f} ms"
        print(f"{network:<13}{name:<30}{sizes}{added / by_peer:>7.3f}{limit:>7.2f}", flush=True)
    return is_over


#: Other tools, and the limits for the added time by theirs.
PEERS: Final[dict[str, tuple[float, Callable[[Path], Callable[[nn.Module], Callable[[int], None]] | None]]]] = {
    "add_histogram": (1 / 5, by_summary_writer),
    "wandb.watch": (1 / 3, by_wandb),
}


def measure(costs: list[Callable[[], float]], blocks: int, rounds: int) -> list[list[float]]:
    """Return what each of several steps cost in seconds, the mean of each block; another is first in each round."""
    for cost in costs:
        for _ in range(3):
            cost()
    found: list[list[float]] = [[] for _ in costs]
    for _ in range(blocks):
        sums = [0.0] * len(costs)
        for place in range(rounds * len(costs)):
            # Each round begins with another.
            number = (place + place // len(costs)) % len(costs)
            sums[number] += costs[number]()
        for each, total in zip(found, sums, strict=True):
            each.append(total / rounds)
    return found


def train_two_steps(folder: Path, options: dict[str, Any]) -> None:
    """Train ten wide layers for two steps, and record the first, which has the number 2, if there are options."""
    torch.manual_seed(1)
    model = nn.Sequential(*(nn.Linear(2_000, 2_000) for _ in range(10)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    if options:
        TorchRecorder(model, folder, optimizer=optimizer, first_step=2, on_error="raise", **options)
    for _ in range(2):
        optimizer.zero_grad()
        model(torch.randn(100, 2_000)).square().sum().backward()
        optimizer.step()


def print_memory() -> None:
    """Print the memory that trainings took at their peaks, each in a process of its own, and what was recorded."""
    os.environ["MALLOC_MMAP_THRESHOLD_"] = "65536"  # what is freed goes back to the system
    print(f"{'recorded':<44}{'peak':>9}{'recorded':>10}")
    for options in ({}, *({name: 2} for name in (*EVERYTHING, *GRADIENTS, "gradient_histograms_every"))):
        with tempfile.TemporaryDirectory() as folder:
            process = multiprocessing.get_context("spawn").Process(target=train_two_steps, args=(Path(folder), options))
            process.start()
            _, _, usage = os.wait4(process.pid or 0, 0)
            written = sum(path.stat().st_size for path in Path(folder).iterdir()) / 2**20
        print(f"{' '.join(options) or 'nothing':<44}{usage.ru_maxrss / 2**10:>5.0f} MiB{written:>6.0f} MiB")


def main() -> int:
    """Measure, print a table, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blocks", type=int, default=5, help="blocks of rounds (default: 5)")
    parser.add_argument("--rounds", type=int, default=100, help="rounds in a block, a multiple of 100 (default: 100)")
    parser.add_argument("--only", default="", metavar="TEXT", help="only rows that have this in their name")
    parser.add_argument("--network", choices=NETWORKS, help="only this network")
    parser.add_argument("--memory", action="store_true", help="only memory")
    parser.add_argument("--peers", action="store_true", help="only histograms of gradients, by those of other tools")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.memory:
        print_memory()
        return 0
    networks = [arguments.network] if arguments.network else list(NETWORKS)
    if arguments.peers:
        return int(print_peers(networks, arguments.blocks, arguments.rounds))
    is_over = False
    print(f"{'network':<13}{'recorded':<44}{'bare step':>10}{'ratio':>7}{'least':>7}{'most':>7}{'limit':>7}")
    for network in networks:
        rows = {name: row for name, row in RECORDED.items() if arguments.only in name}
        with tempfile.TemporaryDirectory() as folder:
            bare = Training(network, Path(folder), None)
            others = [Training(network, Path(folder) / name, options) for name, (options, _) in rows.items()]
            trainings = [each.cost_of_step for each in (bare, *others)]
            base, *recorded = measure(trainings, arguments.blocks, arguments.rounds)
        for (name, (_, limits)), costs in zip(rows.items(), recorded, strict=True):
            ratios = [one / other for one, other in zip(costs, base, strict=True)]
            ratio, limit = statistics.median(ratios), limits.get(network)
            is_over |= limit is not None and ratio > limit
            size = f"{statistics.median(base) * 1e3:>7.2f} ms{ratio:>7.3f}{min(ratios):>7.3f}{max(ratios):>7.3f}"
            print(f"{network:<13}{name:<44}{size}{'' if limit is None else f'{limit:>7.2f}'}", flush=True)
    return int(is_over)


if __name__ == "__main__":
    sys.exit(main())
