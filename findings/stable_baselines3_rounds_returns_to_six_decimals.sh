#!/usr/bin/env bash
# Stable-Baselines3 rounds the return of an episode to six decimals before it computes the mean that it logs.
# One expects: rollout/ep_rew_mean is the mean of the returns, in the precision of the event file.
# What happens: Monitor, which wraps each environment, rounds. Episodes whose rewards sum to 0.0000004 have the mean 0.0 in
# the event file, while the Monitor's own get_episode_rewards() has all digits.
# Seen with: stable-baselines3 2.9.2, gymnasium 1.4.0, torch 2.13.0, read with tensorboard 2.21.0.
# Consequence: a learning curve of small rewards is a line at 0, and the digits are not in the log.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  stable-baselines3==2.9.2 gymnasium==1.4.0 torch==2.13.0 tensorboard==2.21.0 numpy==2.4.6 'setuptools<81'
cd "$work"
venv/bin/python - <<'PYTHON'
import pathlib
import sys

import gymnasium
import numpy as np
from stable_baselines3 import A2C
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


class Small(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(0, 1, (1,))
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        self.steps = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.steps += 1
        return np.zeros(1, np.float32), 4e-8, self.steps == 10, False, {}


model = A2C("MlpPolicy", Small(), n_steps=20, tensorboard_log="logs", device="cpu")
model.learn(100, log_interval=1)
returns = model.get_env().env_method("get_episode_rewards")[0]
(folder,) = pathlib.Path("logs").iterdir()
means = {event.value for event in EventAccumulator(str(folder)).Reload().Scalars("rollout/ep_rew_mean")}
print(f"returns of {len(returns)} episodes: {min(returns):.3g} to {max(returns):.3g}; logged means: {means}")
sys.exit(not (min(returns) > 3.9e-7 and means == {0.0}))
PYTHON
