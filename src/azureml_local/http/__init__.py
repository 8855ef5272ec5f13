"""What every application here shares of HTTP: errors in Azure's format, a route table, and requests to the engines."""
