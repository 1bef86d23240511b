"""What a node does for sharing besides consensus: it gives values out, and forgets them when that is ordered."""
