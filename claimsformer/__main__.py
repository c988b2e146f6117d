"""`python -m claimsformer`."""

from claimsformer.cli import main

if __name__ == "__main__":
    main()
