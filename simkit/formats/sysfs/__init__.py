"""A machine's sysfs and procfs: live, in a folder or in a tar; read, and written as a recorded tree."""
