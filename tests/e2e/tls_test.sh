#!/bin/sh
# TLS to clients: certificates, their renewal, and what is refused.
exec node "$(dirname "$0")/tls.test.js"
