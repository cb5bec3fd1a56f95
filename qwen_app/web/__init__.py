"""What every HTTP request passes: login, limits, headers, the share link."""
