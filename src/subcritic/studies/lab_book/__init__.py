"""The study `lab_book`."""
