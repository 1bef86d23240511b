"""Whether the simulator notices bugs: they are planted one by one."""
