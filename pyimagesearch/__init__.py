"""The network of train.py, and what the script needs that isn't the lesson."""
