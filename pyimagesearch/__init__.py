"""The network of train.py, and everything the script needs that isn't the lesson."""
