"""The commands, one file each: to read this folder is to read the command line."""
