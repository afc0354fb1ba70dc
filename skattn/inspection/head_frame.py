"""A head report as a data frame; imported where pandas is."""

import pandas as pd


class HeadFrame(pd.DataFrame):
    """A data frame with a row a head, and findings in words.

    Attributes
    ----------
    findings : list of str
        Also of what is chosen of the rows and columns.
    """

    _metadata = ["findings"]

    @property
    def _constructor(self) -> type:
        return HeadFrame
