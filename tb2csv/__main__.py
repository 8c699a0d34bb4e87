"""The program ``tb2csv``, which is also ``python -m tb2csv``."""

import signal

# Until a command begins, Ctrl-C ends the process at once: there is nothing to remove, and an exception among imports
# would be a traceback. A process that was started to ignore it goes on to ignore it.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import gc
import os

#: How many objects are made between two searches for garbage, each of which visits all of them. Imports and tables make
#: many objects but no garbage; a search after every 700 takes a tenth of the time.
_OBJECTS_BETWEEN_COLLECTIONS = 1_000_000

gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)

# numpy's library for matrices starts a thread per processor when it is imported, which takes a fifth of the time of a
# small command, and no command needs them.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from tb2csv.cli import main

if __name__ == "__main__":
    main()
