"""The command line `huzheng`: one file for each group of commands; what they share is in session, output and texts."""
