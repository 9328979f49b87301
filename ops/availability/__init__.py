"""How long the stored access token works, by the upstream's outages, the rate of the ticks and the margin."""
