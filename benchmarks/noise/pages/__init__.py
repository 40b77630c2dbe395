"""The tables and the picture of the result pages, from the CSV files beside the pages."""
