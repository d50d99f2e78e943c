"""The study `anchors`."""
