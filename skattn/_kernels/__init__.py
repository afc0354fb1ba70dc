"""How the network is computed: numba on plain arrays and pointers."""
