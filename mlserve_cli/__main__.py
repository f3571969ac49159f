"""`python -m mlserve_cli` is `mlserve`."""

from mlserve_cli.cli import main

if __name__ == "__main__":
    main()
