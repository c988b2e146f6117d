"""What torch programs expect beside the library itself: switches of hardware and compilers that have nothing to switch here."""
