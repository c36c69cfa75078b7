"""The one training loop: players, seeded batches, a schedule, the best weights, an exact resumption.

Within a step the host never waits for the device; what it wants to know it asks at the scores.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mpikit import Run, Warned
from mpikit.errors import NumericalError
from mpikit.metrics import ReferenceFree
from mpikit_plugins.training.batches import Batches, Indices
from mpikit_plugins.training.chance import seeded
from mpikit_plugins.training.checkpoint import load_training, save_training
from mpikit_plugins.training.graph import RecordedStep
from mpikit_plugins.training.interruption import waiting_interruption
from mpikit_plugins.training.options import TrainingOptions
from mpikit_plugins.training.selection import SNR, Best, step_event

RISE = 0.3  # part of a one-cycle schedule in which the step size grows, from a 25th of the largest
START, END = 1 / 25, 1e-6  # (Smith and Topin, arXiv 1708.07120)


@dataclass(frozen=True)
class Player:
    """A network that is improved by a loss of its own; a training has one, or several against each other.

    Parameters
    ----------
    network : torch.nn.Module
        On the device of the run.
    loss : callable
        Loss of a batch, from the tensors that the batches give. It must not wait for the device (no
        ``.item()``, no branch on a value).
    learning_rate : float
        Largest step size.
    betas : tuple of float
        Decay of AdamW's running means.
    updates : int
        Updates in each step, each with a batch of its own.
    name : str
        What its loss is called; empty for its number.
    """

    network: nn.Module
    loss: Callable[..., Tensor]
    learning_rate: float
    betas: tuple[float, float] = (0.9, 0.999)
    updates: int = 1
    name: str = ""


def play(
    players: Sequence[Player],
    batches: Batches,
    options: TrainingOptions,
    *,
    run: Run,
    evaluate: Callable[[], ReferenceFree | None] = lambda: None,
    kept_back: str = "repeats",
    fingerprint: bytes = b"",
    figure: str = SNR,
    explosion: float | None = None,
) -> list[tuple[int, ReferenceFree]]:
    """Train networks, each by its own loss, one after the other in each step.

    The first player's network is judged; it is left with the weights of the smallest error, or without any
    score with the last ones. Of these a running average is taken if the options say so.

    Parameters
    ----------
    players : sequence of Player
    batches : Batches
    options : TrainingOptions
        The step sizes are those of the players.
    run : Run
        Its generator draws the batches; its listener gets a `Step` for each score. Its checkpoint is saved at
        each score, before anybody is told, and when the training is interrupted (SIGINT, in the main thread):
        the step is finished first. On the CPU the training goes on from there as if there had been nothing.
    evaluate : callable
        Error of the first player's network, which is in evaluation mode then. Random draws in it are the same
        at every score.
    kept_back : str
        What the score was measured on, in words.
    fingerprint : bytes
        Whatever makes this training another one; a checkpoint with another fingerprint is refused.
    figure : str
        What the score is called; any but the reference-free SNR is told as it is, not in dB.
    explosion : float or None
        Mean loss of an interval above which the training counts as diverged. It is stopped then, as when a
        loss is no longer finite, with a warning: the best weights are used, or those from before the interval
        without any score. None: a loss that is not finite is an error.

    Returns
    -------
    list of (int, ReferenceFree)
        The scores and their steps, also those from before an interruption.

    Raises
    ------
    NumericalError
        When a loss is no longer finite, or one explodes in the first interval.
    InputError
        When the checkpoint is of another training.
    KeyboardInterrupt
        When it is interrupted, after it has been saved.
    """
    training = Training(players, batches, options, run=run, explosion=explosion)
    load_training(training, run.checkpoint, fingerprint)
    interval = options.interval(training.total)
    with waiting_interruption() as interrupted:
        while training.step < training.total and not training.best.is_over:
            count = min(interval - training.step % interval, training.total - training.step)
            try:
                losses = training.advance(count, interrupted)
            except NumericalError as error:
                training.fall_back(error)
                break
            if losses is None:
                save_training(training, run.checkpoint, fingerprint)
                raise KeyboardInterrupt
            score = training.judge(evaluate)
            save_training(training, run.checkpoint, fingerprint)
            rate = training.rates()[0]
            names = [player.name for player in players]
            run.tell(
                step_event(
                    training.step,
                    training.total,
                    score=score,
                    losses=losses,
                    rate=rate,
                    names=names,
                    figure=figure,
                )
            )
            if interrupted():
                raise KeyboardInterrupt
    training.keep_best()
    run.tell(training.best.finding(training.step, kept_back=kept_back, figure=figure))
    return training.history


class Training:
    """Networks in training, and all that a checkpoint holds."""

    def __init__(
        self,
        players: Sequence[Player],
        batches: Batches,
        options: TrainingOptions,
        *,
        run: Run,
        explosion: float | None = None,
    ) -> None:
        self.explosion = explosion
        self.good: dict[str, Tensor] = {}  # the judged network as it was last, if losses may explode
        self.good_step = 0
        self.players, self.batches, self.options, self.run = players, batches, options, run
        self.total = options.total_steps(batches.items)
        self.step = 0
        self.best = Best(options.patience)
        self.history: list[tuple[int, ReferenceFree]] = []
        self.optimisers = [_optimiser(player, options, run.device) for player in players]
        self.weights = [
            [weight for weight in player.network.parameters() if weight.requires_grad] for player in players
        ]
        self.average = [weight.detach().clone() for weight in self.weights[0]] if options.ema else []
        self._losses = torch.zeros(len(players), device=run.device)
        self._drawn: Indices = np.zeros((0, 0), np.int64)  # batches of the interval, (steps, turns, ...)
        self._done = 0  # of its steps
        recorded = run.device == "cuda" and options.graph
        self._update = RecordedStep(self._step, run.tell) if recorded else self._step

    def advance(self, count: int, interrupted: Callable[[], bool] = lambda: False) -> list[float] | None:
        """Do so many steps, or the rest of an interval; return the mean loss of each player.

        None when it was interrupted before the last step; the next call goes on.
        """
        for player in self.players:
            player.network.train()
        if self._done == len(self._drawn):
            self._draw(count)
        for index in torch.from_numpy(self._drawn).to(self.run.device)[self._done :]:
            self._set_rates()
            self._update(index)
            self.step += 1
            self._done += 1
            if interrupted() and self._done < len(self._drawn):
                return None
        losses = (self._losses / len(self._drawn)).tolist()
        if not np.isfinite(losses).all() or (self.explosion and np.abs(losses).max() > self.explosion):
            raise NumericalError(
                f"training diverged at step {self.step}",
                hint="choose a smaller learning_rate, or look at the data",
            )
        return cast("list[float]", losses)

    def _draw(self, count: int) -> None:
        """Draw all batches of an interval of so many steps."""
        turns = sum(player.updates for player in self.players)
        drawn = self.batches.draw(count * turns, self.run.rng)
        self._drawn, self._done = drawn.reshape(count, turns, *drawn.shape[1:]), 0
        self._losses.zero_()

    def _step(self, index: Tensor) -> None:
        """Improve each player by batches of its own, (turns, ...)."""
        turn = 0
        for number, player in enumerate(self.players):
            for _ in range(player.updates):
                loss = player.loss(*self.batches.take(index[turn]))
                self.optimisers[number].zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                if self.options.clip is not None:
                    nn.utils.clip_grad_norm_(self.weights[number], self.options.clip)
                self.optimisers[number].step()
                self._losses.select(0, number).add_(loss.detach(), alpha=1 / player.updates)
                turn += 1
        for mean, weight in zip(self.average, self.weights[0], strict=False):
            mean.lerp_(weight.detach(), 1 - self.options.ema)

    def rates(self) -> list[float]:
        """Step sizes of the players at this step."""
        share = one_cycle(self.step / self.total) if self.options.schedule == "one-cycle" else 1.0
        return [share * player.learning_rate for player in self.players]

    def _set_rates(self) -> None:
        for optimiser, rate in zip(self.optimisers, self.rates(), strict=True):
            for group in optimiser.param_groups:
                if isinstance(group["lr"], Tensor):
                    group["lr"].fill_(rate)  # a recorded step reads it there
                else:
                    group["lr"] = rate

    def judge(self, evaluate: Callable[[], ReferenceFree | None]) -> ReferenceFree | None:
        """Measure the error of the first player's network, and keep its weights if they are the best."""
        network = self.players[0].network
        self._exchange_average()
        network.eval()
        with seeded(0, self.run.device):
            score = evaluate()
        if score is not None:
            self.best.see(self.step, score, network.state_dict())
            self.history.append((self.step, score))
        self._note_good()
        self._exchange_average()
        return score

    def _note_good(self) -> None:
        """Keep the judged network as it is, for the case that losses explode."""
        if self.explosion is not None:
            now = self.players[0].network.state_dict()
            self.good = {name: value.detach().clone() for name, value in now.items()}
            self.good_step = self.step

    def fall_back(self, error: NumericalError) -> None:
        """Go on with the weights from before a divergence, and warn; raise it when there are none."""
        if not self.good:
            raise error
        step = self.best.step if self.best.weights else self.good_step
        self.run.tell(
            Warned(f"{error}: it was stopped, and the weights of step {step} are used; {error.hint}")
        )
        self.best.weights = self.best.weights or self.good

    def _exchange_average(self) -> None:
        """Put the averaged weights into the network, or take them out again."""
        for mean, weight in zip(self.average, self.weights[0], strict=False):
            kept = weight.detach().clone()
            weight.data.copy_(mean)
            mean.copy_(kept)

    def keep_best(self) -> None:
        """Leave the judged network with its best weights, or with the last ones."""
        if self.best.weights:
            self.players[0].network.load_state_dict(self.best.weights)
        else:
            self._exchange_average()

    def state(self) -> dict[str, NDArray[Any]]:
        """Return everything that the next step depends on."""
        state: dict[str, NDArray[Any]] = {
            "step": np.array(self.step),
            "history": np.array([(step, *astuple(score)) for step, score in self.history]).reshape(-1, 4),
            **{f"best.{name}": value for name, value in self.best.state().items()},
            **{f"average.{number}": value.cpu().numpy() for number, value in enumerate(self.average)},
        }
        for number, (player, optimiser) in enumerate(zip(self.players, self.optimisers, strict=True)):
            for name, value in player.network.state_dict().items():
                state[f"{number}.network.{name}"] = value.cpu().numpy()
            for place, moments in optimiser.state_dict()["state"].items():
                for name, value in moments.items():
                    state[f"{number}.optimiser.{place}.{name}"] = value.cpu().numpy()
        if self.explosion is not None:
            state["good_step"] = np.array(self.good_step)
            state |= {f"good.{name}": value.cpu().numpy() for name, value in self.good.items()}
        if self._done < len(self._drawn):
            inside = {"drawn": self._drawn, "done": self._done, "losses": self._losses.cpu().numpy()}
            state |= {f"interval.{name}": np.array(value) for name, value in inside.items()}
        return {name: np.array(value) for name, value in state.items()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take back what `state` returned; KeyError or RuntimeError when it does not fit."""
        self.step = int(state["step"])
        self.history = [(int(step), ReferenceFree(*figures)) for step, *figures in state["history"].tolist()]
        for number, mean in enumerate(self.average):
            mean.copy_(_tensor(state[f"average.{number}"]))
        for number, (player, optimiser) in enumerate(zip(self.players, self.optimisers, strict=True)):
            weights = _below(state, f"{number}.network.")
            player.network.load_state_dict({name: _tensor(value) for name, value in weights.items()})
            moments: dict[int, dict[str, Tensor]] = {}
            for key, value in _below(state, f"{number}.optimiser.").items():
                place, _, name = key.partition(".")
                moments.setdefault(int(place), {})[name] = _tensor(value)
            optimiser.load_state_dict({**optimiser.state_dict(), "state": moments})
        self.best.restore(_below(state, "best."), self.players[0].network.state_dict())
        if self.explosion is not None:
            self.good_step = int(state["good_step"])
            self.good = {
                name: _tensor(value).to(self.run.device) for name, value in _below(state, "good.").items()
            }
        if inside := _below(state, "interval."):
            self._drawn, self._done = np.array(inside["drawn"]), int(inside["done"])
            self._losses.copy_(_tensor(inside["losses"]))


def one_cycle(done: float) -> float:
    """Share of the largest step size after a part of the steps: up and down again along cosines."""
    if done < RISE:
        return START + (1 - START) * (1 - float(np.cos(np.pi * done / RISE))) / 2
    return END + (1 - END) * (1 + float(np.cos(np.pi * (done - RISE) / (1 - RISE)))) / 2


def _optimiser(player: Player, options: TrainingOptions, device: str) -> torch.optim.Optimizer:
    cuda = device == "cuda"
    # a tensor, so that a recorded step sees its changes
    rate = torch.tensor(player.learning_rate, device=device) if cuda else player.learning_rate
    return torch.optim.AdamW(
        player.network.parameters(),
        lr=rate,
        betas=player.betas,
        weight_decay=options.weight_decay,
        fused=True,
        capturable=cuda,
    )


def _tensor(value: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.array(value))


def _below(state: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    """Entries under a prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
