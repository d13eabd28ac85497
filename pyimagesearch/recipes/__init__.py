"""The pages for one's own data, and `python -m pyimagesearch.recipes`."""
