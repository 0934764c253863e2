"""What several rooms' tests share lies beside this file, so that every one of them can import it."""
