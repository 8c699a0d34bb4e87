#!/usr/bin/env bash
# The Trainer adds the gradients of accumulated batches up, instead of taking their mean, for most classifiers.
# One expects: two accumulated batches that are equal give the gradient of one of them.
# What happens: it is twice as large, and so is the logged loss. The Trainer leaves the division to each model whose
# forward() takes **kwargs, because it passes the number of labels to it. The losses of BertForSequenceClassification and
# its like take the mean of their batch and ignore that number.
# Seen with: transformers 5.24.0, accelerate 1.15.0, torch 2.13.0.
# Consequence: recorded gradients and layer errors of such a training are those that are applied, and they grow with
# gradient_accumulation_steps. The tests set Trainer.model_accepts_loss_kwargs to False, which brings the division back.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
"$work/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.24.0 accelerate==1.15.0
cd "$work"
venv/bin/python - 2>/dev/null <<'PYTHON'
import sys

import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments


def first_gradient(accumulated, is_divided=None):
    """Return the norm of the first gradient and the logged loss of a training on equal batches."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    dropouts = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    model = BertForSequenceClassification(BertConfig(vocab_size=20, **sizes, **dropouts))
    rows = [{"input_ids": torch.arange(4), "labels": torch.tensor(1)}] * 4
    arguments = TrainingArguments(
        "out",
        per_device_train_batch_size=2,
        gradient_accumulation_steps=accumulated,
        max_steps=1,
        logging_steps=1,
        max_grad_norm=0.0,
        save_strategy="no",
        use_cpu=True,
        disable_tqdm=True,
    )
    trainer = Trainer(model, arguments, train_dataset=rows)
    if is_divided is not None:
        trainer.model_accepts_loss_kwargs = not is_divided
    trainer.train()
    log = trainer.state.log_history[0]
    return log["grad_norm"], log["loss"]


one, two, divided = first_gradient(1), first_gradient(2), first_gradient(2, is_divided=True)
for name, (norm, loss) in (("1 batch", one), ("2 equal batches", two), ("2, divided", divided)):
    print(f"{name}: norm of the gradient {norm:.4f}, logged loss {loss:.4f}", file=sys.stdout)
is_double = abs(two[0] / one[0] - 2) < 1e-3 and abs(two[1] / one[1] - 2) < 1e-3
sys.exit(not (is_double and abs(divided[0] / one[0] - 1) < 1e-3))
PYTHON
