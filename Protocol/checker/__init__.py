"""The protocol of Karvan, format 1, by the text of the folder above alone: a module for each part of it."""
