"""What each verb of the command line does: nodes and files put together. The rooms below decide and act; here they meet."""
