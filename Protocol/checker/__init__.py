"""The protocol of Karvan, format 0, by the text of the folder above alone: a module for each part of it."""
