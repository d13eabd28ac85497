"""Where the two CSVs come from: photographs or drawings. train.py never imports it."""
