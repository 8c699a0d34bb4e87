"""Loss curves of many small trainings at once: healthy ones of many kinds, and ones with a known fault.

All trainings of a kind differ in data, initial weights and order of samples. They run side by side: the first axis of
every tensor counts trainings. The constants of the rules were chosen with seeds from 1000 on; ``diagnosis_rates.py``
measures with seeds from 2000 on, and the tests have seeds from 3000 on.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

#: Curves by tag, each of shape ``(trainings, steps)``.
Curves = dict[str, "npt.NDArray[np.float64]"]

STEPS = 300
#: A validation loss is written every so many steps.
VALIDATED_EVERY = 5
INPUTS, WIDTH, CLASSES = 10, 24, 4


class Perceptrons(nn.Module):
    """Networks with one hidden layer, one for each training."""

    def __init__(self, count: int, inputs: int, outputs: int, width: int = WIDTH) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.randn(count, inputs, width) / inputs**0.5)
        self.first_bias = nn.Parameter(torch.zeros(count, 1, width))
        self.second = nn.Parameter(torch.randn(count, width, outputs) / width**0.5)
        self.second_bias = nn.Parameter(torch.zeros(count, 1, outputs))

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.tanh(torch.baddbmm(self.first_bias, x, self.first))
        return torch.baddbmm(self.second_bias, hidden, self.second)


class Samples(NamedTuple):
    """Inputs and targets of each training."""

    x: Tensor
    y: Tensor

    def batch(self, size: int) -> Samples:
        rows = torch.randint(0, self.x.shape[1], (self.x.shape[0], size))
        return self.rows(rows)

    def rows(self, rows: Tensor) -> Samples:
        every = torch.arange(len(self.x))[:, None]
        return Samples(self.x[every, rows], self.y[every, rows])


def labelled(count: int, samples: int, teacher: Perceptrons, noise: float = 0.0) -> Samples:
    """Return samples with the classes that a random network gives them; a share of the labels is wrong."""
    x = torch.randn(count, samples, INPUTS)
    with torch.no_grad():
        y = (2 * teacher(x)).argmax(-1)
    wrong = torch.rand(y.shape) < noise
    return Samples(x, torch.where(wrong, torch.randint(0, CLASSES, y.shape), y))


def cross_entropy(outputs: Tensor, y: Tensor) -> Tensor:
    """Return the loss of each training."""
    return nn.functional.cross_entropy(outputs.transpose(1, 2), y, reduction="none").mean(1)


def step(optimizer: torch.optim.Optimizer, losses: Tensor) -> None:
    """Take one step of all trainings; none has a part in the gradient of another."""
    optimizer.zero_grad()
    losses.sum().backward()
    optimizer.step()


def recorded(**columns: list[Tensor]) -> Curves:
    return {tag.replace("__", "/"): torch.stack(values, 1).detach().double().numpy() for tag, values in columns.items()}


# Healthy trainings


def classifier(
    count: int,
    *,
    batch: int = 32,
    noise: float = 0.0,
    samples: int = 2000,
    schedule: Callable[[int], float] = lambda _: 0.3,
    before: int = 0,
    momentum: float = 0.0,
) -> Curves:
    """Train classifiers by stochastic gradient descent; ``before`` steps are taken before anything is written."""
    teacher = Perceptrons(count, INPUTS, CLASSES)
    training, validation = labelled(count, samples, teacher, noise), labelled(count, 300, teacher, noise)
    model = Perceptrons(count, INPUTS, CLASSES)
    optimizer = torch.optim.SGD(model.parameters(), 0.3, momentum=momentum)
    for _ in range(before):
        part = training.batch(batch)
        step(optimizer, cross_entropy(model(part.x), part.y))
    losses, validated = [], []
    for number in range(STEPS):
        optimizer.param_groups[0]["lr"] = schedule(number)
        part = training.batch(batch)
        loss = cross_entropy(model(part.x), part.y)
        step(optimizer, loss)
        losses.append(loss)
        if number % VALIDATED_EVERY == 0:
            with torch.no_grad():
                validated.append(cross_entropy(model(validation.x), validation.y))
    return recorded(loss=losses, val_loss=validated)


def unshuffled(count: int) -> Curves:
    """Train on samples in the order of their difficulty's cycle, so that losses of neighbouring steps are alike."""
    teacher = Perceptrons(count, INPUTS, CLASSES)
    training = labelled(count, 4000, teacher)
    order = (training.x[..., 0] + 0.3 * torch.randn(training.x.shape[:2])).argsort(1)
    training = training.rows(order.reshape(count, 8, 500).transpose(1, 2).reshape(count, -1))
    model = Perceptrons(count, INPUTS, CLASSES)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    losses = []
    for number in range(STEPS):
        begin = 16 * number % 4000
        part = Samples(training.x[:, begin : begin + 16], training.y[:, begin : begin + 16])
        loss = cross_entropy(model(part.x), part.y)
        step(optimizer, loss)
        losses.append(loss)
    return recorded(loss=losses)


def outliers(count: int) -> Curves:
    """Fit targets with errors of Student's distribution (3 degrees of freedom) by squared errors."""
    teacher = Perceptrons(count, INPUTS, 1)
    x = torch.randn(count, 4000, INPUTS)
    with torch.no_grad():
        y = 3 * teacher(x) + torch.distributions.StudentT(3.0).sample((count, 4000, 1))
    training, model = Samples(x, y), Perceptrons(count, INPUTS, 1)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    losses = []
    for _ in range(STEPS):
        part = training.batch(8)
        loss = (model(part.x) - part.y).square().mean((1, 2))
        step(optimizer, loss)
        losses.append(loss)
    return recorded(loss=losses)


def real_points(count: int, size: int) -> Tensor:
    """Return points of a mixture of four normal distributions."""
    angle = torch.randint(0, 4, (count, size)) * math.pi / 2
    return torch.stack([angle.cos(), angle.sin()], -1) * 2 + 0.3 * torch.randn(count, size, 2)


def gan(count: int) -> Curves:
    """Train generators and discriminators with the loss that does not saturate; ``loss`` is the sum of theirs."""
    generator, discriminator = Perceptrons(count, 4, 2), Perceptrons(count, 2, 1)
    optimizers = [torch.optim.Adam(each.parameters(), 2e-3, (0.5, 0.9)) for each in (generator, discriminator)]
    softplus = nn.functional.softplus
    of_generator, of_discriminator = [], []
    for number in range(2 * STEPS):
        made = generator(torch.randn(count, 32, 4))
        real, fake = discriminator(real_points(count, 32)), discriminator(made.detach())
        loss = (softplus(-real) + softplus(fake)).mean((1, 2))
        step(optimizers[1], loss)
        own = softplus(-discriminator(made)).mean((1, 2))
        step(optimizers[0], own)
        if number % 2:
            of_discriminator.append(loss)
            of_generator.append(own)
    of_both = [one + other for one, other in zip(of_discriminator, of_generator, strict=True)]
    return recorded(discriminator__loss=of_discriminator, generator__loss=of_generator, loss=of_both)


def wasserstein(count: int) -> Curves:
    """Train generators against critics whose weights are clipped; both losses are around zero."""
    generator, critic = Perceptrons(count, 4, 2), Perceptrons(count, 2, 1)
    optimizers = [torch.optim.RMSprop(each.parameters(), 1e-3) for each in (generator, critic)]
    of_generator, of_critic = [], []
    for _ in range(STEPS):
        for _ in range(2):
            fake = generator(torch.randn(count, 32, 4)).detach()
            loss = (critic(fake) - critic(real_points(count, 32))).mean((1, 2))
            step(optimizers[1], loss)
            with torch.no_grad():
                for each in critic.parameters():
                    each.clamp_(-0.3, 0.3)
        own = -critic(generator(torch.randn(count, 32, 4))).mean((1, 2))
        step(optimizers[0], own)
        of_critic.append(loss)
        of_generator.append(own)
    return recorded(critic__loss=of_critic, generator__loss=of_generator)


def policy_gradient(count: int) -> Curves:
    """Train policies of contextual bandits by REINFORCE with a baseline; the loss is around zero, returns rise."""
    environment, policy = Perceptrons(count, INPUTS, CLASSES), Perceptrons(count, INPUTS, CLASSES)
    optimizer = torch.optim.Adam(policy.parameters(), 3e-3)
    baseline = torch.zeros(count, 1)
    losses, returns = [], []
    for _ in range(STEPS):
        x = torch.randn(count, 16, INPUTS)
        logits = policy(x)
        actions = torch.distributions.Categorical(logits=logits).sample()
        with torch.no_grad():
            reward = environment(x).gather(2, actions[..., None])[..., 0] + 0.5 * torch.randn(count, 16)
        chosen = logits.log_softmax(-1).gather(2, actions[..., None])[..., 0]
        loss = -((reward - baseline) * chosen).mean(1)
        step(optimizer, loss)
        baseline = 0.95 * baseline + 0.05 * reward.mean(1, keepdim=True)
        losses.append(loss)
        returns.append(reward.mean(1))
    return recorded(train__loss=losses, reward=returns)


def q_learning(count: int) -> Curves:
    """Train values of actions on a ring of states with a target network that is renewed every 30 steps."""
    states = 12
    model, target = Perceptrons(count, states, 2), Perceptrons(count, states, 2)
    target.load_state_dict(model.state_dict())
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    eye = torch.eye(states)
    losses = []
    for number in range(STEPS):
        if number % 30 == 0:
            target.load_state_dict(model.state_dict())
        state, action = torch.randint(0, states, (count, 32)), torch.randint(0, 2, (count, 32))
        after = (state + 2 * action - 1) % states
        reward = (after == 0).float() + 0.1 * torch.randn(count, 32)
        with torch.no_grad():
            wanted = reward + 0.9 * target(eye[after]).max(-1).values
        value = model(eye[state]).gather(2, action[..., None])[..., 0]
        loss = (value - wanted).square().mean(1)
        step(optimizer, loss)
        losses.append(loss)
    return recorded(train__loss=losses)


def variational(count: int) -> Curves:
    """Train variational autoencoders; the weight of the KL term grows from 0 to 1 in half of the training."""
    mixing = torch.randn(count, 3, INPUTS)
    encoder, decoder = Perceptrons(count, INPUTS, 6), Perceptrons(count, 3, INPUTS)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], 3e-3)
    losses, divergences, validated = [], [], []

    def loss_of(x: Tensor, weight: float) -> tuple[Tensor, Tensor]:
        mean, log_variance = encoder(x).chunk(2, -1)
        code = mean + torch.exp(log_variance / 2) * torch.randn_like(mean)
        kl = (mean.square() + log_variance.exp() - 1 - log_variance).sum(-1).mean(1) / 2
        error = (decoder(code) - x).square().sum(-1).mean(1) / 2 / 0.25
        return error + weight * kl, kl

    def samples(size: int) -> Tensor:
        return torch.tanh(torch.randn(count, size, 3)) @ mixing + 0.5 * torch.randn(count, size, INPUTS)

    for number in range(STEPS):
        weight = min(1.0, 2 * number / STEPS)
        loss, kl = loss_of(samples(32), weight)
        step(optimizer, loss)
        losses.append(loss)
        divergences.append(kl)
        if number % VALIDATED_EVERY == 0:
            with torch.no_grad():
                validated.append(loss_of(samples(300), weight)[0])
    return recorded(loss=losses, kl_loss=divergences, val_loss=validated)


def contrastive(count: int) -> Curves:
    """Train encoders to find the other view of a sample among those of 32."""
    encoder = Perceptrons(count, INPUTS, 8)
    optimizer = torch.optim.Adam(encoder.parameters(), 3e-3)
    losses = []
    for _ in range(STEPS):
        x = torch.randn(count, 32, INPUTS)
        views = [nn.functional.normalize(encoder(x + 0.3 * torch.randn_like(x)), dim=-1) for _ in range(2)]
        logits = views[0] @ views[1].transpose(1, 2) / 0.2
        loss = cross_entropy(logits, torch.arange(32).expand(count, 32))
        step(optimizer, loss)
        losses.append(loss)
    return recorded(loss=losses)


def double_descent(count: int) -> Curves:
    """Fit noisy targets by features of two sizes: the validation loss falls, rises, and falls again.

    Gradient descent on squares has a closed form. Of 100,000 iterations, more and more lie between two values.
    """
    size = torch.cat([torch.ones(20), torch.full((20,), 0.05)]).double()
    x, validation = (torch.randn(count, rows, 40).double() * size for rows in (40, 300))
    parts = torch.cat([torch.full((20, 1), (12 / 20) ** 0.5), torch.full((20, 1), (6 / 20) ** 0.5 / 0.05)])
    weights = torch.randn(count, 40, 1).double() * parts
    y, known = x @ weights + 0.2 * torch.randn(count, 40, 1), validation @ weights
    values, vectors = torch.linalg.eigh(x.transpose(1, 2) @ x / 40)
    target = vectors.transpose(1, 2) @ x.transpose(1, 2) @ y / 40
    losses, validated = [], []
    for number in range(STEPS):
        iterations = round(1e5 ** (number / (STEPS - 1)))
        learnt = -torch.expm1(iterations * torch.log1p(-0.2 * values)) / values
        model = vectors @ (learnt[..., None] * target)
        losses.append((x @ model - y).square().mean((1, 2)))
        if number % VALIDATED_EVERY == 0:
            validated.append((validation @ model - known).square().mean((1, 2)) + 0.04)
    return recorded(loss=losses, val_loss=validated)


# Processes, not trainings: noise whose neighbouring values are alike, and noise with heavy tails.


def autoregressive(count: int, most: float = 0.97) -> npt.NDArray[np.float64]:
    """Return processes of variance 1 whose neighbouring values correlate by 0.5 to ``most``."""
    correlation = torch.rand(count) * (most - 0.5) + 0.5
    value, columns = torch.randn(count), []
    for _ in range(STEPS):
        value = correlation * value + (1 - correlation**2).sqrt() * torch.randn(count)
        columns.append(value)
    return torch.stack(columns, 1).double().numpy()


def wandering(count: int) -> Curves:
    """Return losses that wander around a level, as those of two networks that compete do."""
    spread = (torch.rand(count, 1) * 0.25 + 0.05).numpy()
    own = 0.2 * torch.randn(count, STEPS).numpy()
    return {"loss": 0.7 * np.exp(spread * autoregressive(count) + own)}


def around_zero(count: int) -> Curves:
    """Return losses around zero: a third each with heavy tails, with light ones, and with values that correlate."""
    heavy = torch.distributions.StudentT(3.0).sample((count, STEPS)).double().numpy()
    light = torch.randn(count, STEPS).double().numpy()
    return {"loss": one_of(0.01 * heavy, light, autoregressive(count) + 0.5 * light)}


def heavy_tails(count: int) -> Curves:
    """Return losses that fall, a third each with noise of a log-normal, a Pareto and a Student's distribution."""
    fall = 0.2 + 2.0 * np.exp(-6 * np.arange(STEPS) / STEPS)
    normal = torch.randn(count, STEPS).double().numpy()
    pareto = torch.distributions.Pareto(1.0, 2.5).sample((count, STEPS)).double().numpy()
    student = torch.distributions.StudentT(2.5).sample((count, STEPS)).double().numpy()
    return {"loss": fall * one_of(np.exp(0.8 * normal), pareto, 1 + 0.1 * np.abs(student))}


def one_of(*curves: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return curves of each kind in turn."""
    every = np.arange(len(curves[0]))
    return np.stack(curves)[every % len(curves), every]


def cosine(number: int, cycle: int = STEPS, highest: float = 0.5) -> float:
    return 0.005 + highest / 2 * (1 + math.cos(math.pi * (number % cycle) / cycle))


def triangle(number: int, cycle: int = 60) -> float:
    return 0.02 + 1.5 * (1 - abs(2 * (number % cycle) / cycle - 1))


HEALTHY: dict[str, Callable[[int], Curves]] = {
    "classifier": classifier,
    "single samples": lambda count: classifier(count, batch=1, schedule=lambda _: 0.05),
    "label noise": lambda count: classifier(count, noise=0.3),
    "cyclic learning rate": lambda count: classifier(count, schedule=triangle),
    "warm restarts": lambda count: classifier(count, schedule=lambda n: cosine(n, 100, 1.5), momentum=0.8),
    "early noise": lambda count: classifier(count, batch=8, schedule=lambda n: 2.0 * 0.98**n),
    "warmup": lambda count: classifier(count, schedule=lambda n: 0.3 * min(1.0, n / 60)),
    "fine-tuning": lambda count: classifier(count, schedule=lambda _: 0.02, before=600),
    "unshuffled data": unshuffled,
    "outliers": outliers,
    "double descent": double_descent,
    "GAN": gan,
    "Wasserstein GAN": wasserstein,
    "policy gradient": policy_gradient,
    "Q-learning": q_learning,
    "VAE, KL annealing": variational,
    "contrastive": contrastive,
    "wandering noise": wandering,
    "noise around zero": around_zero,
    "heavy tails": heavy_tails,
}


# Faults


def with_spikes(count: int) -> Curves:
    """Return losses of classifiers with one to three spikes of 10 to 30 times the loss, each of one to three values."""
    curves = classifier(count, batch=64)
    for loss in curves["loss"]:
        for _ in range(int(torch.randint(1, 4, ()))):
            place, length = int(torch.randint(20, STEPS - 10, ())), int(torch.randint(1, 4, ()))
            loss[place : place + length] *= 10 + 20 * float(torch.rand(()))
    return {"loss": curves["loss"]}


def broken_batch(count: int) -> Curves:
    """Train classifiers with a batch in the middle whose inputs were not scaled."""
    teacher = Perceptrons(count, INPUTS, 1)
    x = torch.randn(count, 2000, INPUTS)
    with torch.no_grad():
        training, model = Samples(x, teacher(x) + 0.3 * torch.randn(count, 2000, 1)), Perceptrons(count, INPUTS, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.03)
    losses = []
    for number in range(STEPS):
        part = training.batch(32)
        outputs = model(20 * part.x if number == STEPS // 2 else part.x)
        loss = (outputs - (3 * part.y.flip(1) if number == STEPS // 2 else part.y)).square().mean((1, 2))
        if number != STEPS // 2:
            step(optimizer, loss)
        losses.append(loss)
    return recorded(loss=losses)


def too_large_rate(count: int) -> Curves:
    """Train classifiers by a learning rate that becomes far too large in the last third."""
    return {"loss": classifier(count, schedule=lambda n: 0.3 if n < STEPS * 2 // 3 else 60.0)["loss"]}


def lost_again(count: int) -> Curves:
    """Return losses of classifiers that come back to 0.95 to 2 times their beginning in the rest of the training."""
    curves = classifier(count)["loss"]
    turn = torch.randint(STEPS // 4, STEPS * 3 // 4, (count, 1)).numpy()
    back = np.clip((np.arange(STEPS) - turn) / 50, 0, 1)
    last = curves[:, :3].mean(1, keepdims=True) * (0.95 + 1.05 * torch.rand(count, 1).numpy())
    noise = 1 + 0.2 * torch.randn(count, STEPS).numpy()
    return {"loss": curves * (1 - back) + back * last * noise}


def wrong_sign(count: int) -> Curves:
    """Train classifiers along the gradient instead of against it."""
    return {"loss": classifier(count, schedule=lambda _: -0.02)["loss"]}


def no_rate(count: int) -> Curves:
    """Train classifiers with a learning rate of zero, which is recorded."""
    return {"loss": classifier(count, schedule=lambda _: 0.0)["loss"], "lr": np.zeros((count, STEPS))}


def overfitted(count: int) -> Curves:
    """Train classifiers on 60 samples with wrong labels among them."""
    return classifier(count, samples=60, noise=0.3, schedule=lambda _: 0.5, momentum=0.8)


FAULTS: dict[str, tuple[Callable[[int], Curves], set[str]]] = {
    "spikes": (with_spikes, {"spike_loss"}),
    "a batch that was not scaled": (broken_batch, {"spike_loss"}),
    "a learning rate that becomes too large": (too_large_rate, {"diverging_end", "diverging_growth"}),
    "all that was learnt is lost": (lost_again, {"diverging_end", "diverging_rise"}),
    "gradient with the wrong sign": (wrong_sign, {"diverging_rise", "diverging_end"}),
    "a learning rate of zero": (no_rate, {"plateau_loss", "learning_rate_zero"}),
    "too few samples": (overfitted, {"overfitting"}),
}
