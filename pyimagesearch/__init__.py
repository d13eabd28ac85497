"""The network, the CSV's reader, and all else that train.py needs."""
