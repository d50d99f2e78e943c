"""The study `recurrent`."""
