"""The control site: inbox, publishing, directory, witness, views."""
