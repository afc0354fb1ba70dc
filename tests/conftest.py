"""What must be so before anything is imported."""

import os
import signal

# Scikit-learn's checks of the array API are skipped unless SciPy finds this when it is imported.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

# Threads that wait for work sleep instead of spinning, which would take the cores from other processes.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# What a script starts in the background ignores Ctrl-C, and tests press it.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
