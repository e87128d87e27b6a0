"""The machines of the ``local`` provider: namespaces, cables and nodes, and how they are removed."""
