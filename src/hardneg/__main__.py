"""`python -m hardneg` is the command `hardneg`, where its script is not on the path."""

from hardneg.cli import main

main()
