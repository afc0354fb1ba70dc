"""What must be so before anything is imported."""

import os

# Scikit-learn's checks of the array API are skipped unless SciPy finds this when it is imported.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
