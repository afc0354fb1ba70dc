"""What is computed: the network as a tape of steps on flat parameters."""
