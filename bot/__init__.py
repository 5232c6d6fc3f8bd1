"""The top floor: wiring, dispatch, web, command line. It may import every other room."""
