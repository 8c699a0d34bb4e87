#!/usr/bin/env bash
# Expected: an estimator with random_state=None draws from NumPy's global generator, so np.random.seed decides what it
#   does, before and after it is pickled.
# Happens: the fitted estimator holds the global RandomState object itself (`_rng`, and `random_state` of each tree).
#   A pickle holds a copy of it, so after loading np.random.seed has no effect on that estimator any more.
# Seen: scikit-learn 1.9.1, GradientBoostingRegressor with warm_start.
# For tb2csv: a table says that the generator is the global one, and a loaded estimator has the global one again.
set -eu
work=$(mktemp -d)
trap 'rm -rf -- "${work:?}"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1
env -u PYTHONPATH "$work/venv/bin/python" - <<'PYTHON'
import pickle
import sys
import numpy as np
from sklearn.ensemble import GradientBoostingRegressor

random = np.random.RandomState(0)
data = random.rand(60, 4)

def trained_on(model, seed):
    model = model()
    np.random.seed(seed)
    return model.set_params(n_estimators=4).fit(data, data.sum(1)).predict(data)

def fresh():
    np.random.seed(0)
    return GradientBoostingRegressor(n_estimators=2, subsample=0.5, warm_start=True).fit(data, data.sum(1))

def unpickled():
    return pickle.loads(pickle.dumps(fresh()))

follows_seed = not np.array_equal(trained_on(fresh, 1), trained_on(fresh, 2))
unpickled_follows_seed = not np.array_equal(trained_on(unpickled, 1), trained_on(unpickled, 2))
print("training goes on by np.random.seed:", follows_seed, "- after a pickle:", unpickled_follows_seed)
sys.exit(not (follows_seed and not unpickled_follows_seed))
PYTHON
