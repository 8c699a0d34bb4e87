#!/usr/bin/env bash
# add_histogram leaves out numbers beyond 1e20, infinities and NaN, but counts them in num.
# One expects: the last bucket takes all that is larger, since the format has a limit of 1.8e308 for it, and TensorFlow 1
# writes it; or the call is refused, as NumPy refuses to make buckets of infinities.
# What happens: the limits of the buckets end at 1e20. Ten gradients of 1 and ten of 1e21 are one bucket with 10 numbers,
# between 0.9 and 1.01, and num says 20. If all are beyond 1e20, the call raises "The histogram is empty".
# Seen with: torch 2.13.0, read with tensorboard 2.21.0. tensorboardX 2.6.5 does the same.
# Consequence: the histogram of gradients that explode looks healthy. num and max, in the table histogram_stats, show it: num
# is more than the sum of the counts.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  torch==2.13.0 tensorboard==2.21.0 numpy==2.4.6 'setuptools<81'
cd "$work"
venv/bin/python - <<'PYTHON'
import sys

import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

writer = SummaryWriter("logs")
for name, large in (("1e19", 1e19), ("1e21", 1e21), ("inf", float("inf")), ("nan", float("nan"))):
    writer.add_histogram(name, torch.tensor([1.0] * 10 + [large] * 10), 0)
writer.close()
events = EventAccumulator("logs").Reload()
seen = {}
for name in events.Tags()["histograms"]:
    (event,) = events.Histograms(name)
    histogram = event.histogram_value
    seen[name] = histogram.num, sum(histogram.bucket), histogram.bucket_limit[-1] < 1.01
    print(f"ten times 1 and {name}: num {seen[name][0]}, in buckets {seen[name][1]}, max {histogram.max}")
lost = (20, 10, True)
sys.exit(seen != {"1e19": (20, 20, False), "1e21": lost, "inf": lost, "nan": lost})
PYTHON
